"""The real faults, over the simulated network: whoever uses one talks through the line of the process it runs in."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

from chaos_runner.api import Env, Reading
from chaos_runner.expect import Clause
from chaos_runner.faults.proxy_down import ProxyDown
from chaos_runner.faults.toxic import ToxicFault
from chaos_runner.testing import FakeProbe, FakeWorld
from chaos_runner.testing.fakes import FakeStream
from tests.sim.net import Line, Net
from tests.sim.process import CURRENT

NETS: dict[str, Net] = {}  # by the server's url
METHODS = (
    *("targets", "rights", "prepare", "inject", "observe", "revert", "before", "effect"),
    *("fence", "unfence", "leasable", "lease", "release", "leftovers"),
)


async def connect(env: Env) -> None:
    """From now on this environment leads to its simulated server."""

    async def opener(env: Env) -> contextlib.AbstractAsyncContextManager[Line]:
        assert env.environment.toxiproxy is not None
        return contextlib.nullcontext(Line(NETS[env.environment.toxiproxy.url], CURRENT.get()))

    await env.opened("toxiproxy", opener)


def _connected(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def connecting(self: Any, env: Env, *args: Any) -> Any:
        await connect(env)
        return await method(self, env, *args)

    return connecting


def _simulated(kind: type[Any]) -> type[Any]:
    methods = {name: _connected(getattr(kind, name)) for name in METHODS if hasattr(kind, name)}
    return type(kind.__name__, (kind,), methods, frozen=True, forbid_unknown_fields=True, kw_only=True)  # type: ignore[call-overload, no-any-return]


KINDS: dict[str, Any] = {"toxic": _simulated(ToxicFault), "proxy_down": _simulated(ProxyDown)}


class SimProbe(FakeProbe, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stream whose process stops with the runner: a stopped control loop judges nothing."""

    @contextlib.asynccontextmanager
    async def stream(self, env: Env, check: str, clauses: tuple[Clause, ...], t0_ns: int) -> AsyncIterator[Any]:
        yield _Stream(self, FakeWorld.of(env), check, clauses, t0_ns / 1e9)


class _Stream(FakeStream):
    async def beat(self) -> None:
        await CURRENT.get().gate("tick")


PROBES: dict[str, Any] = {"fake": SimProbe}


def reading(good: bool) -> Reading:
    return Reading({"success": good, "value": float(good)}, latency_s=0.01 if good else 2.0)
