"""Data lost by a run, as time: only what a check reads, never a guess. No IO."""

from __future__ import annotations

from collections.abc import Iterator

from chaos_runner.gameday.figures import Metric, State
from chaos_runner.gameday.scenario import Targets
from chaos_runner.gameday.stamps import Executed


def lost(targets: Targets, ran: Executed) -> Iterator[Metric]:
    """The worst reading of the check that the scenario names, from the injection to the end of its experiment's run."""
    experiment, _, rest = targets.rpo_check.partition("#")
    check, _, metric = rest.partition("#")
    plan = ran.run.plan.get("experiment")
    if not metric or not isinstance(plan, dict) or plan.get("name") != experiment:
        return
    since = min((one.injected_t for one in ran.run.faults.values() if one.injected_t is not None), default=None)
    read = [
        one.values[metric]
        for one in ran.samples
        if since is not None and one.tick + 1 > since and one.check == check and metric in one.values
    ]
    title, goal = "Data lost, as time", targets.rpo
    if not read:
        why = "no fault was injected" if since is None else f"{check} read no {metric}"
        yield Metric("rpo", title, target=goal, why=why)
        return
    worst = max(read)
    state: State = "measured" if goal is None else "met" if worst <= goal else "missed"
    yield Metric("rpo", title, value=worst, target=goal, state=state, why=f"the worst that {check} read")
