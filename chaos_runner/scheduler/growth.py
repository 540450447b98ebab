"""How far a schedule may reach: small at first, further after clean runs, back after a failure. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chaos_runner.model import Experiment, Pick
from chaos_runner.store import SlotRow
from chaos_runner.when import Growth

OUTCOMES_MAX = 500  # of one schedule: so far back its level is counted


class Ended(msgspec.Struct, frozen=True):
    """How one run of a schedule came out, and how far it reached."""

    level: int
    headline: str


def level(growth: Growth | None, outcomes: Iterable[Ended]) -> int:
    """The level for the next run, from the runs before it, the oldest first; the top is the file's own radius.

    So many clean runs in a row lead to the next level. UNKNOWN is not clean: the count begins anew. A failure leads
    one level down.
    """
    if growth is None:
        return 0
    now = clean = 0
    for ended in outcomes:
        if ended.headline == "HELD":
            clean += ended.level >= now  # a run that reached less far shows nothing about this level
            if clean >= growth.clean:
                now, clean = min(now + 1, len(growth.steps)), 0
        elif ended.headline:
            now, clean = now - (now > 0 and ended.headline != "UNKNOWN"), 0
    return now


def outcomes(rows: Iterable[SlotRow]) -> list[Ended]:
    """How the runs among these decisions came out, the oldest first; the rows are newest first.

    One that people ended came to nothing.
    """
    return [Ended(row.level, row.headline) for row in rows if row.state == "ENDED" and not row.halted][::-1]


def reach(growth: Growth | None, level: int) -> Pick | None:
    """How far a run of this level may go; None for all that its file allows."""
    return growth.steps[level] if growth is not None and level < len(growth.steps) else None


def narrowed(experiment: Experiment, reach: Pick | None) -> Experiment:
    """The experiment with a blast radius that goes no further; never wider than its file."""
    if reach is None:
        return experiment
    radius = experiment.blast_radius
    if reach.share:
        share = min(radius.percent_of_selector, max(1, int(reach.share * 100 + 1e-9)))
        small = msgspec.structs.replace(radius, percent_of_selector=share)
    else:
        most = reach.number
        small = msgspec.structs.replace(radius, at_once=min(radius.at_once, most), in_total=min(radius.in_total, most))
    return msgspec.structs.replace(experiment, blast_radius=small)
