"""The digest of a run: the few hundred bytes that trends, coverage and the list of all runs are made of. No IO."""

from __future__ import annotations

from typing import Any

import msgspec

DIGEST_VERSION = 1
"""Rises when a digest's fields, or what they mean, change: older digests are then made anew from the records."""

CONCLUSIVE = ("HELD", "DEVIATED")
Pair = tuple[float | None, float | None]
"""Before and during the fault; None where it was not measured."""


class Shift(msgspec.Struct, frozen=True, array_like=True):
    """By how much p95 moved, with a 95 % interval where there were enough replies for one. Seconds."""

    value: float
    low: float | None = None
    high: float | None = None


class CheckFigures(msgspec.Struct, frozen=True, omit_defaults=True):
    """One check before and during the fault: replies, latencies in seconds, the share of good requests."""

    check: str
    title: str = ""
    replies: tuple[int, int] = (0, 0)
    median: Pair = (None, None)
    p95: Pair = (None, None)
    shift: Shift | None = None
    success: Pair = (None, None)


class ClauseFigures(msgspec.Struct, frozen=True, array_like=True):
    """The finding for one clause."""

    check: str
    clause: str
    state: str
    good: int = 0
    bad: int = 0
    unknown: int = 0


class Identity(msgspec.Struct, frozen=True, omit_defaults=True):
    """What two runs must have in common to be points of one line; short hashes, empty where it cannot be read."""

    plan: str = ""
    load: str = ""
    environment: str = ""
    clauses: str = ""


class Digest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run. `word` is its headline, or NOT_STARTED; what was not measured is None, never 0.

    `classes` are the failure classes of all planned faults, `proven` of those whose effect was confirmed.
    """

    run: str
    started_at: float
    experiment: str = ""
    title: str = ""
    service: str = ""
    environment: str = ""
    source: str = ""
    word: str = "UNFINISHED"
    finding: str = ""
    stopped_by: str = ""
    cleanup: str = ""
    why: str = ""
    ended_at: float | None = None
    took_s: float | None = None
    classes: tuple[str, ...] = ()
    proven: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    touched: int = 0
    checks: tuple[CheckFigures, ...] = ()
    clauses: tuple[ClauseFigures, ...] = ()
    recovered: bool | None = None
    recovery_s: float | None = None
    decision_s: float | None = None
    halt_s: float | None = None
    harmed: int | None = None
    identity: Identity = Identity()

    @property
    def conclusive(self) -> bool:
        """Whether it says yes or no to its hypothesis."""
        return self.finding in CONCLUSIVE

    @property
    def covers(self) -> tuple[str, ...]:
        """The failure classes that it tells something about: proven to take effect, in a run that came to a finding."""
        return self.proven if self.conclusive else ()


_decoder = msgspec.json.Decoder(Digest)


def encoded(digest: Digest) -> bytes:
    """The same bytes for the same digest."""
    return msgspec.json.encode(digest)


def decoded(payload: bytes) -> Digest | None:
    """The digest, or None where these bytes are none."""
    try:
        return _decoder.decode(payload)
    except msgspec.MsgspecError:
        return None


def figures(digest: Digest, check: str) -> CheckFigures | None:
    """What a run measured of one check."""
    return next((one for one in digest.checks if one.check == check), None)


def values(digest: Digest) -> dict[str, Any]:
    """The digest as plain values, for programs."""
    found: dict[str, Any] = msgspec.to_builtins(digest)
    return found
