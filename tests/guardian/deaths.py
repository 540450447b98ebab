"""What can die, fall silent or go away while a fault is on its target, and within which time it must be gone then."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.guardian.bench import Bench, Command, Small, installed
from tests.proxy import toxi

SECRET = "sentinel-8d1f0c27-never-to-be-seen"
TTL_S = 5.0  # that of a real run
LEASE_S = 5.0
TICK_S = 1.0
UNDO_S = 1.0  # what one undo may take where the promise is "and the undo"
CGROUPS = Path("/sys/fs/cgroup/memory")

_numbers = itertools.count()


class Ground:
    """An embedded proxy that wants a token, and a folder for each trial."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.api = toxi.start_embedded(folder / "proxy.log", env={"CHAOS_RUNNER_PROXY_TOKEN": SECRET})

    def place(self) -> tuple[Path, str]:
        """A folder that is not there yet, and a proxy that nobody else has."""
        name = f"t{next(_numbers)}"
        made = self.api(
            "POST", "/proxies", {"name": name, "upstream": "127.0.0.1:9", "listen": "127.0.0.1:0"},
            Authorization=f"Bearer {SECRET}",
        )  # fmt: skip
        assert made.status == 201, made
        return self.folder / name, name

    def small(self, *arguments: str) -> Small:
        folder, proxy = self.place()
        return Small(
            folder, self.api, *arguments, token=SECRET, proxy=proxy, run=f"run-{proxy}", ttl_s=TTL_S
        )  # fmt: skip

    def command(self) -> Command:
        folder, proxy = self.place()
        return Command(folder, self.api, token=SECRET, proxy=proxy)

    def moving(self) -> Command:
        """A command whose package and configuration go away once its fault is there."""
        folder, proxy = self.place()
        python, self_place = installed(folder.with_name(f"{proxy}-installed"))
        bench = Command(folder, self.api, token=SECRET, proxy=proxy, python=python)
        self_place.rename(self_place.with_name("site-packages.old"))
        (folder / "chaos-runner.yaml").unlink()
        return bench

    def close(self) -> None:
        toxi.stop(self.api)


class Death(NamedTuple):
    """One way to die. `befalls` does it, and says since when where that is not at once.

    `bound_s` is the promise, `promise` says where it comes from.
    """

    name: str
    start: Callable[[Ground], Bench]
    befalls: Callable[[Any], float | None]
    bound_s: float
    promise: str
    ends: str = "guardian"  # who writes the end of the run
    code: int | None = None  # the exit code of a runner that survives


def _killed(bench: Bench) -> None:
    bench.kill(signal.SIGKILL)


def _group_killed(bench: Bench) -> None:
    os.killpg(bench.process.pid, signal.SIGKILL)


def _stopped(bench: Bench) -> None:
    bench.kill(signal.SIGSTOP)


def _asked(word: str) -> Callable[[Small], None]:
    return lambda bench: bench.ask(word)


def _unguarded(bench: Bench) -> None:
    os.kill(bench.guardian, signal.SIGKILL)


def _guardian_stopped(bench: Bench) -> None:
    os.kill(bench.guardian, signal.SIGSTOP)


def _both(bench: Bench) -> None:
    os.kill(bench.guardian, signal.SIGKILL)
    bench.kill(signal.SIGKILL)


def _hung_up(bench: Command) -> None:
    bench.hang_up()


def _twice(bench: Command) -> None:
    bench.type(b"\x03\x03")


def _disk_hangs(bench: Command) -> None:
    """Every fdatasync of the runner takes an hour from now on."""
    tracer = subprocess.Popen(
        ["strace", "-qq", "-f", "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=3600000000", "-p",
         str(bench.process.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    bench.beside.append(tracer)


def _hungry(bench: Small) -> float:
    """No allocation succeeds any more; how long that takes to kill is not ours to promise."""
    bench.ask("hungry")
    return _dead(bench)


def _dead(bench: Small) -> float:
    bench.process.wait(30)
    return time.monotonic()


def _out_of_memory(bench: Small) -> float:
    """The kernel's own killer, in a group of the runner's own."""
    group = CGROUPS / f"guardian-matrix-{bench.process.pid}"
    group.mkdir()
    bench.groups.append(group)
    (group / "memory.limit_in_bytes").write_text(str(32 << 20))
    with contextlib.suppress(OSError):
        (group / "memory.memsw.limit_in_bytes").write_text(str(32 << 20))
    (group / "cgroup.procs").write_text(str(bench.process.pid))
    bench.ask("hoarding")
    return _dead(bench)


def has_strace() -> bool:
    return shutil.which("strace") is not None


def has_cgroups() -> bool:
    return os.access(CGROUPS, os.W_OK) and (CGROUPS / "memory.limit_in_bytes").exists()


def small(ground: Ground) -> Small:
    return ground.small()


def command(ground: Ground) -> Command:
    return ground.command()


def moving(ground: Ground) -> Command:
    return ground.moving()


SILENCE_S, SURVIVED_S = TTL_S + 1, TICK_S + UNDO_S
SILENT, SURVIVED = f"silence of {TTL_S:g} s + 1 s", "a tick of 1 s + undo"

DEATHS = (
    Death("SIGKILL runner", small, _killed, 1.0, "1 s"),
    Death("SIGKILL runner, command line", command, _killed, 1.0, "1 s"),
    Death("SIGKILL its process group", command, _group_killed, 1.0, "1 s"),
    Death("SIGSTOP runner", small, _stopped, SILENCE_S, SILENT),
    Death("SIGSTOP runner, command line", command, _stopped, SILENCE_S, SILENT),
    Death("busy loop in the control loop", small, _asked("busy"), SILENCE_S, SILENT),
    Death("commit never returns", small, _asked("blocked"), SILENCE_S, SILENT),
    Death("fdatasync takes an hour", command, _disk_hangs, TICK_S + SILENCE_S, f"a tick + {SILENT}"),
    Death("no memory (RLIMIT_AS)", small, _hungry, 1.0, "1 s"),
    Death("out of memory (kernel)", small, _out_of_memory, 1.0, "1 s"),
    Death("SIGKILL guardian", command, _unguarded, SURVIVED_S, SURVIVED, "runner", 4),
    Death("SIGSTOP guardian", command, _guardian_stopped, TTL_S + SURVIVED_S, f"silence of {TTL_S:g} s + {SURVIVED}",
          "runner", 4),
    Death("SIGKILL both", command, _both, LEASE_S + 1, f"lease of {LEASE_S:g} s + 1 s", ""),
    Death("terminal closed", command, _hung_up, SURVIVED_S, SURVIVED, "runner", 4),
    Death("Ctrl-C twice", command, _twice, SURVIVED_S, SURVIVED, "runner", 4),
    Death("package and config gone, SIGKILL runner", moving, _killed, 1.0, "1 s"),
    Death("package and config gone, Ctrl-C twice", moving, _twice, SURVIVED_S, SURVIVED, "runner", 4),
)  # fmt: skip


class Trial(NamedTuple):
    """What became of one. `troubles` are sentences; `leaked` says that the fault outlived even the time after."""

    death: str
    took_s: float
    leaked: bool
    troubles: tuple[str, ...]


GRACE_S = 15.0  # beyond the bound: later than this is a leak


def tried(death: Death, ground: Ground) -> Trial:
    """Lets one run die; it never raises for what it finds."""
    bench = death.start(ground)
    try:
        troubles = [*secrets_in_command_lines()]
        began = time.monotonic()
        began = death.befalls(bench) or began
        try:
            took, leaked = bench.clean_after(death.bound_s + GRACE_S, began), False
        except AssertionError:
            took, leaked = time.monotonic() - began, True
        if bench.beside:  # the lease may have lapsed first: the guardian has its time before the runner is let go
            time.sleep(max(0.0, began + death.bound_s + TICK_S - time.monotonic()))
            bench.let_go()
        troubles += _aftermath(death, bench)
    finally:
        bench.close()
    troubles += secrets_in_files(bench)
    return Trial(death.name, took, leaked, tuple(troubles))


def _aftermath(death: Death, bench: Bench) -> Iterator[str]:
    """The run was ended, once, by whom it should be."""
    if death.code is not None:
        code = bench.process.wait(60)
        if code != death.code:
            yield f"exit code {code}, not {death.code}: {bench.said()[-2000:]}"
    wanted = [death.ends] if death.ends else []
    with contextlib.suppress(AssertionError):
        bench.until(lambda _ledger: len(bench.ended_by()) >= len(wanted))
    if bench.ended_by() != wanted:
        yield f"ended by {bench.ended_by()}, not {wanted}"


def secrets_in_command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if SECRET.encode() in path.read_bytes():
                yield f"the secret is in {path}"


def secrets_in_files(bench: Bench) -> Iterator[str]:
    """In no file that a run leaves behind, nor on its screen."""
    folder = bench.folder if isinstance(bench, Command) else bench.state
    for path in folder.rglob("*"):
        if path.is_file() and SECRET.encode() in path.read_bytes():
            yield f"the secret is in {path.name}"
    if SECRET in bench.said():
        yield "the secret was said"
