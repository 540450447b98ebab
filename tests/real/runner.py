"""A small runner, for killing and for racing: one fault on proxy `p` under a guardian. Lines on stdout say how far.

`python -m tests.real.runner RUN STATE URL KIND [URL]`, the second for who undoes when it is dead; it ends by a line on
stdin, or with exit code 3 where it may not run.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

import anyio
import msgspec

from chaos_runner import store, wire
from chaos_runner.api import LEASE_TTL_S, Doubt, Env, Refused
from chaos_runner.attend import Attendance
from chaos_runner.clock import Clock
from chaos_runner.drive import Drive
from chaos_runner.environment import Environment, Toxiproxy
from chaos_runner.faults.http_delay import HttpDelayFault
from chaos_runner.faults.http_error import HttpErrorFault
from chaos_runner.faults.proxy_down import ProxyDown
from chaos_runner.faults.toxic import ToxicFault
from chaos_runner.guard import GuardianLine
from chaos_runner.journal import RunJournal
from chaos_runner.lifecycle import Life
from chaos_runner.records import Outcome, RunEnded, RunStarted
from chaos_runner.store import Busy, FaultRow, Owner, Stamped

FAULTS = {
    "latency": ToxicFault(type="latency", latency=0.05),
    "bandwidth": ToxicFault(type="bandwidth", rate=1000.0),
    "proxy_down": ProxyDown(),
    "http_error": HttpErrorFault(status=503),
    "http_delay": HttpDelayFault(delay=0.05),
}
PATIENCE_S = 1.0
TTL_S = 5.0


def say(**words: object) -> None:
    print(json.dumps(words), flush=True)


def environment(url: str) -> Env:
    return Env("test", Environment(toxiproxy=Toxiproxy(url=url, http_stage="127.0.0.1")))


def begun(run: str, state: Path, env: Env, clock: Clock) -> RunJournal:
    """Raises Busy."""
    ledger = store.open_store(state, allow_tmpfs=True)
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


def watched(run: str, state: Path, env: Env, clock: Clock, kind: str) -> GuardianLine:
    hello = wire.Hello(
        run=run,
        epoch=1,
        ttl_s=TTL_S,
        patience_s=PATIENCE_S,
        t0=clock.t0,
        environment=env.name,
        connections=msgspec.to_builtins(env.environment),
        secrets={},
        kinds=(kind,),
        state_dir=str(state),
    )
    return GuardianLine(hello, state / f"guardian-{run}.log")


async def drive_of(run: str, kind: str, env: Env, journal: RunJournal, line: GuardianLine | None) -> Drive:
    """The fault, ready to be sent. Raises Refused and Doubt."""
    fault = FAULTS[kind]
    target = (await fault.targets(env, fault.selector(proxy="p")))[0]
    undo = await fault.prepare(env, target, f"cx.{run}.0.4102444800")
    await fault.lease(env, undo, LEASE_TTL_S if "stage" in undo.before else 3600.0)
    row = FaultRow(
        id=f"{run}.0", run=run, n=0, epoch=1, step=0, kind=fault.kind, version=1, target=target, aspect=fault.aspect(),
        undo=msgspec.to_builtins(undo),
    )  # fmt: skip
    return Drive(row, fault, env, journal, guard=line)


async def run(name: str, state: Path, url: str, kind: str, others: str = "") -> int:
    env, clock = environment(url), Clock()
    theirs = environment(others or url)
    try:
        journal = begun(name, state, theirs, clock)
    except Busy as why:
        say(refused=str(why))
        return 3
    line = watched(name, state, theirs, clock, FAULTS[kind].kind)
    say(guardian=(await line.start()).pid, pid=os.getpid())
    try:
        drive = await drive_of(name, kind, env, journal, line)
    except (Refused, Doubt) as why:
        say(refused=str(why))
        return await end(journal, line, env, None)
    life = await drive.inject()
    say(state=life.state, why=life.why, stage=drive.undo_record.before.get("stage"))
    if life.state == "INJECTED":
        await held(line, drive, env)
    if life.open:
        life = await drive.undo(patience_s=PATIENCE_S)
        drive.tell()
        say(state=life.state, why=life.why)
    if not life.open:
        with contextlib.suppress(Refused, Doubt):
            await drive.fault.release(env, drive.undo_record)
    return await end(journal, line, env, life)


async def end(journal: RunJournal, line: GuardianLine, env: Env, life: Life | None) -> int:
    cleanup = "LEFT" if life and life.state == "STUCK" else "WATCHING" if life and life.open else "CLEAN"
    journal.end(RunEnded(outcome=Outcome("UNKNOWN", "nothing", cleanup, life.why if life else "")), {})
    await line.bye()
    await env.aclose()
    return 5 if cleanup == "LEFT" else 3


async def held(line: GuardianLine, drive: Drive, env: Env) -> None:
    """Until a line comes on stdin, or the guardian is gone."""
    attendance = Attendance(drive.row.id, drive.fault, env, drive.undo_record, (), anyio.current_time)
    attendance.leased = "stage" in drive.undo_record.before  # the others have a lease for an hour
    async with anyio.create_task_group() as group:

        async def beat() -> None:
            while line.alive():
                line.beat(0)
                await anyio.sleep(0.2)
            group.cancel_scope.cancel()

        group.start_soon(beat)
        group.start_soon(attendance.keep_lease)
        await anyio.wait_readable(sys.stdin)
        group.cancel_scope.cancel()


if __name__ == "__main__":
    sys.exit(anyio.run(run, sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]))
