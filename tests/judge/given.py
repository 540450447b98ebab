"""Rules and samples, short enough to put into tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from chaos_runner import judge
from chaos_runner.expect import clause
from chaos_runner.model import Abort, BlastRadius, Check, Experiment, FaultStep, PauseStep, Recovery
from chaos_runner.records import ClauseCount, Sample
from chaos_runner.rule import Rule

BUDGET: dict[str, Any] = {"check": "shoppers", "slo": 0.999, "over": 30 * 86400.0, "spend": 0.02}  # 51.84 s


def experiment(
    checks: dict[str, Check] | None = None,
    *,
    holds: Sequence[float] = (30.0,),
    baseline: float = 30.0,
    within: float = 60.0,
    **abort: Any,
) -> Experiment:
    """An experiment with one fault step for each hold, and a pause after each."""
    steps = [step for hold in holds for step in (FaultStep(fault="toxic", for_=hold), PauseStep(pause=1.0))]
    return Experiment(
        kind="experiment/v1",
        name="x",
        hypothesis="It holds.",
        steady_state=checks or {"shoppers": load()},
        blast_radius=BlastRadius(),
        method=tuple(steps),
        baseline=baseline,
        abort=Abort(**abort),
        recovery=Recovery(within=within),
    )


def load(*clauses: str, during: Sequence[str] = (), interval: float = 1.0) -> Check:
    """A check with these clauses."""
    return Check(
        probe="http",
        expect=tuple(clause(text) for text in clauses or ("success >= 99%", "p95 <= 1s")),
        during=tuple(clause(text) for text in during),
        interval=interval,
    )


def rules(made: Experiment, rate: float = 20.0, lag_s: float = 0.0) -> tuple[Rule, ...]:
    """Rules as the engine makes them: `success` and `pNN` are events, everything else is a gauge."""
    measured = {
        name: [
            judge.Measured("event", rate, lag_s) if c.metric[0] in "sp" else judge.Measured("gauge")
            for c in check.clauses()
        ]
        for name, check in made.steady_state.items()
    }
    return judge.rules(made, measured)


def one(
    text: str = "success >= 99%", *, rate: float = 20.0, hold: float = 30.0, interval: float = 1.0, **abort: Any
) -> Rule:
    """The rule of a single clause; `rate` 0 polls."""
    made = experiment({"shoppers": load(text, interval=interval)}, holds=(hold,), **({"violated_for": 10.0} | abort))
    return rules(made, rate)[0]


def sample(tick: int, good: int = 0, bad: int = 0, unknown: int = 0, n: int = 0, check: str = "shoppers") -> Sample:
    """What one clause saw in one tick."""
    return Sample(check, tick, (ClauseCount(n, good, bad, unknown),))


def row(counts: Iterable[tuple[int, ...]], start: int = 0, step: int = 1, n: int = 0) -> list[Sample]:
    """Samples of one clause: (good, bad) or (good, bad, unknown), a tick each."""
    return [Sample("shoppers", start + step * k, (ClauseCount(n, *(*count, 0)[:3]),)) for k, count in enumerate(counts)]
