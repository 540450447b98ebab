"""The watchdog process: when the runner dies or falls silent, it kills what is left of it and undoes its faults.

It never injects. It undoes from memory: the rows it was armed with are all it needs, and its journal is written by
a thread that may hang. Everything it imports is imported before it answers READY.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import msgspec

from chaos_runner import registry, wire
from chaos_runner.api import Doubt, Env, Fault, Fences, Leases, Refused, Undo
from chaos_runner.clients import toxiproxy
from chaos_runner.clock import nursery
from chaos_runner.drive import PATIENCE_S, By, Drive, Journal
from chaos_runner.journal import ThreadJournal
from chaos_runner.lifecycle import Life
from chaos_runner.model import Environment
from chaos_runner.records import Outcome
from chaos_runner.store import FaultRow

HELLO_S = 10.0
KILL_S = 1.0
LEASE_S = 5.0


class Guardian:
    """One run's guardian: its line, the rows it may have to undo, and what it undoes them with."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._lines = wire.Lines(wire.GuardianInbox)
        self._inbox: list[wire.Message] = []
        self.rows: dict[str, FaultRow] = {}
        self.farewell = False

    async def receive(self) -> wire.Message | None:
        """The next message; None once the other end is gone."""
        while not self._inbox:
            await anyio.wait_readable(self._line)
            try:
                chunk = self._line.recv(65536)
            except OSError:
                return None
            if not chunk:
                return None
            self._inbox += self._lines.feed(chunk)
        return self._inbox.pop(0)

    async def send(self, message: wire.Message) -> None:
        """One message; a runner that is gone is noticed by the next read."""
        try:
            self._line.sendall(wire.encode(message))
        except OSError:
            return

    async def watch(self, ttl_s: float) -> str:
        """Follows the runner until it says goodbye, dies or is silent for `ttl_s`; answers why it stopped."""
        while True:
            with anyio.move_on_after(ttl_s):
                message = await self.receive()
                if message is None:
                    return "the runner died"
                await self._obey(message)
                if self.farewell:
                    return ""
                continue
            return f"the runner was silent for {ttl_s:g} s"

    async def _obey(self, message: wire.Message) -> None:
        match message:
            case wire.Arm(row):
                held = msgspec.convert(row, FaultRow)
                self.rows[held.id] = held
                await self.send(wire.Armed(id=held.id))
            case wire.Disarm(fault):
                self.rows.pop(fault, None)
            case wire.Bye():
                self.farewell = True
            case _:
                pass


def fault_of(row: FaultRow) -> Fault:
    """The fault a row speaks of, rebuilt from its undo."""
    undo = msgspec.convert(row.undo, Undo)
    fault: Fault = msgspec.convert(undo.params, registry.faults[row.kind])
    return fault


async def undo_rows(
    rows: list[FaultRow],
    env: Env,
    journal: Journal,
    *,
    by: By = "guardian",
    shout: Callable[[str], None],
    patience_s: float = PATIENCE_S,
    keep_on: bool = True,
) -> list[Drive]:
    """Undoes every row: targets in parallel, last-in first-out within one.

    With `keep_on` it ends when all are closed or spent, however long that takes.
    """
    drives = [_drive(row, env, journal, by, shout) for row in rows]
    lanes: dict[str, list[Drive]] = {}
    for drive in reversed(drives):
        lanes.setdefault(drive.row.target.key, []).append(drive)

    async def undo_lane(lane: list[Drive]) -> None:
        for drive in lane:
            await drive.undo(orphaned=True, patience_s=patience_s, keep_on=keep_on)

    async with nursery() as group:
        for lane in lanes.values():
            group.start_soon(undo_lane, lane)
    return drives


def _drive(row: FaultRow, env: Env, journal: Journal, by: By, shout: Callable[[str], None]) -> Drive:
    fault = fault_of(row)
    life = Life(state="INJECTED", reversible=row.reversible, fences=isinstance(fault, Fences), certain=False)
    return Drive(row, fault, env, journal, by=by, life=life, shout=shout)


async def keep_leases(rows: list[FaultRow], env: Env) -> None:
    """Renews every lease while undoing: a lease that lapses would take the fences away."""
    while True:
        for row in rows:
            fault = fault_of(row)
            if isinstance(fault, Leases):
                with anyio.move_on_after(LEASE_S / 2):
                    try:
                        await fault.lease(env, msgspec.convert(row.undo, Undo), LEASE_S)
                    except (Refused, Doubt):
                        continue
        await anyio.sleep(1)


async def release(rows: list[FaultRow], env: Env) -> None:
    """Ends the run's lease; best effort, it lapses by itself."""
    for row in rows[:1]:
        fault = fault_of(row)
        if isinstance(fault, Leases):
            try:
                await fault.release(env, msgspec.convert(row.undo, Undo))
            except (Refused, Doubt):
                return


async def guard(line: socket.socket, pidfd: int) -> int:
    """The guardian's whole life. Exit status 0 when nothing is left."""
    guardian = Guardian(line)
    with anyio.move_on_after(HELLO_S):
        hello = await guardian.receive()
    if not isinstance(hello, wire.Hello):
        return 1
    env = Env(hello.environment, msgspec.convert(hello.connections, Environment), hello.secrets)
    try:
        reads = await _ready(hello, env)
    except (Refused, Doubt, KeyError) as trouble:
        await guardian.send(wire.NotReady(why=str(trouble)))
        return 1
    await guardian.send(wire.Ready(reads=reads, pid=os.getpid()))
    why = await _watch(guardian, hello.ttl_s, pidfd)
    if why:
        await _kill(pidfd)
    if why or guardian.rows:
        await _take_over(guardian, hello, env, why)
    await env.aclose()
    return 0


async def _ready(hello: wire.Hello, env: Env) -> tuple[str, ...]:
    """Loads every kind of the plan and reads each endpoint once, so that undoing meets no surprise."""
    for kind in hello.kinds:
        _ = registry.faults[kind]
    if env.environment.toxiproxy is None or not any(k in {"toxic", "proxy_down"} for k in hello.kinds):
        return ()
    client = await toxiproxy.open_client(env)
    await client.proxies()
    return (env.environment.toxiproxy.url,)


async def _watch(guardian: Guardian, ttl_s: float, pidfd: int) -> str:
    """As Guardian.watch, but the runner's pidfd ends it too."""
    why = "the runner died"
    async with anyio.create_task_group() as group:

        async def death() -> None:
            await anyio.wait_readable(pidfd)
            await anyio.sleep(0.01)  # its last words may still be in the socket
            group.cancel_scope.cancel()

        group.start_soon(death)
        why = await guardian.watch(ttl_s)
        group.cancel_scope.cancel()
    return "" if guardian.farewell else why


async def _kill(pidfd: int) -> None:
    """SIGKILL through the pidfd: whatever it was doing, it cannot inject any more."""
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return
    with anyio.move_on_after(KILL_S):
        await anyio.wait_readable(pidfd)


async def _take_over(guardian: Guardian, hello: wire.Hello, env: Env, why: str) -> None:
    rows = list(guardian.rows.values())
    journal = ThreadJournal(Path(hello.state_dir), hello.run, hello.t0)
    async with anyio.create_task_group() as group:
        if rows:
            group.start_soon(keep_leases, rows, env)
        await undo_rows(rows, env, journal, shout=_shout)
        group.cancel_scope.cancel()
    await release(rows, env)
    if why:
        outcome = Outcome(finding="UNKNOWN", stopped_by="died", cleanup="CLEAN", why=why)
        journal.end(outcome)
    await anyio.to_thread.run_sync(journal.close)


def _shout(why: str) -> None:
    sys.stderr.write(f"{why}\n")
    sys.stderr.flush()


def main(fd: str, pidfd: str) -> None:
    """Entry point of the process: the socket and the runner's own pidfd. Deaf to the signals of terminals."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    line = socket.socket(fileno=int(fd))
    sys.exit(anyio.run(guard, line, int(pidfd)))
