"""What a game day measured: how fast it was detected and repaired, what it cost, what people had believed. No IO.

Every duration is the difference of two stamps, each with its source. What has no stamp is `not recorded`, never 0;
a stamp from before the fault is said as a contradiction and not counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from chaos_runner.gameday import loss, predicted, stamps
from chaos_runner.gameday.alerted import AlertRow, judged, precision
from chaos_runner.gameday.day import Day
from chaos_runner.gameday.facts import Entry, ObjectiveJudged
from chaos_runner.gameday.figures import Metric, State
from chaos_runner.gameday.harm import Harm
from chaos_runner.gameday.predicted import Guess
from chaos_runner.gameday.scenario import Targets
from chaos_runner.gameday.stamps import Executed, Moment, Stamp, Told

PROMPT_S = 30 * 86400.0  # an action that is done within this time was done in time


class StepMetrics(msgspec.Struct, frozen=True):
    """What one run of one step measured."""

    step: int
    run: str
    told: Told
    metrics: tuple[Metric, ...]

    def of(self, key: str) -> Metric:
        """The metric of that name."""
        return next(one for one in self.metrics if one.key == key)


class Objective(msgspec.Struct, frozen=True):
    """One objective, and what somebody judged; empty where nobody did."""

    name: str
    text: str
    judged: ObjectiveJudged | None


class Measured(msgspec.Struct, frozen=True):
    """All figures of a day."""

    steps: tuple[StepMetrics, ...]
    day: tuple[Metric, ...]
    harm: Harm
    alerts: tuple[AlertRow, ...]
    guesses: tuple[Guess, ...]
    objectives: tuple[Objective, ...]
    unplaced: tuple[str, ...]

    def of(self, key: str) -> Metric:
        """The day's metric of that name."""
        return next(one for one in self.day if one.key == key)


class _Pair(msgspec.Struct, frozen=True):
    """A duration: from the first stamp of one kind to the first of another that is not before it."""

    key: str
    title: str
    start: Moment
    end: tuple[Moment, ...]
    target: str = ""


PAIRS = (
    _Pair("ttd", "Time to detect", "injected", ("detected", "evidence"), "detect"),
    _Pair("tta", "Time to acknowledge", "detected", ("acknowledged",), "acknowledge"),
    _Pair("ttm", "Time to mitigate", "injected", ("mitigated",), "mitigate"),
    _Pair("ttr", "Time to restore, from the undo", "reverted", ("restored",)),
    _Pair("rto", "Time to restore, from the fault", "injected", ("restored",), "rto"),
    _Pair("halt", "Halt latency", "halt_asked", ("halt_done",)),
)
WORDS: dict[str, str] = {
    "injected": "confirmed fault",
    "detected": "detection",
    "evidence": "definitive evidence",
    "acknowledged": "acknowledgement",
    "mitigated": "end of the harm to users",
    "reverted": "verified undo",
    "restored": "return to the steady state",
    "halt_asked": "request to halt",
    "halt_done": "end of the fault after a halt",
}


def measured(day: Day, entries: Sequence[Entry], runs: Sequence[Executed]) -> Measured:
    """All figures of a day from its facts and its runs; runs that the day does not have are left out."""
    mine = sorted((one for one in runs if one.step >= 0), key=lambda one: (one.run.started_at, one.run.id))
    targets = day.scenario.targets if day.scenario else Targets()
    steps = tuple(_step(stamps.told(day, entries, one, mine), targets) for one in mine)
    rows = judged(day, entries, mine)
    guesses = predicted.guesses(day, mine)
    return Measured(
        steps=steps,
        day=(precision(rows), *predicted.scored(guesses), _drill(day), _prompt(day)),
        harm=_together([one.told.harm for one in steps]),
        alerts=rows,
        guesses=guesses,
        objectives=_objectives(day),
        unplaced=tuple(f"{WORDS[one.mark]} by {one.who}" for one in stamps.unplaced(day, mine)),
    )


def _step(told: Told, targets: Targets) -> StepMetrics:
    pairs = [duration(told, one, targets) for one in PAIRS]
    every = (*pairs, *loss.lost(targets, told.ran), _harmed(told.harm), *_budget(told.harm))
    return StepMetrics(told.ran.step, told.ran.run.id, told, every)


def duration(told: Told, pair: _Pair, targets: Targets) -> Metric:
    """One duration of a run, by its definition."""
    goal = getattr(targets, pair.target) if pair.target else None
    blank = Metric(pair.key, pair.title, target=goal)
    begins: tuple[Moment, ...] = ("detected", "evidence") if pair.start == "detected" else (pair.start,)
    start, doubts = _start(told, begins)
    if start is None:
        return msgspec.structs.replace(blank, why=f"no stamp of the {WORDS[pair.start]}", doubts=doubts)
    ends = sorted((one for name in pair.end for one in _counting(told, name)), key=lambda one: (one.at, one.name))
    early = [one for one in ends if one.at < start.at]
    doubts += tuple(_contradiction(pair, one, start) for one in early)
    end = next((one for one in ends if one.at >= start.at), None)
    if end is None:
        state: State = "contradictory" if early else "not recorded"
        why = doubts[-1] if early else f"no stamp of the {WORDS[pair.end[0]]}"
        return msgspec.structs.replace(blank, start=start, state=state, why=why, doubts=doubts)
    doubts += _too_early(told, pair, end)
    value = round(end.at - start.at, 6)
    return msgspec.structs.replace(blank, value=value, start=start, end=end, state=_state(value, goal), doubts=doubts)


def _start(told: Told, names: tuple[Moment, ...]) -> tuple[Stamp | None, tuple[str, ...]]:
    """The first stamp that is not before the fault: nobody can detect what is not there yet."""
    found = told.first(*names)
    if found is None or names[0] == "injected":
        return found, ()
    fault = told.first("injected")
    if names[0] != "detected" or fault is None:
        return _asked(told) if names[0] == "halt_asked" else found, ()
    every = [one for name in names for one in told.moments.get(name, ())]
    return min((one for one in every if one.at >= fault.at), key=lambda one: (one.at, one.name), default=None), ()


def _asked(told: Told) -> Stamp | None:
    """A person's pull begins the halt that it caused; a decision of the runner begins its own."""
    asked = told.moments.get("halt_asked", ())
    tripped = told.ran.run.tripped
    by_person = tripped is not None and tripped.stopped_by in ("lever", "person")
    pulled = [one for one in asked if one.source == "person"]
    return pulled[0] if by_person and pulled else next((one for one in asked if one.source == "tool"), None)


def _counting(told: Told, name: Moment) -> Sequence[Stamp]:
    """A person's stamp ends the harm, else what was measured; the steady state is back when it was measured."""
    every = told.moments.get(name, ())
    people = [one for one in every if one.source == "person"]
    if name == "mitigated":
        return people or every
    return [one for one in every if one.source == "tool"] or every if name == "restored" else every


def _too_early(told: Told, pair: _Pair, end: Stamp) -> tuple[str, ...]:
    """What was measured and what a person stamped may differ: the stamp counts, and the difference is said."""
    if pair.key != "ttm" or end.source != "person":
        return ()
    seen = next((one for one in told.moments.get("mitigated", ()) if one.source == "tool"), None)
    if seen is None or seen.at <= end.at + stamps.CLOCKS_S:
        return ()
    return (f"the steady state was measured as violated for {seen.at - end.at:.1f} s after the stamp by {end.name}",)


def _contradiction(pair: _Pair, end: Stamp, start: Stamp) -> str:
    word = WORDS[pair.end[0]]
    return f"the {word} by {end.name} is {start.at - end.at:.1f} s before the {WORDS[pair.start]}: it does not count"


def _state(value: float, goal: float | None) -> State:
    if goal is None:
        return "measured"
    return "met" if value <= goal else "missed"


def _harmed(harm: Harm) -> Metric:
    blank = Metric("harmed", "Requests harmed", unit="requests", why=harm.why)
    return blank if harm.requests is None else msgspec.structs.replace(blank, value=harm.requests, state="measured")


def _budget(harm: Harm) -> tuple[Metric, Metric]:
    spent = Metric("bad_s", "Bad service", why=harm.why or "no check was measured")
    if harm.bad_s is not None:
        spent = msgspec.structs.replace(spent, value=harm.bad_s, state="measured", why="")
    goal = harm.budget.spend if harm.budget is not None else None
    share = Metric("budget", "Error budget spent", unit="share", target=goal, why="the experiment names no SLO")
    if harm.budget is not None:
        share = msgspec.structs.replace(share, why=harm.why or f"{harm.budget.check} was not measured")
    if harm.budget_share is not None:
        state = _state(harm.budget_share, goal)
        share = msgspec.structs.replace(share, value=harm.budget_share, state=state, why="")
    return spent, share


def _drill(day: Day) -> Metric:
    drill = day.drill
    blank = Metric("drill", "Abort drill: from the lever to the fault gone", why="no drill")
    if drill is None or drill.halt_s is None:
        return msgspec.structs.replace(blank, why=drill.why or "the drill has no time") if drill else blank
    return msgspec.structs.replace(blank, value=drill.halt_s, state="measured", why="")


def _prompt(day: Day) -> Metric:
    """The share of action items that were done within thirty days."""
    blank = Metric("actions", "Actions done within 30 days", unit="share", why="there is no action item")
    views = list(day.actions.values())
    if not views:
        return blank
    done = [one for one in views if one.state == "done" and one.settled_at is not None]
    prompt = sum((one.settled_at or 0.0) - one.added_at <= PROMPT_S for one in done)
    why = f"{prompt} of {len(views)}"
    return msgspec.structs.replace(blank, value=prompt / len(views), state="measured", why=why)


def _objectives(day: Day) -> tuple[Objective, ...]:
    named = day.scenario.objectives if day.scenario else {}
    return tuple(Objective(name, said, day.objectives.get(name)) for name, said in named.items())


def _together(every: Sequence[Harm]) -> Harm:
    """The harm of all runs of a day; a run that was not measured is said and does not count as none."""
    known = [one for one in every if one.requests is not None]
    blind = [one.why for one in every if one.requests is None and one.why != "no fault was injected"]
    why = "; ".join(dict.fromkeys(blind))
    if not known:
        return Harm(why=why or "no fault was injected")
    bad = [one.bad_s for one in every if one.bad_s is not None]
    return Harm(
        requests=sum(one.requests or 0 for one in known),
        known=sum(one.known for one in known),
        of=sum(one.of for one in known),
        unknown=sum(one.unknown for one in known),
        seconds=sum(one.seconds or 0 for one in known),
        bad_s=sum(bad) if bad else None,
        why=why,
    )
