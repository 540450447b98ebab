"""Small programs for killing: a run with one toxic under a guardian, and a recovery. Forked, so that one costs little.

`python -m tests.crash.program` reads one request a line and answers with one. Each child stops itself at once, so that
a tracer can take its place before the first system call that matters; who loses its parent becomes ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import anyio

from chaos_runner import recover, registry, store
from chaos_runner.api import Refused
from chaos_runner.clients import toxiproxy
from chaos_runner.clock import Clock
from chaos_runner.drive import JournalError
from chaos_runner.guard import GuardianLine
from chaos_runner.records import Outcome, RunEnded, Sample
from tests.guardian import runner

TTL_S = 2.0
BEAT_S = 0.02
PATIENCE_S = 5.0
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None)


async def run(state: Path, doors: dict[str, str], beats: int, lease_s: float) -> None:
    """A run as `chaos-runner run` makes it: begun, guarded, intent, armed, injected, held, undone, told, ended."""
    env, clock = runner.environment(doors["runner"], None), Clock()
    with store.open_store(state, allow_tmpfs=True) as ledger:
        journal = await runner.begun(ledger, runner.environment(doors["recovery"], None), clock)
        hello = runner.hello(runner.environment(doors["guardian"], None), state, TTL_S, clock.t0)
        line = GuardianLine(hello, state / "guardian.log")
        ready = await line.start()
        runner.say(guardian=ready.pid)
        os.getppid()  # what a trace shows here divides the start from the rest
        drive = await runner.drive_of(env, journal, line)
        if lease_s:
            await drive.fault.lease(env, drive.undo_record, lease_s)
        life = await drive.inject()
        runner.say(state=life.state)
        await _hold(journal, line, beats if life.state == "INJECTED" else 0)
        life = await drive.undo()
        drive.tell()
        if not life.open:
            await drive.fault.release(env, drive.undo_record)
        cleanup = "LEFT" if life.open and life.state != "WATCHING" else "CLEAN"
        journal.end(RunEnded(outcome=Outcome("HELD", "nothing", cleanup, "")), {})
        await line.bye()
        runner.say(state=life.state, trouble=journal.trouble)
    await env.aclose()


async def _hold(journal: runner.RunJournal, line: GuardianLine, beats: int) -> None:
    """Beats and samples; what cannot be written ends the hold, as it does in a run."""
    for tick in range(beats):
        if not line.beat(tick) or not line.alive():
            return
        try:
            journal.add_samples([Sample(check="c", tick=tick, counts=())])
        except JournalError:
            return
        await anyio.sleep(BEAT_S)


async def leave(state: Path, doors: dict[str, str], *_: float) -> None:
    """A run without a guardian that dies with its fault on the target; for recoveries to find."""
    env, clock = runner.environment(doors["runner"], None), Clock()
    ledger = store.open_store(state, allow_tmpfs=True)
    journal = await runner.begun(ledger, runner.environment(doors["recovery"], None), clock)
    drive = await runner.drive_of(env, journal, None)  # type: ignore[arg-type]
    await drive.inject()
    os._exit(0)


async def recovery(state: Path, *_: object) -> None:
    """What `chaos-runner recover` does."""
    with store.open_store(state, allow_tmpfs=True) as ledger:
        found = await recover.recover(ledger, None, lambda why: runner.say(told=why), patience_s=PATIENCE_S)
    runner.say(left=[left for one in found for left in one.left])


PROGRAMS: dict[str, Any] = {"run": run, "leave": leave, "recovery": recovery}


def child(asked: dict[str, Any]) -> int:
    """The whole life of one child."""
    os.setsid()
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for here, fd in ((null, 0), (log, 1), (log, 2)):
        os.dup2(here, fd)
    os.kill(os.getpid(), signal.SIGSTOP)
    if asked["what"] == "command":
        argv = ["chaos_runner", "run", "e.yaml", "--state", asked["state"], "--no-report"]
        os.chdir(Path(asked["state"]).parent)
        os.execv(sys.executable, [sys.executable, "-m", *argv])
    try:
        anyio.run(PROGRAMS[asked["what"]], Path(asked["state"]), asked["doors"], asked["beats"], asked["lease_s"])
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        return 1
    return 0


def reaped() -> dict[str, Any]:
    """Who ended since, with its status; and who still lives."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if not pid:
            break
        ended[pid] = os.waitstatus_to_exitcode(status)
    here = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    return {"ended": ended, "living": [int(pid) for pid in here]}


async def warm() -> None:
    """Imports, once and for every child, what is imported on the way; their thousands of reads change nothing."""
    _ = registry.faults["toxic"]
    with contextlib.suppress(Refused):
        await (await toxiproxy.open_client(runner.environment("http://127.0.0.1:9", None))).proxies()


def main() -> None:
    anyio.run(warm)
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["what"] == "reap":
            runner.say(**reaped())
            continue
        pid = os.fork()
        if not pid:
            os._exit(child(asked))
        runner.say(pid=pid)


if __name__ == "__main__":
    main()
