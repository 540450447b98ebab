"""The watchdog process: when the runner dies or falls silent, it kills what is left of it and undoes its faults.

It never injects. It undoes from memory: the rows it was armed with are all it needs, and its journal is written by
a thread that may hang. Everything it imports is imported before it answers READY.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import stat
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import anyio
import msgspec

from chaos_runner import registry, wire
from chaos_runner.api import Doubt, Env, Reaches, Refused
from chaos_runner.clock import nursery
from chaos_runner.drive import PATIENCE_S, Drive, Journal
from chaos_runner.environment import Environment
from chaos_runner.journal import ThreadJournal
from chaos_runner.orphans import Unusable, cleanup, drives_of, fault_of, leased, left_behind, release, undo_all
from chaos_runner.records import Outcome
from chaos_runner.store import FaultRow, Owner

HELLO_S = 10.0
KILL_S = 1.0
LAST_WORDS_S = 0.5
IDLE_S = 60.0  # silence while nothing is armed: there is nothing to undo, and a runner may be long in starting


class Ending(Journal, Protocol):
    """A journal that can also end the run."""

    def end(self, outcome: Outcome) -> None:
        """Writes the end of the run; never waits."""
        ...


class Guardian:
    """One run's guardian: its line, the rows it may have to undo, and what it undoes them with."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._lines = wire.Lines(wire.GuardianInbox)
        self._inbox: list[wire.Message] = []
        self.rows: dict[str, FaultRow] = {}
        self.farewell = False

    async def receive(self) -> wire.Message | None:
        """The next message; None once the other end is gone, or talks nonsense."""
        while not self._inbox:
            await anyio.wait_readable(self._line)
            try:
                chunk = self._line.recv(65536)
                self._inbox += self._lines.feed(chunk)
            except (OSError, wire.WireError):
                return None
            if not chunk:
                return None
        return self._inbox.pop(0)

    async def send(self, message: wire.Message) -> None:
        """One message, without waiting: a runner that is gone, or does not read, must not hold up its guardian."""
        with contextlib.suppress(OSError):
            self._line.send(wire.encode(message), socket.MSG_DONTWAIT)

    async def watch(self, ttl_s: float) -> str:
        """Follows the runner until it says goodbye, dies or is silent for `ttl_s`; answers why it stopped."""
        while not self.farewell:
            limit_s = ttl_s if self.rows else max(ttl_s, IDLE_S)
            message: wire.Message | None = None
            with anyio.move_on_after(limit_s) as silence:
                message = await self.receive()
            if silence.cancelled_caught and self._spoken():
                continue  # it was us who slept: what came meanwhile is read first
            if silence.cancelled_caught:
                return f"the runner was silent for {limit_s:g} s"
            if message is None:
                return "the runner died"
            await self._obey(message)
        return ""

    def _spoken(self) -> bool:
        return bool(select.select([self._line], [], [], 0)[0])

    async def _obey(self, message: wire.Message) -> None:
        match message:
            case wire.Beat(tick):
                await self.send(wire.Heard(tick=tick))
            case wire.Arm(row):
                await self._arm(row)
            case wire.Disarm(fault):
                self.rows.pop(fault, None)
            case wire.Bye(watched):
                self.farewell = True
                self._watch_only(watched)
            case _:
                pass

    def _watch_only(self, watched: tuple[str, ...]) -> None:
        """These were undone and are fenced: to undo them again would take the fence away while a request may land."""
        for fault in watched:
            if fault in self.rows:
                row = self.rows[fault]
                self.rows[fault] = msgspec.structs.replace(row, state="WATCHING", outcome="", updated_at=time.time())

    async def _arm(self, row: dict[str, Any]) -> None:
        try:
            held = msgspec.convert(row, FaultRow)
            fault_of(held)
        except (msgspec.ValidationError, Unusable) as why:
            await self.send(wire.NotReady(why=str(why)))
            return
        self.rows[held.id] = held
        await self.send(wire.Armed(id=held.id))


async def guard(line: socket.socket, pidfd: int) -> int:
    """The guardian's whole life. Exit status 0 when nothing is left."""
    guardian = Guardian(line)
    hello: wire.Message | None = None
    with anyio.move_on_after(HELLO_S):
        hello = await guardian.receive()
    if not isinstance(hello, wire.Hello):
        return 1
    env = Env(hello.environment, msgspec.convert(hello.connections, Environment), hello.secrets)
    try:
        reads = await _ready(hello, env)
    except (Refused, Doubt, KeyError, registry.Broken) as trouble:
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
    _ = Owner.mine()  # even a codec may be a module
    endpoints: dict[str, Reaches] = {}
    for kind in hello.kinds:
        fault: Any = registry.faults[kind]
        if isinstance(fault, Reaches):
            endpoints.setdefault(fault.endpoint(env), fault)
    endpoints.pop("", None)
    for fault in endpoints.values():
        await fault.reach(env)
    return tuple(endpoints)


async def _watch(guardian: Guardian, ttl_s: float, pidfd: int) -> str:
    """As Guardian.watch, but the runner's pidfd ends it too, once its last words are read."""
    why = "the runner died"
    async with nursery() as group:

        async def death() -> None:
            await anyio.wait_readable(pidfd)
            await anyio.sleep(LAST_WORDS_S)  # its end of the line is closed by now, unless a child of it has it too
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
    """Undoes from memory, with a journal that may hang, and says what went wrong."""
    rows = list(guardian.rows.values())
    journal = ThreadJournal(
        Path(hello.state_dir),
        hello.run,
        hello.epoch,
        hello.t0,
        forsaken_s=hello.forsaken_s,
        armed={row.id for row in rows},
    )
    drives = await undo(rows, env, journal, why, patience_s=hello.patience_s, relieved=journal.relieved)
    said = [f"left as it is: {one.row.id}: {journal.relieved(one.row.id)}" for one in drives if left_behind(one)]
    journal.close()
    for sentence in (*said, *journal.trouble, *(_bug(one) for one in drives if one.bug is not None)):
        _shout(sentence)


def _bug(drive: Drive) -> str:
    return f"a bug on the way: {drive.row.id}: {''.join(traceback.format_exception(drive.bug))}"


async def undo(
    rows: list[FaultRow],
    env: Env,
    journal: Ending,
    why: str,
    *,
    patience_s: float = PATIENCE_S,
    relieved: Callable[[str], str] | None = None,
) -> list[Drive]:
    """Undoes, ends the run where nobody else will (`why`), and only then stays for what is fenced or stuck.

    It stays for as long as the fault is wanted from it: until `relieved` says why not.
    """
    drives = drives_of(rows, env, journal, shout=_shout, relieved=relieved)
    async with leased(drives, env):
        await undo_all(drives, patience_s=patience_s, keep_on=False)
        if why:
            journal.end(_outcome(drives, why))
        await undo_all([drive for drive in drives if drive.life.open], patience_s=patience_s)
    if not any(drive.life.open for drive in drives):  # else whoever undoes it now needs the lease, or it lapses
        await release(drives, env)
    return drives


def _outcome(drives: list[Drive], why: str) -> Outcome:
    left = [
        f"{one.row.kind} on {one.row.target.key} ({one.row.id}): {one.life.why}" for one in drives if left_behind(one)
    ]
    return Outcome(
        finding="UNKNOWN",
        stopped_by="died",
        cleanup=cleanup(drives, left=bool(left)),
        why="; ".join([*left, why]),
    )


def _shout(why: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{why}\n")
        sys.stderr.flush()


def main(fd: str, pidfd: str) -> None:
    """Entry point of the process: the socket and the runner's own pidfd. Deaf to the signals of terminals."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    line = socket.socket(fileno=int(fd))
    status = anyio.run(guard, line, int(pidfd))
    _leave_no_empty_log()
    sys.exit(status)


def _leave_no_empty_log() -> None:
    """The log is where stderr goes; one that nobody wrote to says nothing."""
    with contextlib.suppress(OSError):
        log, path = os.fstat(2), Path("/proc/self/fd/2").readlink()
        if stat.S_ISREG(log.st_mode) and not log.st_size and os.path.samestat(log, path.stat()):
            path.unlink()
