"""The figures of a report: verdicts of clauses, before against during against after, blast radius. No IO."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from chaos_runner import compare, detection, expect, histogram
from chaos_runner.expect import Clause, unit_of
from chaos_runner.history import Run
from chaos_runner.model import Check
from chaos_runner.render import measured, text, words
from chaos_runner.render.measured import Cell, Ticks
from chaos_runner.render.planned import Planned
from chaos_runner.render.windows import Spans

NONE = "–"
NO_SHIFT = "none seen."
ALERTS_MAX = 100


class ClauseRow(msgspec.Struct, frozen=True):
    """The finding for one clause, in words and figures."""

    check: str
    clause: str
    state: str
    why: str
    good: str
    bad: str
    unknown: str
    share: str
    allowed: str


class PhaseRow(msgspec.Struct, frozen=True):
    """One check in one part of the run."""

    phase: str
    seconds: str
    figures: tuple[str, ...]


class CheckTable(msgspec.Struct, frozen=True):
    """One check before, during and after the fault; `shifts` say in sentences how far typical values moved."""

    check: str
    title: str
    probe: str
    columns: tuple[str, ...]
    rows: tuple[PhaseRow, ...]
    shifts: tuple[str, ...]
    gaps: str


def clauses(run: Run, plan: Planned) -> list[ClauseRow]:
    """Each judged clause; where nothing was judged, each planned one as what it is: not judged."""
    if run.clauses:
        return [
            ClauseRow(
                one.check,
                one.clause,
                one.state,
                text.one_line(one.why),
                text.number(one.good),
                text.number(one.bad),
                text.number(one.unknown),
                text.share(one.bad / (one.good + one.bad)) if one.good + one.bad else NONE,
                _allowed(plan, one.check, one.clause),
            )
            for one in run.clauses
        ]
    return [
        ClauseRow(name, clause, "not judged", "the run ended before it could be judged", NONE, NONE, NONE, NONE,
                  _allowed(plan, name, clause))
        for name, clause in _planned(plan)
    ]  # fmt: skip


def _planned(plan: Planned) -> list[tuple[str, str]]:
    """Each check with each of its clauses, then each alert with what is wanted of it."""
    every = [(name, one.text) for name, check in plan.steady_state.items() for one in check.during or check.expect]
    if plan.alerts is not None:
        every += [detection.fires(one) for one in plan.alerts.expect]
        every += [detection.silent(ref) for ref in plan.alerts.forbid]
    return every


def alerts(run: Run) -> list[tuple[str, str, str, str, str]]:
    """Each alert that was there: its name, labels, state, when it was seen firing, when it was gone."""
    return [
        (
            text.one_line(one.name, 200),
            text.one_line(words.labelled(one.labels)),
            text.one_line(one.state + (f" by {one.why}" if one.why else "")),
            text.clock(one.fired_t) if one.fired_t is not None else NONE,
            text.clock(one.gone_t) if one.gone_t is not None else NONE,
        )
        for one in run.alerts[:ALERTS_MAX]
    ]


def _allowed(plan: Planned, check: str, wanted: str) -> str:
    known = plan.steady_state.get(check)
    clause = next((one for one in known.clauses() if one.text == wanted), None) if known else None
    share = allowance(clause) if clause else None
    return text.share(share) if share is not None else NONE


def allowance(clause: Clause) -> float | None:
    """The share of bad events a clause allows; None for one about a gauge."""
    try:
        return expect.allowance(clause)
    except ValueError:
        return None


def is_gauge(clause: Clause, ticks: Ticks) -> bool:
    """Whether a clause is about readings rather than events."""
    return allowance(clause) is None or any(clause.metric in cell.values for cell in ticks.values())


def figure(clause: Clause | None) -> Callable[[float | None], str]:
    """How the values of a clause's metric are written: in the unit its author used."""
    operand = clause.text.split(clause.op, 1)[-1].strip() if clause else ""
    return {"duration": text.duration, "percent": text.share}.get(unit_of(operand), text.number)


def compared(plan: Planned, ticks: dict[str, Ticks], spans: Spans) -> list[CheckTable]:
    """Every check that was planned or measured, before, during and after."""
    names = list(plan.steady_state) + sorted(set(ticks) - set(plan.steady_state))
    return [_table(name, plan.steady_state.get(name), ticks.get(name, {}), spans) for name in names]


def _table(name: str, check: Check | None, ticks: Ticks, spans: Spans) -> CheckTable:
    parts = _parts(ticks, spans)
    known = check.clauses() if check else ()
    columns = _columns(known, ticks)
    rows = tuple(PhaseRow(phase, seconds, tuple(show(cell) for _, show in columns)) for phase, seconds, cell in parts)
    return CheckTable(
        check=name,
        title=(check.title if check else "") or name,
        probe=check.probe if check else text.MISSING,
        columns=tuple(label for label, _ in columns),
        rows=rows,
        shifts=tuple(_shifts(known, parts[0][2], parts[1][2])),
        gaps=_gaps(ticks, max(1, round(check.interval)) if check else 1),
    )


def _parts(ticks: Ticks, spans: Spans) -> list[tuple[str, str, Cell]]:
    chosen: list[tuple[str, Callable[[int], bool]]] = [
        ("before", lambda tick: spans.before is not None and spans.before.holds(tick)),
        ("during", spans.during),
        ("after", lambda tick: spans.after is not None and spans.after.holds(tick)),
    ]
    return [(phase, _seconds(ticks, inside), measured.pooled(ticks, inside)) for phase, inside in chosen]


def _seconds(ticks: Ticks, inside: Callable[[int], bool]) -> str:
    chosen = [cell for tick, cell in ticks.items() if inside(tick)]
    known = sum(cell.known() for cell in chosen)
    if not known:
        return "not measured"
    return text.counted(known, "second") if known == len(chosen) else f"{known} of {len(chosen)} seconds"


def _columns(known: tuple[Clause, ...], ticks: Ticks) -> list[tuple[str, Callable[[Cell], str]]]:
    events = [(n, one) for n, one in enumerate(known) if not is_gauge(one, ticks)]
    columns: list[tuple[str, Callable[[Cell], str]]] = []
    if any(cell.histogram for cell in ticks.values()):
        columns.append(("replies", lambda cell: _count(sum(cell.histogram.values()))))
        columns += [(label, _latency(q)) for label, q in (("median", 0.5), ("p95", 0.95), ("p99", 0.99))]
    for n, clause in events:
        columns.append((f"bad: {clause.text}", _bad(n)))
    for name in sorted({name for cell in ticks.values() for name in cell.values})[:6]:
        clause_of = next((one for one in known if one.metric == name), None)
        columns.append((f"{name}: n", _readings(name)))
        columns.append((f"{name}: lowest · median · highest", _range(name, figure(clause_of))))
    for n, clause in enumerate(known):
        if is_gauge(clause, ticks):
            columns.append((f"bad: {clause.text}", _bad(n)))
    columns.append(("unknown", _unknown))
    return columns


def _unknown(cell: Cell) -> str:
    return text.number(max(counts[2] for counts in cell.counts.values())) if cell.counts else NONE


def _count(count: int) -> str:
    return text.number(count) if count else NONE


def _latency(q: float) -> Callable[[Cell], str]:
    return lambda cell: text.duration(quantile(cell, q)) if cell.histogram else NONE


def _bad(clause: int) -> Callable[[Cell], str]:
    def show(cell: Cell) -> str:
        good, bad, _ = cell.events(clause)
        return (
            f"{text.share(bad / (good + bad))} ({text.number(bad)} of {text.number(good + bad)})"
            if good + bad
            else NONE
        )

    return show


def _readings(name: str) -> Callable[[Cell], str]:
    return lambda cell: _count(len(cell.values.get(name, ())))


def _range(name: str, show: Callable[[float | None], str]) -> Callable[[Cell], str]:
    def shown(cell: Cell) -> str:
        values = sorted(cell.values.get(name, ()))
        return " · ".join(map(show, (values[0], middle(values), values[-1]))) if values else NONE

    return shown


def middle(values: list[float]) -> float:
    """The median of sorted values."""
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def quantile(cell: Cell, q: float) -> float | None:
    """A latency quantile of a cell."""
    return histogram.quantile(sorted(cell.histogram.items()), q)


def _shifts(known: tuple[Clause, ...], before: Cell, during: Cell) -> list[str]:
    found = []
    latency = compare.compare_histograms(sorted(before.histogram.items()), sorted(during.histogram.items()))
    if latency is not None:
        found.append(_shift("latency", latency, text.duration))
    for name in sorted(set(before.values) & set(during.values))[:6]:
        values = compare.compare_values(before.values[name], during.values[name])
        if values is not None:
            show = figure(next((one for one in known if one.metric == name), None))
            found.append(_shift(name, values, show))
    return found


def _shift(name: str, found: compare.Comparison, show: Callable[[float | None], str]) -> str:
    if found.shift == found.low == found.high == 0:
        return f"Shift of {name} during the fault: {NO_SHIFT}"
    chance = text.share(found.effect)
    moved = f"{_signed(found.shift, show)} (95 % interval {_signed(found.low, show)} to {_signed(found.high, show)})"
    return f"Shift of {name} during the fault: {moved}; {chance} of values during it lie above one from before."


def _signed(value: float, show: Callable[[float | None], str]) -> str:
    return ("−" if value < 0 else "+" if value > 0 else "") + show(abs(value))


def _gaps(ticks: Ticks, interval: int) -> str:
    if not ticks:
        return "No sample was recorded."
    blind = [tick for tick in range(min(ticks), max(ticks) + 1) if not measured.seen(ticks, tick, interval)]
    if not blind:
        return ""
    why = next((cell.why for cell in (ticks[tick] for tick in blind if tick in ticks) if cell.why), "no sample")
    first = text.clock(blind[0], 0)
    return f"Not measured in {text.counted(len(blind), 'second')}, first at {first}: {text.one_line(why)}"
