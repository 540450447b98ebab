"""A small runner, for killing: one toxic on one proxy under a guardian. Lines on stdout say how far it is.

`python -m tests.guardian.runner STATE URL TTL [TOKEN_REFERENCE]`; a line on stdin ends it as a run ends.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import anyio
import msgspec

from chaos_runner import configure, store, wire
from chaos_runner.api import Env
from chaos_runner.clock import Clock
from chaos_runner.drive import Drive
from chaos_runner.faults.toxic import ToxicFault
from chaos_runner.guard import GuardianLine
from chaos_runner.journal import RunJournal
from chaos_runner.model import Environment, Toxiproxy
from chaos_runner.records import Outcome, RunEnded, RunStarted
from chaos_runner.store import FaultRow, Owner, Stamped

RUN = "run-1"


def say(**words: object) -> None:
    print(json.dumps(words), flush=True)


def environment(url: str, token: str | None) -> Env:
    settings = Environment(toxiproxy=Toxiproxy(url=url, token=token))
    return Env("test", settings, configure.secrets(configure.references(msgspec.to_builtins(settings))))


def hello(env: Env, state: Path, ttl_s: float, t0: float) -> wire.Hello:
    connections = msgspec.to_builtins(env.environment)
    return wire.Hello(
        run=RUN,
        epoch=1,
        ttl_s=ttl_s,
        t0=t0,
        environment=env.name,
        connections=connections,
        secrets={name: env.secret(name) for name in configure.references(connections)},
        kinds=("toxic",),
        state_dir=str(state),
    )


async def begun(ledger: store.Store, env: Env, clock: Clock) -> RunJournal:
    epoch = ledger.begin_run(
        RUN,
        environment=env.name,
        experiment="e",
        owner=Owner.mine(),
        connections=msgspec.to_builtins(env.environment),
        deadline_at=clock.wall() + 100,
        runs_at_once=1,
        record=Stamped(RunStarted(plan={}, versions={}, actor="me"), clock.wall(), 0.0),
    )
    return RunJournal(ledger, RUN, epoch, clock)


async def drive_of(env: Env, journal: RunJournal, line: GuardianLine) -> Drive:
    fault = ToxicFault(type="latency", latency=0.05)
    target = (await fault.targets(env, ToxicFault.selector(proxy="p")))[0]
    undo = await fault.prepare(env, target, f"cx.{RUN}.0.4102444800")
    await fault.lease(env, undo, 3600.0)  # so long that nobody but the guardian undoes in time
    row = FaultRow(
        id=f"{RUN}.0", run=RUN, n=0, epoch=1, step=0, kind="toxic", version=1, target=target, aspect=fault.aspect(),
        undo=msgspec.to_builtins(undo),
    )  # fmt: skip
    return Drive(row, fault, env, journal, guard=line)


async def run(state: Path, url: str, ttl_s: float, token: str | None) -> None:
    env, clock = environment(url, token), Clock()
    ledger = store.open_store(state, allow_tmpfs=True)
    journal = await begun(ledger, env, clock)
    line = GuardianLine(hello(env, state, ttl_s, clock.t0), state / "guardian.log")
    ready = await line.start()
    say(guardian=ready.pid, pid=os.getpid())
    drive = await drive_of(env, journal, line)
    life = await drive.inject()
    say(state=life.state)
    async with anyio.create_task_group() as group:
        group.start_soon(beat, line, group.cancel_scope)
        group.start_soon(asked, group.cancel_scope)
    life = await drive.undo()
    drive.tell()
    if line.alive() and sys.stdin.readline() == "undo\n":  # and nothing more: it dies with a run that has not ended
        say(state=life.state)
        await anyio.sleep(60)
    outcome = Outcome("HELD", "nothing", "CLEAN", "")
    journal.end(RunEnded(outcome=outcome), {})
    await line.bye()
    say(state=life.state)
    await env.aclose()


async def beat(line: GuardianLine, scope: anyio.CancelScope) -> None:
    while line.alive():
        line.beat(0)
        await anyio.sleep(0.2)
    scope.cancel()


async def asked(scope: anyio.CancelScope) -> None:
    await anyio.wait_readable(sys.stdin)
    scope.cancel()


if __name__ == "__main__":
    anyio.run(run, Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None)
