"""Which failure classes were tried on which service, how long ago, and how it went: with the arithmetic. No IO.

No one number stands for all of it. What nobody tried is "never run", and counts neither as good nor as bad.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import msgspec

from chaos_runner.review.digest import Digest

RED_AFTER_DAYS = 30
GONE_AFTER_DAYS = 60
"""Freshness is whole for 30 days and falls in a straight line to nothing at 60."""


class Cell(msgspec.Struct, frozen=True):
    """One failure class of one service: its runs, the conclusive ones among them, and the last of these."""

    service: str
    failure: str
    runs: int
    conclusive: int
    held: int
    last: Digest | None
    days: int | None

    @property
    def red(self) -> bool:
        """Whether nothing conclusive is known, or not any more."""
        return self.days is None or self.days > RED_AFTER_DAYS

    @property
    def freshness(self) -> float | None:
        """1 up to 30 days, 0 from 60; None where nothing conclusive is known."""
        return None if self.days is None else freshness(self.days)


class Row(msgspec.Struct, frozen=True):
    """One service: a cell for each failure class that was tried on it, None for what never was."""

    service: str
    cells: tuple[Cell | None, ...]

    @property
    def tried(self) -> tuple[Cell, ...]:
        """The cells with runs."""
        return tuple(one for one in self.cells if one is not None)

    @property
    def known(self) -> tuple[Cell, ...]:
        """Those of them with a conclusive run."""
        return tuple(one for one in self.tried if one.days is not None)

    @property
    def fresh(self) -> tuple[Cell, ...]:
        """Those of them that are not red."""
        return tuple(one for one in self.known if not one.red)

    @property
    def oldest(self) -> Cell | None:
        """The one that is longest ago: ages are not averaged away."""
        return max(self.known, key=lambda one: one.days or 0, default=None)


class Coverage(msgspec.Struct, frozen=True):
    """The matrix as of one day (UTC)."""

    today: str
    classes: tuple[str, ...]
    rows: tuple[Row, ...]


def coverage(digests: Iterable[Digest], now: float) -> Coverage:
    """Service against failure class; runs without a service count for "(no service)"."""
    tried: dict[tuple[str, str], list[Digest]] = {}
    for one in digests:
        for failure in one.classes:
            tried.setdefault((one.service or "(no service)", failure), []).append(one)
    classes = tuple(sorted({failure for _, failure in tried}))
    services = sorted({service for service, _ in tried})
    rows = tuple(Row(service, tuple(_cell(service, one, tried, now) for one in classes)) for service in services)
    return Coverage(_day(now).isoformat(), classes, rows)


def _cell(service: str, failure: str, tried: dict[tuple[str, str], list[Digest]], now: float) -> Cell | None:
    runs = tried.get((service, failure))
    if runs is None:
        return None
    sure = [one for one in runs if failure in one.covers]
    last = max(sure, key=_ended, default=None)
    days = None if last is None else max(0, (_day(now) - _day(_ended(last))).days)
    return Cell(service, failure, len(runs), len(sure), sum(one.finding == "HELD" for one in sure), last, days)


def freshness(days: int) -> float:
    """1 up to 30 days, then falling to 0 at 60."""
    left = (GONE_AFTER_DAYS - days) / (GONE_AFTER_DAYS - RED_AFTER_DAYS)
    return max(0.0, min(1.0, left))


def _ended(digest: Digest) -> float:
    return digest.started_at if digest.ended_at is None else digest.ended_at


def _day(at: float) -> dt.date:
    return dt.datetime.fromtimestamp(max(0.0, min(at, 253_402_300_799.0)), dt.UTC).date()
