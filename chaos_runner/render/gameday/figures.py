"""The figures of a day as people read them: value, target, the two stamps and who says so. No IO."""

from __future__ import annotations

import msgspec

from chaos_runner.gameday.figures import Metric
from chaos_runner.gameday.metrics import PAIRS
from chaos_runner.gameday.stamps import Stamp, Told
from chaos_runner.render import text
from chaos_runner.render.gameday.told import Whole

STATES = {
    "met": "✓ met",
    "missed": "✗ missed",
    "measured": "no target",
    "contradictory": "? contradictory",
    "not recorded": "– not recorded",
}
TONES = {"met": "ok", "missed": "violated", "contradictory": "unknown"}
SOURCES = {"tool": "tool", "alertmanager": "alert", "person": "person"}
MOMENTS = {
    "injected": "fault confirmed",
    "symptom": "first violation of the steady state",
    "evidence": "definitive evidence",
    "detected": "detected",
    "acknowledged": "acknowledged",
    "mitigated": "users not harmed any more",
    "halt_asked": "halt asked for",
    "halt_done": "fault gone after the halt",
    "reverted": "undo verified",
    "restored": "steady state again",
}
MOMENTS_MAX = 40
BETWEEN = frozenset(one.key for one in PAIRS)  # the others are no differences of stamps


class Row(msgspec.Struct, frozen=True):
    """One figure in words."""

    key: str
    title: str
    value: str
    target: str
    state: str
    tone: str
    start: str
    end: str
    notes: tuple[str, ...]


def row(metric: Metric) -> Row:
    """A figure in words; what has no value says why."""
    notes = [*metric.doubts]
    if metric.why and metric.why not in notes:
        notes.insert(0, metric.why)
    return Row(
        key=metric.key,
        title=metric.title,
        value=shown(metric),
        target=_figure(metric.target, metric.unit) if metric.target is not None else "–",
        state=STATES[metric.state],
        tone=TONES.get(metric.state, ""),
        start=stamped(metric.start) if metric.key in BETWEEN else "–",
        end=stamped(metric.end) if metric.key in BETWEEN else "–",
        notes=tuple(text.one_line(one) for one in notes),
    )


def shown(metric: Metric) -> str:
    """The value with its unit; never a number where there is none."""
    return text.MISSING if metric.value is None else _figure(metric.value, metric.unit)


def _figure(value: float, unit: str) -> str:
    if unit == "share":
        return text.share(value)
    return text.duration(value) if unit == "s" else text.number(value)


def stamped(stamp: Stamp | None) -> str:
    """When, and who or what says so."""
    if stamp is None:
        return text.MISSING
    return f"{precise(stamp.at)} · {SOURCES[stamp.source]}: {text.one_line(stamp.name, 120)}"


def precise(at: float) -> str:
    """The time of day with tenths: stamps are subtracted from each other."""
    whole = text.utc(at)
    return whole if whole == text.MISSING else f"{whole[11:19]}.{int(at * 10) % 10}"


def moments(told: Told) -> list[tuple[str, str, str, str, str]]:
    """Every stamp of a run: what, T+ after the confirmed fault, when, by whom, in which words."""
    zero = told.first("injected")
    every = sorted((one.at, name, one) for name, stamps in told.moments.items() for one in stamps[:MOMENTS_MAX])
    return [
        (
            MOMENTS[name],
            text.duration(round(one.at - zero.at, 1), sign=True) if zero is not None else text.MISSING,
            precise(one.at),
            f"{SOURCES[one.source]}: {text.one_line(one.name, 120)}",
            text.one_line(one.text, 200),
        )
        for _, name, one in sorted(every, key=lambda found: (found[0], found[1], found[2].name))[:MOMENTS_MAX]
    ]


def alerts(whole: Whole) -> list[tuple[str, str, str, str, str, bool]]:
    """What became of each alert that the day or an experiment names."""
    return [
        (
            text.one_line(one.name, 200),
            "the day" if one.step < 0 else f"step {one.step + 1}",
            f"within {text.duration(one.within)}" if one.within is not None else one.wanted,
            one.fate,
            text.duration(one.took_s) if one.took_s is not None else text.one_line(one.why) or "–",
            one.well,
        )
        for one in whole.measured.alerts[:200]
    ]


def guesses(whole: Whole) -> list[tuple[str, str, str, str, str, str]]:
    """Each prediction against what came out."""
    return [
        (
            text.number(one.said.step + 1),
            text.one_line(one.said.who, 120),
            one.said.believed,
            text.share(one.said.confidence),
            f"{one.result}" + (f": {one.headline.replace('_', ' ')}" if one.headline else ""),
            text.one_line(one.said.text, 300),
        )
        for one in whole.measured.guesses[:200]
    ]
