"""Who goes first where several are due and only one may run: the critical, and what was not looked at for long.

Pure.
"""

from __future__ import annotations

DAY_S = 86400.0
STALE_DAYS_MAX = 365.0
RED_DAYS = 30.0


def weight(criticality: float, last_conclusive: float | None, now: float) -> float:
    """Criticality times days since the last conclusive run; never looked at counts as a year."""
    days = days_since(last_conclusive, now)
    return criticality * (1.0 + (STALE_DAYS_MAX if days is None else min(days, STALE_DAYS_MAX)))


def days_since(last_conclusive: float | None, now: float) -> float | None:
    """Days since a run came to HELD or DEVIATED; None for never."""
    return None if last_conclusive is None else max(0.0, (now - last_conclusive) / DAY_S)


def red(last_conclusive: float | None, now: float) -> bool:
    """Whether nobody can say any more what such a failure would do."""
    days = days_since(last_conclusive, now)
    return days is None or days > RED_DAYS
