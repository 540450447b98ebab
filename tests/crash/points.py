"""Every point at which something can die, found by tracing it once: system calls by name and count, requests, writes.

A call that nobody outside can see, and that waits for nothing, is the same point as the next one that is seen: the
world is no different. Those quiet calls are sampled, and so is the start before the first intent.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from chaos_runner import store
from chaos_runner.records import FaultReverted, UndoBegan
from tests.crash import scenes, tracer
from tests.crash.bench import Slot
from tests.crash.judge import Seen
from tests.crash.relay import Moment, Role
from tests.crash.scenes import Knock
from tests.crash.tracer import Where

KINDS = ("embedded", "real")
QUIET = frozenset(
    {
        *("getpid", "getppid", "gettid", "geteuid", "uname", "getrandom", "rseq", "set_robust_list", "sched_yield"),
        *("brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn"),
        *("newfstatat", "statfs", "lseek", "read", "pread64", "recvfrom", "getdents64", "ioctl", "restart_syscall"),
        *("socket", "getpeername", "getsockname", "getsockopt", "setsockopt", "epoll_create1", "epoll_ctl"),
        "futex",  # threads take turns in Python; what they then do is seen
    }
)
WRITES = frozenset({"pwrite64", "fdatasync", "fsync", "ftruncate", "fallocate"})
STEADY = frozenset({"pwrite64", "fdatasync", "sendto", "connect", "fcntl"})  # about as many in each run
ERRORS = ("ENOSPC", "EIO")
MARK = "getppid"
MOMENTS: tuple[Moment, ...] = ("received", "forwarded", "answered")
REQUESTS: dict[Role, int] = {"runner": 14, "guardian": 9, "recovery": 8}
FIRST_OF_GUARDIAN = 1  # its first request is the one before it is ready

Job = Callable[[Slot], Seen]


class Section(NamedTuple):
    """One way to die on one kind of server, with all its points."""

    name: str
    kind: str
    jobs: list[Job]


class Calls(NamedTuple):
    """The points of a trace."""

    start: list[Where]
    loud: list[Where]
    quiet: list[Where]


def calls(trace: Path, mark: str = "") -> Calls:
    """What a trace holds; before `mark`, if one is given, is the start."""
    seen = tracer.steps(trace)
    begins = next((n for n, step in enumerate(seen) if step.name == mark), 0)
    start = _points(seen[:begins])
    loud = _points((step for step in seen[begins:] if not _quiet(step)), start)
    return Calls(start, loud, _points(seen[begins:], start + loud))


def _quiet(step: tracer.Step) -> bool:
    if step.name == "epoll_wait":
        return ", 0)" in step.rest  # it only looks
    return step.name in QUIET or (step.name == "openat" and "O_CREAT" not in step.rest)


def _points(steps: Iterable[tracer.Step], known: Iterable[Where] = ()) -> list[Where]:
    found = dict.fromkeys(Where(step.name, step.n) for step in steps)
    return [where for where in found if where not in set(known)]


def failures(writes: Iterable[Where], *, on: bool) -> list[Where]:
    """Each write of the ledger fails, in both ways: this once, or from there on."""
    broken = [where for where in writes if where.name in WRITES]
    return [where._replace(what=what, on=on) for where in broken for what in ERRORS]


def sections(slot: Slot) -> list[Section]:
    """All there is for this kind of server."""
    run, guardian, recovery, watched = _traced(slot)
    kind = slot.kind

    def all_of(name: str, scene: Callable[..., Seen], points: Iterable[object]) -> Section:
        return Section(name, kind, [functools.partial(_play, scene, point) for point in points])

    found = [
        all_of("run", scenes.run_dies, run.loud),
        all_of("run: its start", scenes.run_dies, run.start),
        all_of("run: quiet calls", scenes.run_dies, run.quiet),
        all_of("guardian", scenes.guardian_dies, guardian.loud),
        all_of("guardian: quiet calls", scenes.guardian_dies, guardian.quiet),
        all_of("recovery", _recovery("left"), recovery.loud),
        all_of("recovery: quiet calls", _recovery("left"), recovery.quiet),
        all_of("recovery of an intent", _recovery("intent"), recovery.loud),
        all_of("recovery of what is undone", _recovery("undone"), recovery.loud),
        all_of("recovery after a watch", _recovery("watched"), watched.loud),
        all_of("requests", _knocked, _knocks()),
        all_of("runner and guardian", _both, itertools.product(run.loud, _knocks("guardian"))),
        all_of("broken write", scenes.disk_fails, failures(run.loud, on=False)),
        all_of("broken write: its start", scenes.disk_fails, failures(run.start, on=False)),
        all_of("broken disk from then on", scenes.disk_fails, failures(run.start + run.loud, on=True)),
    ]
    lease = all_of("nobody but the lease", scenes.lease_lapses, (k for k in _knocks("runner") if 5 <= k.n <= 8))
    return [*found, lease] if kind == "embedded" else found


def command(slot: Slot) -> Section:
    """A whole `chaos-runner run`, from preparing its fault on; its ticks come as they come, so no count is exact."""
    trace = slot.folder / "command.trace"
    scenes.command_dies(slot, None, trace)
    steps = tracer.steps(trace)
    sent = next(n for n, step in enumerate(steps) if _sends(step, "POST /proxies/p/toxics"))
    begins = max(n for n in range(sent) if _sends(steps[n], "GET /proxies/p "))
    loud = _points(step for step in steps[begins:] if step.name in STEADY)
    return Section("chaos-runner run", slot.kind, [functools.partial(_play, scenes.command_dies, one) for one in loud])


def _sends(step: tracer.Step, words: str) -> bool:
    return step.name == "sendto" and f'"{words}' in step.rest


def _play(scene: Callable[..., Seen], point: object, slot: Slot) -> Seen:
    try:
        return scene(slot, point)
    except Exception as why:  # told as a finding of this point, and the others are played
        slot.clear()
        return Seen(str(point), False, 0.0, (f"{type(why).__name__}: {why}",))


def _traced(slot: Slot) -> tuple[Calls, Calls, Calls, Calls]:
    """A run, a guardian's takeover, a recovery, and one that ends a watch; undisturbed."""
    traces = [slot.folder / f"{what}.trace" for what in ("run", "guardian", "recovery", "watched")]
    slot.fresh()
    assert slot.play("run", trace=traces[0])[0] == 0, slot.log.read_text()
    slot.clear()
    scenes.guardian_dies(slot, None, traces[1])
    for what, trace in (("left", traces[2]), ("watched", traces[3])):
        slot.fresh(left(slot, what))
        if what == "left":
            slot.lay()
        assert slot.play("recovery", trace=trace)[0] == 0, slot.log.read_text()
    assert slot.ledger.fault() == "CLOSED"
    return calls(traces[0], MARK), calls(traces[1]), calls(traces[2]), calls(traces[3])


def _knocks(*roles: Role) -> list[Knock]:
    found = (Knock(role, n, moment) for role in roles or REQUESTS for n in range(REQUESTS[role]) for moment in MOMENTS)
    return [knock for knock in found if knock.role != "guardian" or knock.n >= FIRST_OF_GUARDIAN]


def _knocked(slot: Slot, knock: Knock) -> Seen:
    return scenes.knocked(slot, knock, left(slot, "left") if knock.role == "recovery" else None)


def _both(slot: Slot, pair: tuple[Where, Knock]) -> Seen:
    return scenes.both_die(slot, *pair)


def _recovery(what: str) -> Callable[[Slot, Where], Seen]:
    def scene(slot: Slot, where: Where) -> Seen:
        return scenes.recovery_dies(slot, where, left(slot, what), harmed=what in {"left", "intent"})

    return scene


def left(slot: Slot, what: str) -> Path:
    """A state folder as a dead run left it; made once for each slot, whose addresses are in it."""
    template = slot.folder / what
    if not template.exists():
        shutil.copytree(scenes.left(slot), template)
        if what == "undone":
            _undone(template)
        elif what != "left":
            with contextlib.closing(sqlite3.connect(template / "ledger.sqlite")) as con, con:
                con.executescript(_EDITS[what])
    return template


# Its row says no more than INTENT; or it was read as gone, and fenced, over a minute ago.
_EDITS = {
    "intent": "UPDATE fault SET state = 'INTENT'",
    "watched": "UPDATE fault SET state = 'WATCHING', updated_at = updated_at - 100;"
    "UPDATE run SET owner = json_set(owner, '$.start_time', json_extract(owner, '$.start_time') - 20000)",
}


def _undone(template: Path) -> None:
    """As one that died between two writes: the fault is on record as gone, and not yet as watched."""
    with store.open_store(template, allow_tmpfs=True) as ledger:
        [row] = ledger.open_faults()
        for record, state in ((UndoBegan(fault=row.id, sent_t=1.0), "UNDOING"), (_reverted(row.id), "UNDONE")):
            ledger.set_fault_state(row.id, 1, state, record=store.Stamped(record, time.time(), 1.0))


def _reverted(fault: str) -> FaultReverted:
    return FaultReverted(fault=fault, gone_t=1.0, by="runner")
