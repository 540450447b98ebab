"""The stored plan as reports need it. No IO.

An old or damaged plan still renders: a field that cannot be read costs that field, and is named in `unreadable`.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from chaos_runner import model
from chaos_runner.environment import Ceilings
from chaos_runner.history import Run
from chaos_runner.plan import ClauseForecast, PlannedFault, Selection
from chaos_runner.render import text

T = TypeVar("T")


class Step(msgspec.Struct, frozen=True):
    """One step of the method, of any shape."""

    fault: str = ""
    name: str = ""
    target: dict[str, Any] = {}
    with_: dict[str, Any] = msgspec.field(name="with", default_factory=dict)
    for_: float | None = msgspec.field(name="for", default=None)
    pause: float | None = None
    parallel: tuple[dict[str, Any], ...] = ()


class Planned(msgspec.Struct):
    """What was going to be done, as far as it can be read."""

    name: str = ""
    title: str = ""
    hypothesis: str = ""
    owner: str = ""
    service: str = ""
    steady_state: dict[str, model.Check] = {}
    blast_radius: model.BlastRadius | None = None
    abort: model.Abort | None = None
    alerts: model.Alerts | None = None
    recovery: model.Recovery | None = None
    baseline: float | None = None
    method: tuple[Step, ...] = ()
    environment: str = ""
    ceilings: Ceilings | None = None
    protected: tuple[str, ...] = ()
    connections: tuple[tuple[str, str], ...] = ()
    seed: int | None = None
    faults: tuple[PlannedFault, ...] = ()
    selections: tuple[Selection, ...] = ()
    forecasts: tuple[ClauseForecast, ...] = ()
    warnings: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    bound_s: float | None = None
    worst_case_s: float | None = None
    source: str = ""
    text: str = ""
    sha256: str = ""
    unreadable: tuple[str, ...] = ()

    def heading(self, run: str) -> str:
        """What the report calls itself."""
        return self.title or self.name or f"run {run}"

    def reproduce(self) -> str:
        """The command that runs the same plan again."""
        if not self.source and not self.name:
            return ""
        words = ["chaos-runner", "run", self.source or f"{self.name}.yaml"]
        words += ["-e", self.environment] if self.environment else []
        words += ["--seed", str(self.seed)] if self.seed is not None else []
        return command(words)

    def recover(self) -> str:
        """The command that undoes what is left."""
        return command(["chaos-runner", "recover", *(["-e", self.environment] if self.environment else [])])


def command(words: list[str]) -> str:
    """A command line that a shell reads as these words, with nothing hidden in it."""
    return " ".join(shlex.quote(text.one_line(word, 2000)) for word in words)


def read(run: Run) -> Planned:
    """The plan of a run, as far as it can be read."""
    plan = run.plan
    experiment = _table(plan.get("experiment"))
    connections = _table(plan.get("connections"))
    lost: list[str] = []
    found = Planned(connections=tuple(_connections(connections)))
    for name, kind in _fields(Planned):
        source = experiment if name in _OF_EXPERIMENT else plan
        if name in source:
            _take(found, name, source[name], kind, lost)
    # an omitted part of a readable experiment means the defaults, not a loss
    if experiment:
        _defaults(found, lost)
    if connections:
        _take(found, "ceilings", connections.get("ceilings", {}), Ceilings, lost)
        _take(found, "protected", connections.get("protected", ()), tuple[str, ...], lost)
    found.unreadable = tuple(lost)
    return found


_OF_EXPERIMENT = frozenset(one.name for one in msgspec.structs.fields(model.Experiment))


@functools.cache  # what the fields are has to be compiled from their names: half the time of reading a plan
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    skipped = {"unreadable", "connections", "ceilings", "protected"}
    return tuple((one.name, one.type) for one in msgspec.structs.fields(kind) if one.name not in skipped)


def _defaults(found: Planned, lost: list[str]) -> None:
    if found.abort is None and "abort" not in lost:
        found.abort = model.Abort()
    if found.recovery is None and "recovery" not in lost:
        found.recovery = model.Recovery()
    if found.baseline is None and "baseline" not in lost:
        found.baseline = 30.0


def _take(found: Planned, name: str, value: object, kind: Any, lost: list[str]) -> None:
    try:
        setattr(found, name, msgspec.convert(value, kind))
    except msgspec.ValidationError:
        lost.append(name)


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _connections(connections: dict[str, Any]) -> Iterator[tuple[str, str]]:
    proxy = _table(connections.get("toxiproxy"))
    if proxy:
        yield "toxiproxy", str(proxy.get("url", ""))
    cluster = _table(connections.get("cluster"))
    if cluster:
        where = " ".join(str(cluster[key]) for key in ("kubeconfig", "context") if cluster.get(key))
        yield "cluster", f"{where}, uid {cluster.get('uid') or 'not named'}"
    for name in ("prometheus", "alertmanager"):
        if server := _table(connections.get(name)):
            yield name, str(server.get("url", ""))
    for name, address in sorted(_table(connections.get("services")).items()):
        yield f"service {name}", str(address)
    for name in sorted(_table(connections.get("processes"))):
        yield f"process {name}", "by pid"
