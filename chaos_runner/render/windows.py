"""When things were: phases, fault windows, and the spans that before, during and after mean. No IO."""

from __future__ import annotations

import msgspec

from chaos_runner import records
from chaos_runner.history import FaultView, Run
from chaos_runner.records import Entry, Sample

OPEN = frozenset({"INTENT", "INJECTED", "UNKNOWN", "UNDOING", "STUCK", "FORGOTTEN", "WATCHING"})


class Span(msgspec.Struct, frozen=True):
    """A stretch of the run, in seconds since its start."""

    start: float
    end: float

    def holds(self, tick: int) -> bool:
        """Whether the whole second of this tick lies inside."""
        return tick >= self.start and tick + 1 <= self.end


class Window(msgspec.Struct, frozen=True):
    """The time a fault was (or may have been) on its target."""

    fault: FaultView
    span: Span
    judged: Span | None
    open_end: bool


class Spans(msgspec.Struct, frozen=True):
    """All the times a report speaks of."""

    end: float
    phases: tuple[tuple[str, Span, int], ...]
    windows: tuple[Window, ...]
    before: Span | None
    after: Span | None

    def during(self, tick: int) -> bool:
        """Whether this tick lies in a window whose events are judged."""
        return any(one.judged is not None and one.judged.holds(tick) for one in self.windows)


def touched(view: FaultView) -> bool:
    """Whether a request of this fault may have reached its target; a refused one did not."""
    return not (view.state == "CLOSED" and view.injected_t is None and view.undo_t is None)


def left(view: FaultView) -> bool:
    """Whether this fault may still be on its target."""
    return touched(view) and view.state in OPEN


def spans(run: Run, entries: list[Entry], samples: list[Sample]) -> Spans:
    """The times of a run, finished or not."""
    end = _end(run, entries, samples)
    over = {e.record.fault: e.t for e in entries if isinstance(e.record, records.FaultSpent | records.FaultClosed)}
    windows = tuple(_window(view, over.get(view.id), end) for view in run.faults.values() if touched(view))
    return Spans(end, _phases(run, end), windows, _before(run, end), _after(windows, end))


def _end(run: Run, entries: list[Entry], samples: list[Sample]) -> float:
    known = [entry.t for entry in entries] + [sample.tick + 1.0 for sample in samples]
    return max([1.0, run.ended_t or 0.0, *known])


def _phases(run: Run, end: float) -> tuple[tuple[str, Span, int], ...]:
    found = []
    for n, (start, phase, step) in enumerate(run.phases):
        until = run.phases[n + 1][0] if n + 1 < len(run.phases) else end
        if phase != "ended" and until > start:
            found.append((phase, Span(start, until), step))
    return tuple(found)


def _window(view: FaultView, over: float | None, end: float) -> Window:
    start = view.intent_t if view.injected_t is None else view.injected_t
    gone = view.gone_t if view.gone_t is not None else over
    judged_to = view.undo_t if view.undo_t is not None else gone if gone is not None else end
    judged = Span(view.injected_t, judged_to) if view.injected_t is not None else None
    return Window(view, Span(start, end if gone is None else gone), judged, gone is None and left(view))


def _before(run: Run, end: float) -> Span | None:
    began = next((t for t, phase, _ in run.phases if phase == "baseline"), None)
    if began is None:
        return None
    first = min((view.intent_t for view in run.faults.values()), default=end)
    return Span(began, first)


def _after(windows: tuple[Window, ...], end: float) -> Span | None:
    if not windows or any(one.open_end for one in windows):
        return None
    gone = max(one.span.end for one in windows)
    return Span(gone, end) if gone < end else None
