"""Whether a fault was shown to take effect. Pure: samples and figures in, a verdict with a sentence out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from chaos_runner import histogram
from chaos_runner.expect import percentile
from chaos_runner.model import Confirmation
from chaos_runner.records import FaultConfirmed, FaultUnconfirmed, Sample

# Below this share of the checks' own request rate, what passed the proxy before the fault was somebody else's.
OWN_TRAFFIC = 0.1


class Effect(msgspec.Struct):
    """What is known about one fault's effect so far."""

    fault: str
    confirm: tuple[Confirmation, ...] = ()
    able: bool = False
    before: dict[str, float] = {}
    evidence: str = ""
    how: Literal["counters", "exchange"] = "counters"
    shown_t: float | None = None
    absent: str = ""


def verdict(
    effect: Effect, baseline: Collection[int], window: Collection[int], samples: Sequence[Sample], load_rate: float
) -> FaultConfirmed | FaultUnconfirmed:
    """By the step's own `confirm:`, else by what the fault measured of itself, else unconfirmed."""
    if any(one.text == "read-back" for one in effect.confirm):
        return FaultConfirmed(fault=effect.fault, how="read-back", evidence="the target shows the fault (read back)")
    if effect.confirm:
        return _by_checks(effect, baseline, window, samples)
    if not effect.evidence:
        why = "nothing that passed the target was affected" if effect.able else "nothing here can show its effect"
        return FaultUnconfirmed(fault=effect.fault, why=why)
    if not own_traffic(effect.before, load_rate):
        rate = effect.before["exchanges_per_s"]
        why = f"the checks send {load_rate:g} requests/s, but only {rate:g}/s passed the target before the fault"
        return FaultUnconfirmed(fault=effect.fault, why=f"{why}: what was hit is somebody else's traffic")
    return FaultConfirmed(fault=effect.fault, how=effect.how, evidence=effect.evidence)


def own_traffic(before: Mapping[str, float], load_rate: float) -> bool:
    """Whether the checks' own requests can have been what passed the target before the fault."""
    return "exchanges_per_s" not in before or before["exchanges_per_s"] >= OWN_TRAFFIC * load_rate


def _by_checks(
    effect: Effect, baseline: Collection[int], window: Collection[int], samples: Sequence[Sample]
) -> FaultConfirmed | FaultUnconfirmed:
    said = [_moved(one, baseline, window, samples) for one in effect.confirm]
    sentence = "; ".join(text for _ok, text in said)
    if all(ok for ok, _text in said):
        return FaultConfirmed(fault=effect.fault, how="confirm", evidence=sentence)
    return FaultUnconfirmed(fault=effect.fault, why=sentence)


def _moved(
    one: Confirmation, baseline: Collection[int], window: Collection[int], samples: Sequence[Sample]
) -> tuple[bool, str]:
    old, new = _level(one, baseline, samples), _level(one, window, samples)
    if old is None or new is None:
        return False, f"{one.check} {one.metric} was not measured"
    moved = new - old if one.direction == "rises" else old - new
    text = f"{one.check} {one.metric} went from {_shown(one, old)} to {_shown(one, new)} (needed: {one.text})"
    return moved >= one.by, text


def _level(one: Confirmation, ticks: Collection[int], samples: Iterable[Sample]) -> float | None:
    chosen = [sample for sample in samples if sample.check == one.check and sample.tick in ticks]
    share = percentile(one.metric)
    if share is not None:
        merged = histogram.merge(sample.histogram for sample in chosen)
        return histogram.quantile(merged, share) if merged else None
    values = sorted(sample.values[one.metric] for sample in chosen if one.metric in sample.values)
    return values[len(values) // 2] if values else None


def _shown(one: Confirmation, value: float) -> str:
    return f"{value * 1000:.0f} ms" if percentile(one.metric) is not None or one.metric == "latency" else f"{value:g}"
