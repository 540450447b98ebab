"""A small site: two experiments in two environments, every verdict, a break, a fall, actions, days and skips."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from chaos_runner.render.site import Site, pages
from chaos_runner.review.digest import Digest, Identity
from chaos_runner.review.follow import Action, DayLine, Skip
from tests.review.kit import DAY, NOON, SAME, run

WORDS = ("HELD", "HELD", "DEVIATED", "ABORTED", "UNKNOWN", "NOT_STARTED", "NOT_REVERTED", "UNFINISHED", "UNREADABLE")
EMPTY = Site((), now=NOON)


def digests(count: int = 60) -> list[Digest]:
    made = []
    for n in range(count):
        word = "HELD" if n < 12 else WORDS[n % len(WORDS)]
        fields: dict[str, Any] = {
            "experiment": ("slow-payments", "no-catalog")[n % 2],
            "service": ("checkout", "catalog")[n % 2],
            "environment": ("staging", "production")[n // 4 % 2],
            "title": ("Checkout survives slow payments", "Shop without a catalog")[n % 2],
            "source": "experiments/x.yaml",
            "why": "as the records say",
            "took_s": 60.5,
            "classes": (("slow-dependency",), ("dependency-down", "hang"))[n % 2],
            "identity": SAME if n < 40 else Identity(plan="p2", load="l2", environment="e", clauses="c"),
        }
        silent = word in ("NOT_STARTED", "UNREADABLE")
        made.append(run(n, word, None if silent else 0.1 + n % 7 / 500, **fields))
    return made


def site(count: int = 60, now: float = NOON + 62 * DAY) -> Site:
    made = digests(count)
    return Site(
        digests=tuple(made),
        now=now,
        reports=frozenset(one.run for one in made if int(one.run[1:]) % 3) | {"day-1"},
        days=(
            DayLine("day-1", "outage", "staging", NOON, "finished", ("r1", "r2"), 3, 2),
            DayLine("day-0", "outage", "staging", NOON - DAY, unreadable="fact 3 is damaged"),
        ),
        actions=(
            Action("a1", "day-1", "a timeout for payments", "ann", "2026-09-01", "P1", "experiments/x.yaml", True),
            Action("a2", "day-1", "a louder alert", "", "", "P2", "", False),
        ),
        skips=(Skip("nightly", "staging", NOON, "the error budget is spent", 3),),
    )


def built(whole: Site) -> dict[str, bytes]:
    return {page.name: page.make() for page in pages(whole)}


def poisoned(whole: Site, change: Callable[[str], str]) -> Site:
    """The site with every free text changed: names, reasons, classes, ids."""
    kept = {"word", "finding", "state", "due", "how", "identity", "cleanup", "stopped_by"}

    def changed(value: Any, name: str = "") -> Any:
        if isinstance(value, str):
            return change(value) if name not in kept and value else value
        if isinstance(value, dict):
            return {key: one if key in kept else changed(one, key) for key, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [changed(one, name) for one in value]
        return value

    return msgspec.convert(changed(msgspec.to_builtins(whole)), Site, strict=False)
