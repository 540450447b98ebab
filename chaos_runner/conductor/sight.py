"""What the world shows of a day beside its facts: its runs, its plans, the levers. Reads only."""

from __future__ import annotations

import time

from chaos_runner import store
from chaos_runner.conductor.children import Children
from chaos_runner.conductor.course import RunSeen, Seen
from chaos_runner.conductor.folder import Folder
from chaos_runner.conductor.told import Told
from chaos_runner.history import fold
from chaos_runner.store import Store, StoreError, levers

GUARDIAN_S = 5.0  # a dead runner's guardian has so long to say that it is at work


class Sight:
    """Looks at the ledger and the day's folder."""

    def __init__(self, ledger: Store, folder: Folder, children: Children, environment: str, stamp: str) -> None:
        self._ledger = ledger
        self._folder = folder
        self._children = children
        self._environment = environment
        self._stamp = stamp
        self._lost: dict[str, float] = {}

    def look(self, told: Told) -> Seen:
        """One look. Raises StoreError."""
        going = [step.run for step in told.steps if step.open and step.run]
        going += [told.drill_run] if told.drill_began > told.drill_ended else []
        return Seen(
            t=self._since(told),
            runs={run: self._run(run) for run in going},
            plans=self._folder.plans(),
            lever="" if going else self._lever(told),
        )

    def _since(self, told: Told) -> float:
        passed = store.since_s(self._stamp)
        return max(0.0, time.time() - told.day.started_at) if passed is None else passed

    def _run(self, run: str) -> RunSeen:
        lives = self._children.lives(run)
        row = self._ledger.run(run)  # after the question above: who was gone then has written all that he will
        if row is None:
            return RunSeen("unborn") if lives else RunSeen("never", why=self._folder.last_words(run))
        if row.state == "ENDED":
            return RunSeen("over", headline=row.headline, why=self._why(run)) if not lives else RunSeen("going")
        if not lives and store.alive(row.owner) is not True:
            since = self._lost.setdefault(run, time.monotonic())
            return RunSeen("lost" if time.monotonic() - since > GUARDIAN_S else "going")
        self._lost.pop(run, None)
        hot = any(fault.state == "INJECTED" for fault in self._ledger.open_faults(run_id=run))
        return RunSeen("going", faulty=hot)

    def _why(self, run: str) -> str:
        try:
            outcome = fold(self._ledger.records(run)).outcome
        except StoreError as why:
            return str(why)
        return outcome.why if outcome is not None else ""

    def _lever(self, told: Told) -> str:
        """The lever that would stop the next run."""
        service = experiment = ""
        step = next((one for one in told.steps if one.waiting), None)
        if step is not None and (step.step, step.attempts + 1) in self._folder.plans():
            plan = self._folder.plan(self._folder.plan_path(step.step, step.attempts + 1))
            service, experiment = plan.experiment.service, plan.experiment.name
        pulled = levers.pulled(self._folder.state_dir, self._environment, service, experiment)
        if pulled is None:
            return ""
        why = f" ({pulled.reason})" if pulled.reason else ""
        release = f"chaos-runner resume {pulled.scope} --reason WHY"
        return f"{pulled.who or 'somebody'} pulled the lever {pulled.scope}{why}; {release}"
