"""What people believed before an injection, against what came out. No IO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from chaos_runner import verdict
from chaos_runner.gameday.day import Day
from chaos_runner.gameday.facts import Predicted
from chaos_runner.gameday.figures import Metric
from chaos_runner.gameday.stamps import Executed

CAME = {"HELD": "holds", "DEVIATED": "deviates", "ABORTED": "aborts"}
Result = Literal["right", "wrong", "too late", "replaced", "no outcome"]


class Guess(msgspec.Struct, frozen=True):
    """One prediction, and whether it came true."""

    at: float
    said: Predicted
    result: Result
    headline: str = ""

    @property
    def penalty(self) -> float | None:
        """The square of how far the stated confidence was off; None where it does not count."""
        if self.result not in ("right", "wrong"):
            return None
        return (self.said.confidence - (self.result == "right")) ** 2


def guesses(day: Day, runs: Sequence[Executed]) -> tuple[Guess, ...]:
    """Each prediction: the last one of a person before the last injection of its step counts."""
    last = {one.step: one for one in runs}
    found = []
    for n, (at, said) in enumerate(day.predictions):
        ran = last.get(said.step)
        later = [one for when, one in day.predictions[n + 1 :] if _counts(when, ran)]
        replaced = any((one.step, one.who) == (said.step, said.who) for one in later)
        found.append(_guess(at, said, ran, replaced))
    return tuple(found)


def _injection(ran: Executed) -> float | None:
    return min((ran.at(one.intent_t) for one in ran.run.faults.values()), default=None)


def _counts(at: float, ran: Executed | None) -> bool:
    begun = _injection(ran) if ran is not None else None
    return begun is None or at <= begun


def _guess(at: float, said: Predicted, ran: Executed | None, replaced: bool) -> Guess:
    if not _counts(at, ran):
        return Guess(at, said, "too late")
    if replaced:
        return Guess(at, said, "replaced")
    headline = verdict.headline(ran.run.outcome) if ran is not None and ran.run.outcome is not None else ""
    came = CAME.get(headline) if ran is not None and _injection(ran) is not None else None
    if came is None:
        return Guess(at, said, "no outcome", headline)
    return Guess(at, said, "right" if came == said.believed else "wrong", headline)


def scored(every: Sequence[Guess]) -> tuple[Metric, Metric]:
    """The share that came true, and the Brier score: 0 is perfect, 0.25 is a coin, 1 is sure and wrong."""
    penalties = [one.penalty for one in every if one.penalty is not None]
    why = "nobody predicted" if not every else "no prediction could be compared with an outcome"
    hits = Metric("hits", "Predictions that came true", unit="share", why=why)
    brier = Metric("brier", "Brier score of the stated confidence", unit="score", why=why)
    if not penalties:
        return hits, brier
    right = sum(one.result == "right" for one in every)
    told = f"{right} of {len(penalties)}"
    return (
        msgspec.structs.replace(hits, value=right / len(penalties), state="measured", why=told),
        msgspec.structs.replace(brier, value=sum(penalties) / len(penalties), state="measured", why=told),
    )
