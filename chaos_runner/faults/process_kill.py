"""A process that dies at once: SIGKILL. What starts it again is what the experiment watches."""

from __future__ import annotations

import contextlib
import signal
from typing import Annotated, ClassVar

import anyio
import msgspec
from msgspec import Meta

from chaos_runner.api import Absent, Env, Observation, Present, Proof, Refused, Rights, Undo
from chaos_runner.clients import processes
from chaos_runner.expect import Duration
from chaos_runner.faults import _processes
from chaos_runner.records import Target

SETTLE_S = 1.0


class ProcessKill(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Kills a process of this machine. Cannot be undone: something else has to start it again."""

    kind: ClassVar[str] = "process_kill"
    version: ClassVar[int] = 1
    reversible: ClassVar[bool] = False
    selector: ClassVar[type[msgspec.Struct]] = _processes.ProcessSelector

    replaced_within: Annotated[Duration, Meta(description="how soon another process must have taken its place")] = 60.0

    def aspect(self) -> str:
        """The place on a process that this occupies."""
        return "running"

    async def targets(self, env: Env, selector: _processes.ProcessSelector) -> tuple[Target, ...]:
        """The named process."""
        return (_processes.target(selector.process, _processes.found(env, selector.process)),)

    async def rights(self, env: Env, target: Target) -> Rights:
        """Whether we may send it signals."""
        return _processes.rights(env, target)

    async def prepare(self, env: Env, target: Target, mark: str) -> Undo:
        """Which process it is."""
        return _processes.undo(self, target, mark, _processes.current(env, target))

    async def inject(self, env: Env, undo: Undo) -> None:
        """Kills it, and waits until the kernel has."""
        identity = _processes.identity(undo)
        try:
            processes.send(identity, signal.SIGKILL)
        except processes.Gone as why:
            raise Refused(str(why)) from None
        await _dead(identity)

    async def observe(self, env: Env, undo: Undo) -> Observation:
        """Present once it is dead: that is the harm."""
        try:
            status = processes.same(_processes.identity(undo))
        except processes.Gone:
            return Present("it is gone")
        return Absent() if status.alive else Present("it is dead")

    async def revert(self, env: Env, undo: Undo) -> None:
        """Nothing: the dead stay dead."""

    async def before(self, env: Env, undo: Undo) -> dict[str, float]:
        """Nothing to compare with."""
        return {}

    async def effect(self, env: Env, undo: Undo, before: dict[str, float]) -> Proof | None:
        """The kernel does not know it any more."""
        if not isinstance(await self.observe(env, undo), Present):
            return None
        return Proof(how="exchange", evidence=f"process {undo.before['pid']} is gone")

    async def replaced(self, env: Env, undo: Undo) -> str:
        """The process that has its name now."""
        try:
            status = processes.find(env, undo.target.key.removeprefix("process/"))
        except (processes.Gone, Refused):
            return ""
        old = _processes.identity(undo)
        return f"pid {status.identity.pid}" if status.alive and status.identity != old else ""


async def _dead(identity: processes.Identity) -> None:
    with anyio.move_on_after(SETTLE_S), contextlib.suppress(processes.Gone):
        while processes.same(identity).alive:
            await anyio.sleep(0.01)
