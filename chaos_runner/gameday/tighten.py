"""An experiment as a game day allows it: less of it than its file says, never more. No IO."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from chaos_runner.expect import written
from chaos_runner.gameday.scenario import Tighten
from chaos_runner.model import Abort, BlastRadius, Experiment, FaultStep, ParallelStep, Step, Where

Number = float | int


class Bound(msgspec.Struct, frozen=True):
    """One thing that a day may allow less of: what the file allows, and in which words. None where it has no such."""

    allowed: Callable[[Experiment], Number | None]
    words: str
    unit: str = "duration"
    least: bool = False  # the file's value is the least, not the most

    def told(self, value: Number) -> str:
        """The value as an author writes it."""
        return written("duration", value) if self.unit == "duration" else f"{value:g}{self.unit}"


def _longest(experiment: Experiment) -> float | None:
    return max((step.for_ for step in experiment.faults()), default=None)


BOUNDS: dict[str, Bound] = {
    "for_": Bound(_longest, "the experiment's longest fault stays"),
    "baseline": Bound(lambda one: one.baseline, "the experiment's baseline is", least=True),
    "at_once": Bound(lambda one: one.blast_radius.at_once, "the experiment's blast_radius.at_once is", ""),
    "in_total": Bound(lambda one: one.blast_radius.in_total, "the experiment's blast_radius.in_total is", ""),
    "percent_of_selector": Bound(
        lambda one: one.blast_radius.percent_of_selector, "the experiment's blast_radius.percent_of_selector is", ""
    ),
    "max_duration": Bound(lambda one: one.blast_radius.max_duration, "the experiment's blast_radius.max_duration is"),
    "violated_for": Bound(lambda one: one.abort.violated_for, "the experiment's abort.violated_for is"),
    "recovery": Bound(lambda one: one.recovery.within, "the experiment's recovery.within is"),
}


def misfits(experiment: Experiment, tighten: Tighten) -> Iterator[Where]:
    """What would allow more than the experiment's file, each with both values; the place is below `tighten:`."""
    for field, key in zip(tighten.__struct_fields__, tighten.__struct_encode_fields__, strict=True):
        asked = getattr(tighten, field)
        if asked is not None and (why := _loosens(BOUNDS[field], asked, experiment)):
            yield (key,), why


def _loosens(bound: Bound, asked: Number, experiment: Experiment) -> str:
    allowed = bound.allowed(experiment)
    if allowed is None:
        return "the experiment's method has no fault"
    if (asked < allowed) if bound.least else (asked > allowed):
        more = "less" if bound.least else "more"
        return f"{bound.words} {bound.told(allowed)}; {bound.told(asked)} is {more}, and a game day only tightens"
    return ""


def tightened(experiment: Experiment, tighten: Tighten) -> Experiment:
    """The experiment as this day allows it. Raises ValueError with both values where that would be more of it."""
    for (key,), why in misfits(experiment, tighten):
        msg = f"{key}: {why}"
        raise ValueError(msg)
    return msgspec.structs.replace(
        experiment,
        baseline=experiment.baseline if tighten.baseline is None else tighten.baseline,
        blast_radius=_radius(experiment.blast_radius, tighten),
        abort=_sooner(experiment.abort, tighten.violated_for),
        method=tuple(_shorter(step, _most(tighten)) for step in experiment.method),
        recovery=msgspec.structs.replace(
            experiment.recovery, within=_less(experiment.recovery.within, tighten.recovery)
        ),
    )


def _less(mine: float, asked: float | None) -> float:
    return mine if asked is None else min(mine, asked)


def _most(tighten: Tighten) -> float | None:
    """How long a fault may stay: what is asked, and no longer than any fault of the run may live."""
    return min((one for one in (tighten.for_, tighten.max_duration) if one is not None), default=None)


def _radius(radius: BlastRadius, tighten: Tighten) -> BlastRadius:
    names = ("at_once", "in_total", "percent_of_selector", "max_duration")
    asked = {name: value for name in names if (value := getattr(tighten, name)) is not None}
    small = msgspec.structs.replace(radius, **asked)
    # Fewer in total are also fewer at once.
    return msgspec.structs.replace(small, at_once=min(small.at_once, small.in_total))


def _sooner(abort: Abort, violated_for: float | None) -> Abort:
    if violated_for is None:
        return abort
    per_check = tuple(
        msgspec.structs.replace(own, violated_for=min(own.violated_for, violated_for)) for own in abort.per_check
    )
    return msgspec.structs.replace(abort, violated_for=violated_for, per_check=per_check)


def _shorter(step: Step, most: float | None) -> Step:
    """The step with no fault that stays longer; a pause harms nobody and stays as it is."""
    if most is None:
        return step
    if isinstance(step, ParallelStep):
        return msgspec.structs.replace(step, parallel=tuple(_shorter_fault(one, most) for one in step.parallel))
    return _shorter_fault(step, most) if isinstance(step, FaultStep) else step


def _shorter_fault(step: FaultStep, most: float) -> FaultStep:
    return msgspec.structs.replace(step, for_=min(step.for_, most))
