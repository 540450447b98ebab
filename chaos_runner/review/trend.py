"""How an experiment fares over time: lines that break where runs cannot be compared, and what got worse. No IO.

The rule for "worse" is in `RULE`, for people to read beside what it says.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import msgspec

from chaos_runner.review.digest import CheckFigures, Digest, Shift, figures

EARLIER_MIN, EARLIER_MAX = 5, 10
FLOOR_S, SHARE = 0.005, 0.1
RECOVERY_FLOOR_S = 2.0

RULE = (
    f"Worse means, against up to {EARLIER_MAX} earlier conclusive runs since the last break of the line: "
    "the run before HELD and this one did not (it DEVIATED, was ABORTED or is NOT REVERTED); or, with "
    f"{EARLIER_MIN} earlier ones at least, the shift of p95 is above every one of theirs, its whole 95 % interval "
    f"is above their median, and it is {FLOOR_S * 1000:.0f} ms and a tenth of p95 above that median; or recovery took "
    f"longer than every one of theirs, and {RECOVERY_FLOOR_S:.0f} s and a tenth longer than their median. If nothing "
    "had changed, a figure would lie above n earlier ones in one run of n + 1."
)

_PARTS = ("environment", "load", "plan", "clauses")
_BAD = frozenset({"DEVIATED", "ABORTED", "NOT_REVERTED"})


class Point(msgspec.Struct, frozen=True):
    """One run of a line; `broke` names what is not as in the run before it, `worse` says what got worse."""

    digest: Digest
    broke: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()


class Line(msgspec.Struct, frozen=True):
    """The runs of one experiment in one environment, oldest first."""

    experiment: str
    environment: str
    points: tuple[Point, ...]

    @property
    def last(self) -> Point:
        """The newest run."""
        return self.points[-1]


def lines(digests: Iterable[Digest]) -> list[Line]:
    """All lines, by experiment and environment; the digests of each in order of time."""
    found: dict[tuple[str, str], list[Digest]] = {}
    for one in digests:
        found.setdefault((one.experiment, one.environment), []).append(one)
    return [Line(*key, points(found[key])) for key in sorted(found)]


def points(runs: Sequence[Digest]) -> tuple[Point, ...]:
    """The runs as a line: where it breaks, and where it got worse."""
    made: list[Point] = []
    segment: list[Digest] = []
    for n, one in enumerate(runs):
        broke = changed(runs[n - 1], one) if n else ()
        if broke:
            segment.clear()
        made.append(Point(one, broke, tuple(worse(segment[-EARLIER_MAX:], one))))
        if one.conclusive:
            segment.append(one)
    return tuple(made)


def changed(before: Digest, after: Digest) -> tuple[str, ...]:
    """The parts in which two runs differ so that their figures cannot be compared; an unreadable part differs."""
    old, new = before.identity, after.identity
    return tuple(part for part in _PARTS if getattr(old, part) != getattr(new, part) or not getattr(new, part))


def worse(earlier: Sequence[Digest], one: Digest) -> Iterable[str]:
    """What got worse against earlier conclusive runs of the same line; see RULE."""
    if earlier and earlier[-1].word == "HELD" and one.word in _BAD:
        yield f"the run before HELD, this one is {one.word.replace('_', ' ')}"
    for check in one.checks:
        if check.shift is None:
            continue
        seen = [shift.value for run in earlier for shift in _shifts(run, check.check)]
        if _shifted(check, seen):
            yield f"p95 of {check.check} moved further than in {len(seen)} earlier runs"
    took = [run.recovery_s for run in earlier if run.recovered and run.recovery_s is not None]
    if one.recovery_s is not None and _above(one.recovery_s, took, RECOVERY_FLOOR_S, SHARE * one.recovery_s):
        yield f"recovery took longer than in {len(took)} earlier runs"


def _shifts(run: Digest, check: str) -> list[Shift]:
    found = figures(run, check)
    return [found.shift] if found is not None and found.shift is not None else []


def _shifted(check: CheckFigures, seen: Sequence[float]) -> bool:
    shift, during = check.shift, check.p95[1]
    if shift is None or shift.low is None or during is None or not _above(shift.value, seen, FLOOR_S, SHARE * during):
        return False
    return shift.low > statistics.median(seen)


def _above(value: float, seen: Sequence[float], floor: float, margin: float) -> bool:
    if len(seen) < EARLIER_MIN or value <= max(seen):
        return False
    return value - statistics.median(seen) >= max(floor, margin)
