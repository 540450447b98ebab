"""Digests made by hand, and one folded from a made-up history."""

from __future__ import annotations

from typing import Any

from chaos_runner.history import fold
from chaos_runner.render import digested
from chaos_runner.review.digest import CheckFigures, Digest, Identity, Shift
from tools.sample_history import History

DAY = 86_400.0
NOON = 1_787_400_000.0  # 2026-08-22 12:00:00 UTC
SAME = Identity(plan="p", load="l", environment="e", clauses="c")


def of(history: History) -> Digest:
    return digested.of(fold(history.entries), history.entries, history.samples)


def shifted(value: float, width: float = 0.004, check: str = "users") -> CheckFigures:
    shift = Shift(value, value - width, value + width)
    return CheckFigures(check=check, replies=(600, 600), p95=(0.05, 0.05 + value), shift=shift)


def run(n: int, word: str = "HELD", shift: float | None = 0.1, **fields: Any) -> Digest:
    """The nth run of a line, a day after the one before; ABORTED ones were stopped by a criterion."""
    finding = {"ABORTED": "DEVIATED", "NOT_REVERTED": "DEVIATED", "NOT_STARTED": ""}.get(word, word)
    given: dict[str, Any] = {
        "run": f"r{n}",
        "started_at": NOON + n * DAY,
        "ended_at": NOON + n * DAY + 60,
        "experiment": "slow",
        "service": "shop",
        "environment": "staging",
        "word": word,
        "finding": finding,
        "classes": ("slow-dependency",),
        "proven": ("slow-dependency",),
        "checks": () if shift is None else (shifted(shift),),
        "recovered": True,
        "recovery_s": 5.0,
        "identity": SAME,
    }
    return Digest(**(given | fields))
