"""The safety record of a run: blast radius, proofs for each fault, how fast it stopped. No IO."""

from __future__ import annotations

from typing import Any

import msgspec

from chaos_runner import records
from chaos_runner.expect import clause as parsed
from chaos_runner.expect import percentile
from chaos_runner.history import FaultView, Run
from chaos_runner.plan import PlannedFault
from chaos_runner.records import Entry
from chaos_runner.render import story, text, words
from chaos_runner.render.measured import Ticks
from chaos_runner.render.planned import Planned
from chaos_runner.render.tables import NONE
from chaos_runner.render.windows import Spans, Window

NOTES_MAX = 20
Pairs = tuple[tuple[str, str], ...]


class Radius(msgspec.Struct, frozen=True):
    """One measure of the blast radius, from what was asked for to what was touched."""

    what: str
    asked: str
    ceiling: str
    planned: str
    touched: str


class FaultCard(msgspec.Struct, frozen=True):
    """One fault: what it was, the proof of its effect, the proof of its undo."""

    heading: str
    proven: bool
    undone: bool
    facts: Pairs
    trouble: tuple[str, ...]
    figures: tuple[tuple[str, Pairs], ...]


def radius(run: Run, plan: Planned, spans: Spans) -> list[Radius]:
    """The blast radius: requested, allowed, planned, touched."""
    asked, most = plan.blast_radius, plan.ceilings
    targets = {one.fault.target.key for one in spans.windows}
    longest = max((one.span.end - one.span.start for one in spans.windows if one.fault.reversible), default=None)
    held = max((one.hold_s for one in plan.faults if one.reversible), default=None)
    keep = [f"{name}: {count}" for name, count in sorted(asked.keep_available.items())] if asked else []
    return [
        Radius("targets at once", _n(_said(asked, "at_once")), _n(_said(most, "at_once")), NONE, _n(_at_once(spans))),
        Radius("targets in total", _n(_said(asked, "in_total")), _n(_said(most, "in_total")),
               _n(len({one.target.key for one in plan.faults})), _n(len(targets))),
        Radius("share of a selector", _percent(_said(asked, "percent_of_selector")),
               _percent(_said(most, "percent_of_selector")), NONE, NONE),
        Radius("longest fault", text.duration(_said(asked, "max_duration")), text.duration(_said(most, "max_duration")),
               text.duration(held) if held else NONE, text.duration(longest) if longest else NONE),
        Radius("must stay available", text.listed(keep) if keep else "nothing named", NONE, NONE, NONE),
        *_hit(run, plan),
    ]  # fmt: skip


def _hit(run: Run, plan: Planned) -> list[Radius]:
    """For each fault with a limit of its own: how many connections or requests it was allowed, and how many it hit."""
    seen = {one.fault: one.figures for one in run.evidence}
    return [
        _capped(one, most, seen.get(f"{run.id}.{one.n}", {}))
        for one in plan.faults
        if isinstance(most := one.params.get("max_affected"), int) and most > 0
    ]


def _capped(fault: PlannedFault, most: int, figures: dict[str, float]) -> Radius:
    what = "requests" if "hits" in figures or fault.kind.startswith("http_") else "connections"
    hit = figures.get("hits", figures.get("affected"))
    touched = "none seen" if hit is None else f"{text.number(hit)} when last counted"
    allowed = f"{text.number(most)} {what}"
    return Radius(f"hit by {text.one_line(fault.name, 120)}", allowed, NONE, allowed, touched)


def _said(part: object, name: str) -> Any:
    return getattr(part, name, None)


def _n(count: int | None) -> str:
    return text.MISSING if count is None else text.number(count)


def _percent(count: int | None) -> str:
    return text.MISSING if count is None else f"{count} %"


def _at_once(spans: Spans) -> int:
    starts = [one.span.start for one in spans.windows]
    open_at = [{one.fault.target.key for one in spans.windows if one.span.start <= t < one.span.end} for t in starts]
    return max(map(len, open_at), default=0)


def selections(plan: Planned) -> list[tuple[str, str, str, str, str]]:
    """For each step: what was asked, what matched, what was picked, what rounding did and what limited it."""
    return [
        (
            text.number(one.step + 1),
            one.asked,
            f"{len(one.matched)}: {_names(one.matched)}",
            f"{len(one.picked)}: {_names(one.picked)}",
            "; ".join(text.one_line(said, 300) for said in (one.rounding or "no rounding", *one.notes[:NOTES_MAX])),
        )
        for one in plan.selections
    ]


def _names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(text.one_line(name, 120) for name in names[:20]) + more if names else "none"


def cards(run: Run, plan: Planned, spans: Spans) -> list[FaultCard]:
    """One card for each fault that has records, in order of their intents."""
    windows = {one.fault.id: one for one in spans.windows}
    return [_card(run, plan, view, windows.get(view.id)) for view in run.faults.values()]


def _card(run: Run, plan: Planned, view: FaultView, window: Window | None) -> FaultCard:
    planned = next((one for one in plan.faults if (one.step, one.target.key, one.kind) ==
                    (view.step, view.target.key, view.kind)), None)  # fmt: skip
    params = planned.params if planned else view.undo.get("params", {})
    told = text.one_line(planned.said) if planned and planned.said else _params(params)
    facts = (
        ("target", view.target.key + (f" (uid {view.target.uid})" if view.target.uid else "")),
        ("fault", f"{view.kind}: {told or 'no parameters'}"),
        ("active", _active(window)),
        ("planned for", text.duration(planned.hold_s) if planned else text.MISSING),
        ("effect", _effect(view)),
        ("undo", _undo(view, window)),
        *_replaced(view),
        ("changes by others", view.drift or "none seen"),
    )
    figures = tuple(
        (one.title, tuple((name, text.number(one.figures[name])) for name in sorted(one.figures)))
        for one in run.evidence
        if one.fault == view.id
    )
    heading = (planned.name if planned else "") or f"{view.kind} on {view.target.key}"
    undone = view.verified or view.state in ("CLOSED", "SPENT")
    return FaultCard(heading, view.confirmed_how not in ("", "none"), undone, facts, tuple(view.trouble[:20]), figures)


def _params(params: object) -> str:
    if not isinstance(params, dict):
        return ""
    told = ", ".join(f"{text.one_line(key, 60)} {_param(value)}" for key, value in params.items() if value is not None)
    return told + (
        " (in seconds, bytes and shares of 1)" if any(isinstance(one, float) for one in params.values()) else ""
    )


def _param(value: object) -> str:
    return text.number(value) if isinstance(value, float) else text.one_line(value, 120)


def _active(window: Window | None) -> str:
    if window is None:
        return "never: the target refused it, and a read showed that nothing was there"
    start, end = window.span.start, window.span.end
    if window.open_end:
        return f"since {text.clock(start)}, no proof that it ended"
    return f"{text.clock(start)} to {text.clock(end)}, {text.duration(end - start)}"


def _effect(view: FaultView) -> str:
    if view.confirmed_t is None:
        return "not confirmed: nothing showed that the fault took effect"
    how = words.HOW.get(view.confirmed_how, view.confirmed_how)
    return f"confirmed at {text.clock(view.confirmed_t)} {how}: {view.evidence or 'no figures recorded'}"


def _replaced(view: FaultView) -> Pairs:
    if view.reversible or view.state != "SPENT":
        return ()
    took = f"by {view.replaced} after {text.duration(view.replaced_s)}" if view.replaced else "by nothing in time"
    return (("replaced", took),)


def _undo(view: FaultView, window: Window | None) -> str:
    if not view.reversible:
        return "cannot be undone; the step watches for a replacement instead"
    if window is None:
        return "nothing to undo"
    sent = (
        f"sent at {text.clock(view.undo_t, 3)} by the {view.undone_by or 'runner'}" if view.undo_t is not None else ""
    )
    if view.gone_t is None:
        return f"{sent or 'no undo recorded'}; no read has shown the fault gone"
    seen = "gone by a later read at" if view.verified else "gone by the target's word, NOT verified, at"
    took = f", {text.duration(view.gone_t - view.undo_t)} after it was sent" if view.undo_t is not None else ""
    return f"{sent or 'sending not recorded'}; {seen} {text.clock(view.gone_t, 3)}{took}"


def stopping(run: Run, plan: Planned, ticks: dict[str, Ticks], entries: list[Entry]) -> Pairs:
    """Why and how fast it stopped, and what stood ready to undo."""
    pairs = [*_decision(run, plan, ticks), *_halt(run)]
    pairs.append(("undo layers in place", text.listed(list(plan.layers)) or text.MISSING))
    bound = text.duration(plan.bound_s) if plan.bound_s else text.MISSING
    pairs.append(("undone at the latest, if the runner dies", bound))
    pairs.append(
        ("worst case of a fault's life", text.duration(plan.worst_case_s) if plan.worst_case_s else text.MISSING)
    )
    pairs.append(("guardian", _guardian(entries)))
    pairs.append(("clean-up", run.outcome.cleanup if run.outcome else text.MISSING))
    return tuple(pairs)


def _decision(run: Run, plan: Planned, ticks: dict[str, Ticks]) -> Pairs:
    tripped = run.tripped
    if tripped is None:
        return (("stopped early", "no" if run.outcome else text.MISSING),)
    by = words.STOPPED.get(tripped.stopped_by, tripped.stopped_by)
    found = [("stopped early by", f"{by}: {tripped.why}"), ("decided at", text.clock(tripped.decided_t, 3))]
    injected = [one.injected_t for one in run.faults.values() if one.injected_t is not None]
    if injected:
        found.append(("from injection to decision", text.duration(tripped.decided_t - min(injected))))
    first = _first_bad(run, plan, ticks)
    if first is not None:
        found.append(("from the first bad second to decision", text.duration(tripped.decided_t - first)))
        found.append(("promised for a saturating breach", _promise(plan, tripped)))
    return tuple(found)


def _first_bad(run: Run, plan: Planned, ticks: dict[str, Ticks]) -> float | None:
    tripped = run.tripped
    check = plan.steady_state.get(tripped.check) if tripped else None
    if tripped is None or check is None:
        return None
    index = next((n for n, one in enumerate(check.clauses()) if one.text == tripped.clause), None)
    since = min((one.injected_t for one in run.faults.values() if one.injected_t is not None), default=0.0)
    mine = ticks.get(tripped.check, {})
    bad = [
        t for t in mine if index is not None and t + 1 > since and t < tripped.decided_t and mine[t].events(index)[1]
    ]
    return max(float(min(bad)), since) if bad else None


def _promise(plan: Planned, tripped: records.AbortTripped) -> str:
    if plan.abort is None:
        return text.MISSING
    try:
        limit = parsed(tripped.clause)
    except ValueError:
        return text.MISSING
    own = float(limit.value) if percentile(limit.metric) is not None and isinstance(limit.value, float) else 0.0
    return f"{text.duration(plan.abort.patience(tripped.check) + own + 2)} (patience, the clause's limit, two ticks)"


def _halt(run: Run) -> Pairs:
    if run.tripped is None:
        return ()
    latency = story.halt_latency(run)
    return (
        ("from decision to fault gone", text.duration(latency) if latency is not None else "no proof that it is gone"),
    )


def _guardian(entries: list[Entry]) -> str:
    ready = next((one for one in entries if isinstance(one.record, records.GuardianReady)), None)
    lost = next((one for one in entries if isinstance(one.record, records.GuardianLost)), None)
    if lost is not None:
        return f"lost at {text.clock(lost.t)}"
    return f"ready at {text.clock(ready.t)}" if ready else text.MISSING
