"""The files of a day in `days/<day>/`: how to go on with it, its plans, its children's logs and locks. 0700."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from pathlib import Path

import msgspec

from chaos_runner.plan import Plan

NAME = "days"
DRILL = "drill"  # what `run --day DAY:STEP` says for the step of the drill
SETTING_BYTES_MAX = 64 << 10
LOG_BYTES_READ = 8 << 10
_PLAN = re.compile(r"step-(\d+)(?:-(\d+))?\.plan\.json")


class Setting(msgspec.Struct, frozen=True):
    """How the day was begun, for every conductor of it: absolute paths, no secrets."""

    file: str
    config: str  # empty for the built-in one
    reports: str
    cwd: str


class Folder:
    """The folder of one day."""

    def __init__(self, state_dir: Path, day: str) -> None:
        self.state_dir = state_dir
        self.path = state_dir / NAME / day
        self.log = self.path / "conductor.log"

    def make(self, setting: Setting) -> None:
        """Makes it, with how to go on."""
        self.path.mkdir(mode=0o700, parents=True)
        self._write(self.path / "setting.json", msgspec.json.encode(setting))

    def remove(self) -> None:
        """Removes it again: the day was not begun."""
        shutil.rmtree(self.path, ignore_errors=True)

    def setting(self) -> Setting:
        """How the day was begun. Raises OSError or msgspec.DecodeError."""
        with (self.path / "setting.json").open("rb") as file:
            return msgspec.json.decode(file.read(SETTING_BYTES_MAX), type=Setting)

    def plan_path(self, step: int, attempt: int) -> Path:
        """Where the plan of a step's attempt is; steps and attempts count from 0 and 1."""
        return self.path / (f"step-{step}.plan.json" if attempt == 1 else f"step-{step}-{attempt}.plan.json")

    def drill_path(self) -> Path:
        """Where the drill's plan is."""
        return self.path / "drill.plan.json"

    def plans(self) -> frozenset[tuple[int, int]]:
        """Which attempts have their plan."""
        found = (_PLAN.fullmatch(name) for name in self._names())
        return frozenset((int(one[1]), int(one[2] or 1)) for one in found if one)

    def _names(self) -> list[str]:
        with os.scandir(self.path) as entries:
            return [entry.name for entry in entries]

    def keep_plan(self, path: Path, plan: Plan) -> None:
        """Writes a plan whole or not at all."""
        self._write(path, msgspec.json.encode(plan))

    def plan(self, path: Path) -> Plan:
        """A plan that was kept. Raises OSError or msgspec.DecodeError."""
        return msgspec.json.decode(path.read_bytes(), type=Plan)

    def log_of(self, run: str) -> Path:
        """What a child printed."""
        return self.path / f"{run}.log"

    def lock_of(self, run: str) -> Path:
        """A file that a child keeps locked while it lives, whatever became of who started it."""
        return self.path / f"{run}.lock"

    def lives(self, run: str) -> bool:
        """Whether the child of this run still holds its lock."""
        try:
            fd = os.open(self.lock_of(run), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def last_words(self, run: str) -> str:
        """The reason that a child printed for not starting; else its last line."""
        try:
            with self.log_of(run).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_BYTES_READ))
                lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
        except OSError:
            return ""
        refusals = [line for line in lines if line.startswith(("not started:", "not injected:"))]
        return (refusals or lines or [""])[-1][:2000]

    def keep_reports(self, paths: list[Path]) -> None:
        """Where the day's reports are, for whoever waits for them."""
        self._write(self.path / "reports.json", msgspec.json.encode([str(path) for path in paths]))

    def reports(self) -> list[str]:
        """Where they are; none where they were not written."""
        try:
            return msgspec.json.decode((self.path / "reports.json").read_bytes(), type=list[str])
        except (OSError, msgspec.DecodeError):
            return []

    def _write(self, path: Path, content: bytes) -> None:
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_bytes(content)
        draft.rename(path)
