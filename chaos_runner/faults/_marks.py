"""What a run leaves on a proxy to be known by: toxics, a marker, a fence; and who holds a proxy by them. No IO."""

from __future__ import annotations

import datetime as dt
import math
import re

from chaos_runner.clients.toxics import Proxy, Toxic

MARK = r"cx\.[a-z0-9-]{1,63}\.\d+\.\d+"
PREFIX = "cx."
FENCE_STREAM = "upstream"  # clients that do not read stall the downstream chain; touching it could deadlock the server
STAGED = 0.5  # a toxicity that no other mark has; the API keeps nothing else of a noop
DIGITS_MAX = 11  # of seconds; more than any date has


def marked(name: str) -> bool:
    """Whether this is a mark of ours."""
    return re.fullmatch(MARK, name) is not None


def is_fence(toxic: Toxic) -> bool:
    """Whether this toxic only occupies its name."""
    return toxic.type == "noop" and toxic.toxicity == 0


def is_marker(toxic: Toxic) -> bool:
    """Whether this toxic says that a run has disabled the proxy."""
    return marked(toxic.name) and toxic.type == "noop" and not is_fence(toxic) and not is_stage(toxic)


def is_stage(toxic: Toxic) -> bool:
    """Whether this toxic says that a run leads the proxy through an HTTP stage, or is about to."""
    return marked(toxic.name) and toxic.type == "noop" and toxic.toxicity == STAGED


def fence(mark: str) -> Toxic:
    """A toxic that does nothing but occupy its name."""
    return Toxic(name=mark, type="noop", stream=FENCE_STREAM, toxicity=0.0)


def marker(mark: str) -> Toxic:
    """A toxic that does nothing but say who disabled the proxy."""
    return Toxic(name=mark, type="noop", stream=FENCE_STREAM, toxicity=1.0)


def stage(mark: str) -> Toxic:
    """A toxic that does nothing but say who leads the proxy through an HTTP stage."""
    return Toxic(name=mark, type="noop", stream=FENCE_STREAM, toxicity=STAGED)


def held(proxy: Proxy, mark: str, now: float, environment: str) -> str:
    """Which other run than the mark's holds the proxy, and what to do, as a sentence; empty where none does."""
    others = [toxic for toxic in proxy.toxics if marked(toxic.name) and run_of(toxic.name) != run_of(mark)]
    if not others:
        return ""
    clean = f"chaos-runner recover in that run's folder, or chaos-runner janitor -e {environment}"
    return f"proxy/{proxy.name} {_by(others[0], now)}: {clean}"


def _by(toxic: Toxic, now: float) -> str:
    run, until = run_of(toxic.name), _expiry(toxic.name)
    if is_fence(toxic):
        return f"is fenced by run {run} ({toxic.name}): a request of it may still land; to look, and end that"
    what = "its marker that it is down" if is_marker(toxic) else f"its {toxic.type} toxic"
    what = "its HTTP stage" if is_stage(toxic) else what
    if until < now:
        return f"is still held by run {run}: {what} ({toxic.name}) expired {_date(until)}; to undo it"
    return f"is held by run {run}: {what} ({toxic.name}) may stay {_told(until)}; if that run is dead"


def run_of(mark: str) -> str:
    """The run id inside a mark."""
    return mark.split(".")[1]


def _expiry(mark: str) -> float:
    digits = mark.rpartition(".")[2]
    return float(digits) if len(digits) <= DIGITS_MAX else math.inf


def _told(at: float) -> str:
    return "for ever" if math.isinf(at) else f"until {_date(at)}"


def _date(at: float) -> str:
    return f"{dt.datetime.fromtimestamp(at, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
