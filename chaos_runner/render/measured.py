"""Samples, gathered by check and tick, and cut down to as many columns as a chart has. No IO."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import msgspec

from chaos_runner.records import Sample
from chaos_runner.wire import Exemplar


class Cell(msgspec.Struct):
    """What one check measured in one tick, or in several that were put together."""

    counts: dict[int, list[int]] = {}
    histogram: dict[int, int] = {}
    values: dict[str, list[float]] = {}
    errors: int = 0
    stall_s: float = 0.0
    exemplars: list[Exemplar] = []
    why: str = ""

    def known(self) -> bool:
        """Whether anything at all was measured."""
        return bool(self.histogram or self.values) or any(one[0] or one[1] for one in self.counts.values())

    def events(self, clause: int) -> tuple[int, int, int]:
        """Good, bad and unknown of one clause."""
        good, bad, unknown = self.counts.get(clause, (0, 0, 0))
        return good, bad, unknown

    def bad_share(self, clause: int) -> float | None:
        """The share of bad among the known events; None where there are none."""
        good, bad, _ = self.events(clause)
        return bad / (good + bad) if good + bad else None


Ticks = dict[int, Cell]


def gathered(samples: list[Sample]) -> dict[str, Ticks]:
    """Cells by check and tick; the parts of a tick that came apart are put together."""
    found: dict[str, Ticks] = {}
    for sample in samples:
        _add(found.setdefault(sample.check, {}).setdefault(sample.tick, Cell()), sample)
    return found


def _add(cell: Cell, sample: Sample) -> None:
    for clause, good, bad, unknown in ((one.clause, one.good, one.bad, one.unknown) for one in sample.counts):
        seen = cell.counts.setdefault(clause, [0, 0, 0])
        seen[0], seen[1], seen[2] = seen[0] + good, seen[1] + bad, seen[2] + unknown
    if sample.histogram:
        merged(cell.histogram, sample.histogram)
    for name, value in sample.values.items():
        if math.isfinite(value):
            cell.values.setdefault(name, []).append(value)
    cell.errors += sample.errors
    cell.stall_s += sample.stall_s
    cell.exemplars.extend(sample.exemplars)
    cell.why = cell.why or sample.why


def merged(into: dict[int, int], histogram: Iterable[tuple[int, int]]) -> None:
    """Adds a histogram to another."""
    for bucket, count in histogram:
        into[bucket] = into.get(bucket, 0) + count


def pooled(ticks: Ticks, chosen: Callable[[int], bool]) -> Cell:
    """All chosen ticks in one cell."""
    return together(ticks[tick] for tick in sorted(ticks) if chosen(tick))


def together(cells: Iterable[Cell]) -> Cell:
    """Several cells as one."""
    whole = Cell()
    for cell in cells:
        for clause, counts in cell.counts.items():
            seen = whole.counts.setdefault(clause, [0, 0, 0])
            whole.counts[clause] = [one + two for one, two in zip(seen, counts, strict=True)]
        merged(whole.histogram, cell.histogram.items())
        for name, values in cell.values.items():
            whole.values.setdefault(name, []).extend(values)
        whole.errors += cell.errors
        whole.stall_s += cell.stall_s
        whole.why = whole.why or cell.why
    return whole


class Column(msgspec.Struct, frozen=True):
    """One pixel column of a chart: ticks [first, last], and how many of them nobody measured."""

    first: int
    last: int
    cell: Cell
    blind: int


def columns(ticks: Ticks, first: int, last: int, most: int, interval: int = 1) -> list[Column]:
    """At most `most` columns over [first, last]. A probe that reads every `interval` ticks is not blind in between."""
    width = max(1, math.ceil((last - first + 1) / most))
    found = []
    for start in range(first, last + 1, width):
        stop = min(start + width - 1, last)
        cells = [ticks[tick] for tick in range(start, stop + 1) if tick in ticks]
        blind = sum(not seen(ticks, tick, interval) for tick in range(start, stop + 1))
        found.append(Column(start, stop, cells[0] if len(cells) == 1 else together(cells), blind))
    return found


def seen(ticks: Ticks, tick: int, interval: int) -> bool:
    """Whether a reading covers this tick: its own, or the last one while the next is not yet due."""
    near = (ticks.get(earlier) for earlier in range(tick, tick - interval, -1))
    cell = next((one for one in near if one is not None), None)
    return cell is not None and cell.known()
