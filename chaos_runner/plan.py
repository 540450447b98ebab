"""A plan: the experiment with its targets resolved and its seed, exactly what will be done. No IO.

`make` turns what was discovered into a Plan, or into a Refusal that says in one sentence why nothing will start.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chaos_runner.model import Confirmation, Environment, Experiment
from chaos_runner.records import Target

VERSION = 1


class Refusal(Exception):
    """Nothing was started; the sentence says why and what to do. Exit code 3."""


class PlannedFault(msgspec.Struct, frozen=True):
    """One fault on one target. `step` is the position in `method`; `lane` tells parallel steps of one step apart."""

    n: int
    step: int
    lane: int
    name: str
    kind: str
    version: int
    params: dict[str, Any]
    target: Target
    aspect: str
    hold_s: float
    reversible: bool
    confirm: tuple[Confirmation, ...] = ()


class Selection(msgspec.Struct, frozen=True):
    """How a step's targets came about: what matched, what the rounding did, what was picked."""

    step: int
    lane: int
    asked: str
    matched: tuple[str, ...]
    picked: tuple[str, ...]
    rounding: str = ""


class ClauseForecast(msgspec.Struct, frozen=True):
    """How many events a clause will have in the shortest fault window, and how many its verdict needs."""

    check: str
    clause: str
    events: float
    needed: int


class Plan(msgspec.Struct, frozen=True):
    """Everything a run needs, with secrets as references; running it twice hits the very same targets."""

    experiment: Experiment
    environment: str
    connections: Environment
    seed: int
    faults: tuple[PlannedFault, ...]
    selections: tuple[Selection, ...] = ()
    forecasts: tuple[ClauseForecast, ...] = ()
    warnings: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    bound_s: float = 0.0
    worst_case_s: float = 0.0
    source: str = ""
    text: str = ""
    sha256: str = ""
    version: int = VERSION
