"""What the control plane says to its nodes and its network, and what they say back: lines of JSON through pipes."""

from __future__ import annotations

import msgspec

from chaos_runner import wire


class Check(msgspec.Struct, frozen=True):
    """How a node finds out whether a pod is ready: an HTTP request to it."""

    port: int
    path: str = "/readyz"
    delay_s: float = 0.0
    every_s: float = 1.0
    timeout_s: float = 1.0
    failures: int = 3
    successes: int = 1


class Run(wire.Message, frozen=True):
    """Run this program as a pod, and keep it running."""

    uid: str
    name: str
    argv: tuple[str, ...]
    env: dict[str, str]
    address: str
    log: str
    check: Check | None = None
    restart: str = "Always"


class Halt(wire.Message, frozen=True):
    """End the pod: SIGTERM now, SIGKILL after the grace."""

    uid: str
    grace_s: float


class Beat(wire.Message, frozen=True):
    """The node lives."""


class Began(wire.Message, frozen=True):
    """The pod's process runs, for the first time or again."""

    uid: str
    pid: int
    restarts: int


class Readiness(wire.Message, frozen=True):
    """The pod became ready, or stopped being it."""

    uid: str
    ready: bool


class Ended(wire.Message, frozen=True):
    """The pod's process ended by itself; it is started again after so long, or never (below zero)."""

    uid: str
    code: int
    again_in_s: float


class Gone(wire.Message, frozen=True):
    """Nothing is left of a pod that was to end."""

    uid: str


class Behind(wire.Message, frozen=True):
    """All addresses of Services, and who is behind them now."""

    services: dict[str, tuple[str, ...]]  # "address:port" -> the same of ready pods


NodeInbox = Run | Halt
NodeOutbox = Beat | Began | Readiness | Ended | Gone
