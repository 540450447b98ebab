"""A small runner, for killing: one toxic on one proxy under a guardian. Lines on stdout say how far it is.

`python -m tests.guardian.runner STATE URL TTL`; a line on stdin says what becomes of it (see `fall`).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path

import anyio
import msgspec

from chaos_runner import configure, store, wire
from chaos_runner.api import Env
from chaos_runner.clock import Clock
from chaos_runner.drive import Drive
from chaos_runner.environment import Environment, Toxiproxy
from chaos_runner.faults.toxic import ToxicFault
from chaos_runner.guard import GuardianLine
from chaos_runner.journal import RunJournal
from chaos_runner.records import Noted, Outcome, RunEnded, RunStarted
from chaos_runner.store import FaultRow, Owner, Stamped

RUN = "run-1"
BEAT_S = 0.2
HOARD_BYTES = 64 << 20

# What the guardian imports, and when, goes into its log.
AUDITED = (
    "import os, sys, time; sys.addaudithook(lambda event, args: event == 'import' and "
    'os.write(2, f"{time.monotonic()} import {args[0]}\\n".encode())); '
)


def say(**words: object) -> None:
    print(json.dumps(words), flush=True)


def environment(url: str, token: str | None) -> Env:
    settings = Environment(toxiproxy=Toxiproxy(url=url, token=token))
    return Env("test", settings, configure.secrets(configure.references(msgspec.to_builtins(settings))))


def hello(env: Env, state: Path, ttl_s: float, t0: float, run: str = RUN) -> wire.Hello:
    connections = msgspec.to_builtins(env.environment)
    return wire.Hello(
        run=run,
        epoch=1,
        ttl_s=ttl_s,
        t0=t0,
        environment=env.name,
        connections=connections,
        secrets={name: env.secret(name) for name in configure.references(connections)},
        kinds=("toxic",),
        state_dir=str(state),
    )


async def begun(ledger: store.Store, env: Env, clock: Clock, run: str = RUN) -> RunJournal:
    epoch = ledger.begin_run(
        run,
        environment=env.name,
        experiment="e",
        owner=Owner.mine(),
        connections=msgspec.to_builtins(env.environment),
        deadline_at=clock.wall() + 100,
        runs_at_once=1,
        record=Stamped(RunStarted(plan={}, versions={}, actor="me"), clock.wall(), 0.0),
    )
    return RunJournal(ledger, run, epoch, clock)


async def drive_of(env: Env, journal: RunJournal, line: GuardianLine, proxy: str = "p") -> Drive:
    fault = ToxicFault(type="latency", latency=0.05)
    target = (await fault.targets(env, ToxicFault.selector(proxy=proxy)))[0]
    undo = await fault.prepare(env, target, f"cx.{journal.run}.0.4102444800")
    await fault.lease(env, undo, 3600.0)  # so long that nobody but the guardian undoes in time
    row = FaultRow(
        id=f"{journal.run}.0", run=journal.run, n=0, epoch=1, step=0, kind="toxic", version=1, target=target,
        aspect=fault.aspect(), undo=msgspec.to_builtins(undo),
    )  # fmt: skip
    return Drive(row, fault, env, journal, guard=line)


class Blocking(store.SqliteStore):
    """A ledger whose disk stops answering."""

    blocked = False

    def append(self, *args: object, **kwargs: object) -> int:
        if self.blocked:
            time.sleep(3600)
        return super().append(*args, **kwargs)  # type: ignore[arg-type]


def blocking(state: Path) -> Blocking:
    opened = store.open_store(state, allow_tmpfs=True)
    opened.__class__ = Blocking
    return opened  # type: ignore[return-value]


async def main(args: argparse.Namespace) -> None:
    env, clock = environment(args.url, args.token), Clock()
    ledger = blocking(args.state)
    journal = await begun(ledger, env, clock, args.run)
    said = hello(env, args.state, args.ttl, clock.t0, args.run)
    said = msgspec.structs.replace(said, patience_s=args.patience, forsaken_s=args.forsaken)
    line = GuardianLine(said, args.state / "guardian.log")
    if args.audited:
        line.program = AUDITED + line.program
    ready = await line.start()
    say(guardian=ready.pid, pid=os.getpid(), ready_t=time.monotonic())
    drive = await drive_of(env, journal, line, args.proxy)
    life = await drive.inject()
    say(state=life.state)
    async with anyio.create_task_group() as group:
        group.start_soon(beat, line, group.cancel_scope)
        group.start_soon(asked, group.cancel_scope, journal)
    life = await drive.undo()
    drive.tell()
    if fates == ["undo"]:  # and nothing more: it dies with a run that has not ended
        say(state=life.state)
        await anyio.sleep(60)
    journal.end(RunEnded(outcome=Outcome("HELD", "nothing", "CLEAN", "")), {})
    await line.bye()
    say(state=life.state)
    await env.aclose()


async def beat(line: GuardianLine, scope: anyio.CancelScope) -> None:
    while line.alive():
        line.beat(0)
        await anyio.sleep(BEAT_S)
    scope.cancel()


fates: list[str] = []


async def asked(scope: anyio.CancelScope, journal: RunJournal) -> None:
    await anyio.wait_readable(sys.stdin)
    fates.append(sys.stdin.readline().strip())
    fall(fates[0], journal)
    scope.cancel()


def fall(fate: str, journal: RunJournal) -> None:
    """`busy`: the loop does not come back. `blocked`: a commit does not. `hungry`: no memory is left. Else it ends."""
    if fate == "busy":
        while True:
            pass
    if fate == "blocked":
        Blocking.blocked = True
        journal.note(Noted(who="me", text="never written"))
    if fate == "hungry":
        room = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + HOARD_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
    if fate in {"hungry", "hoarding"}:
        hoard = []
        while True:
            hoard.append(bytearray(b"x") * (1 << 20))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("state", type=Path)
    parser.add_argument("url")
    parser.add_argument("ttl", type=float)
    parser.add_argument("--run", default=RUN)
    parser.add_argument("--proxy", default="p")
    parser.add_argument("--token")
    parser.add_argument("--patience", type=float, default=60.0)
    parser.add_argument("--forsaken", type=float, default=86_400.0)
    parser.add_argument("--audited", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    anyio.run(main, arguments())
