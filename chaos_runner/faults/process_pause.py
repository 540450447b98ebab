"""A process that stops answering without dying: SIGSTOP, then SIGCONT."""

from __future__ import annotations

import contextlib
import signal
from typing import ClassVar

import anyio
import msgspec

from chaos_runner.api import Absent, Doubt, Env, Observation, Present, Proof, Refused, Rights, Undo
from chaos_runner.clients import processes
from chaos_runner.faults import _processes
from chaos_runner.records import Target

SETTLE_S = 1.0


class ProcessPause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Stops a process of this machine and lets it go on: its connections stay open, nothing is answered.

    Has no fields of its own: `with:` may be left out.
    """

    kind: ClassVar[str] = "process_pause"
    version: ClassVar[int] = 1
    reversible: ClassVar[bool] = True
    selector: ClassVar[type[msgspec.Struct]] = _processes.ProcessSelector

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
        """Which process it is. Raises Refused where it is stopped already."""
        status = _processes.current(env, target)
        if status.stopped:
            raise Refused(f"{target.key} is already stopped")
        return _processes.undo(self, target, mark, status)

    async def inject(self, env: Env, undo: Undo) -> None:
        """Stops it, and waits until the kernel has."""
        identity = _processes.identity(undo)
        try:
            processes.send(identity, signal.SIGSTOP)
            await _settled(identity, stopped=True)
        except processes.Gone as why:
            raise Refused(str(why)) from None

    async def observe(self, env: Env, undo: Undo) -> Observation:
        """Whether it is stopped."""
        try:
            status = processes.same(_processes.identity(undo))
        except processes.Gone:
            return Absent(drift=f"{undo.target.key} ended")
        return Present() if status.stopped else Absent(drift="" if status.alive else f"{undo.target.key} ended")

    async def revert(self, env: Env, undo: Undo) -> None:
        """Lets it go on. A process that is gone needs nothing."""
        identity = _processes.identity(undo)
        with contextlib.suppress(processes.Gone):
            processes.send(identity, signal.SIGCONT)
            await _settled(identity, stopped=False)

    async def before(self, env: Env, undo: Undo) -> dict[str, float]:
        """Nothing to compare with."""
        return {}

    async def effect(self, env: Env, undo: Undo, before: dict[str, float]) -> Proof | None:
        """The kernel says it is stopped."""
        if not isinstance(await self.observe(env, undo), Present):
            return None
        return Proof(how="exchange", evidence=f"process {undo.before['pid']} is stopped (state T)")


async def _settled(identity: processes.Identity, stopped: bool) -> None:
    with anyio.move_on_after(SETTLE_S):
        while processes.same(identity).stopped != stopped:
            await anyio.sleep(0.01)
        return
    raise Doubt(f"process {identity.pid} is not {'stopped' if stopped else 'running'} {SETTLE_S:g} s after the signal")
