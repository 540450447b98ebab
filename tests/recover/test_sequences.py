"""Whatever commands people type, in whatever order, and whatever dies in between: the target ends as it was found."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos_runner import conduct, store
from chaos_runner.cli import main, recover, run, sweeping
from chaos_runner.lifecycle import WATCH_S
from tests.proxy import toxi
from tests.recover.kit import began_in

CONFIGURATION = """\
kind: config/v1
environments:
  here: {{toxiproxy: {{url: "http://127.0.0.1:{port}"}}}}
"""
EXPERIMENT = """\
kind: experiment/v1
name: e
hypothesis: Nobody minds.
service: shop
steady_state:
  listener: {{probe: tcp, with: {{address: "127.0.0.1:{port}", rate: 20/s}}, expect: [success >= 80%]}}
baseline: 5s
blast_radius: {{max_duration: 30s}}
method:
  - fault: {fault}
    target: {{proxy: {proxy}}}
    for: 2s
recovery: {{within: 5s}}
"""
FAULTS = ("toxic\n    with: {type: latency, latency: 50ms}", "proxy_down")
SEEDS = range(int(os.environ.get("SEQUENCES", "3")))  # more of them, for longer
MOMENTS = {"harm": 0.8, "early": 2.0, "late": 3.0}
OTHERS = ("recover", "janitor", "halt", "resume", "drill")
LAPSE_S = 12.0
ALL_S = 180.0
LOADED = (conduct, run, recover, sweeping)  # before forking: a command then costs no start


def forked(work: Callable[[], int], said: Path) -> int:
    """A process that does this and nothing else; its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        with said.open("a") as file:
            sys.stdout = sys.stderr = file
            try:
                code = work()
            except BaseException:
                traceback.print_exc(file=file)
            file.flush()
    finally:
        os._exit(code)


def ended(pid: int, limit_s: float) -> int | None:
    """Its exit code; None while it lives after all this time."""
    end = time.monotonic() + limit_s
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.01)


def over(pid: int) -> bool:
    """Whether a child of ours has ended, and waits to be asked how."""
    return " Z " in Path(f"/proc/{pid}/stat").read_text("utf-8")


class Hands:
    """One person with a folder and a proxy of their own, at a server that all share."""

    def __init__(self, folder: Path, api: toxi.Api, seed: int) -> None:
        self.folder, self.api, self.seed, self.dice = folder, api, seed, random.Random(seed)
        self.state, self.log = folder / ".chaos-runner", folder / "said.txt"
        self.proxy = f"p{seed}"
        folder.mkdir()
        api.make(self.proxy)
        api.toxic("latency", "upstream", proxy=self.proxy, name="theirs", latency=1)
        (folder / "chaos-runner.yaml").write_text(CONFIGURATION.format(port=api.port))
        fault = FAULTS[seed // 2 % len(FAULTS)]
        (folder / "e.yaml").write_text(EXPERIMENT.format(port=api.port, fault=fault, proxy=self.proxy))
        self.found = self.look()

    def look(self) -> Any:
        return self.api("GET", f"/proxies/{self.proxy}").json

    def live(self) -> int:
        """The whole sequence: other commands, a run that dies somewhere, and other commands again."""
        os.chdir(self.folder)
        try:
            self.types(1)
            self.type("resume")
            self.run()
            self.types(2)
            self.clean_up()
        finally:
            self.kill_guardians()
        return 0

    def types(self, count: int) -> None:
        for word in self.dice.sample(OTHERS, count):
            self.type(*(("halt", "--drill") if word == "drill" else (word,)))

    def run(self) -> None:
        """A run that dies before its fault, or in it, or nearly lives to its end; sometimes its guardian dies too."""
        pid = forked(lambda: main.main(["run", "e.yaml", "--no-report"]), self.log)
        moment = list(MOMENTS)[self.seed % len(MOMENTS)]
        if moment != "early":
            self._until(lambda: self.look() != self.found or over(pid), 60.0)
        code = ended(pid, MOMENTS[moment] * self.dice.random())
        harmed = self.look() != self.found
        if code is None:
            os.kill(pid, signal.SIGKILL)
            ended(pid, 10.0)
        assert code not in {2, 70}, self.log.read_text()
        self.note(f"run: {'killed' if code is None else code} in {'harm' if harmed else 'peace'}")
        if self.dice.random() < 0.5:
            self.kill_guardians()
            self.note("its guardian killed too")

    def type(self, *words: str) -> None:
        words = (*words, "global", "--reason", "on with it") if words == ("resume",) else words
        code = ended(forked(lambda: main.main(list(words)), self.log), 60.0)
        self.note(f"{' '.join(words)}: {code}")
        # 2 and 3: of levers that were not so; 5: `halt` where nobody is left to undo, never after recovering.
        assert code in ({0, 2, 3, 5} if words[0] == "halt" else {0, 2, 3}), self.log.read_text()

    def note(self, line: str) -> None:
        with self.log.open("a") as file:
            file.write(f"# {line}\n")

    def kill_guardians(self) -> None:
        """Told by their log."""
        for log in self.state.glob("guardian-*.log"):
            for fd in Path("/proc").glob("[0-9]*/fd/1"):
                with contextlib.suppress(OSError):
                    if fd.readlink() == log:
                        os.kill(int(fd.parts[2]), signal.SIGKILL)

    def clean_up(self) -> None:
        """What a person does at last, and what time does: watches end, and leases that nobody renews."""
        self.kill_guardians()
        self.type("recover")
        if (self.state / "ledger.sqlite").exists():
            began_in(self.state / "ledger.sqlite", WATCH_S + 1)
            self.type("janitor")
        self._until(lambda: self.look() == self.found, LAPSE_S)
        assert self.look() == self.found, self.log.read_text()
        if (self.state / "ledger.sqlite").exists():
            with store.open_store(self.state, read_only=True) as ledger:
                assert ledger.unfinished_runs() == [], self.log.read_text()

    def _until(self, holds: Callable[[], bool], limit_s: float) -> None:
        end = time.monotonic() + limit_s
        while not holds() and time.monotonic() < end:
            time.sleep(0.05)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[toxi.Api]:
    api = toxi.start_embedded(tmp_path / "proxy.log", env={"CHAOS_RUNNER_PROXY_TOKEN": ""})
    yield api
    toxi.stop(api)


def test_any_sequence_of_commands_and_deaths_leaves_the_target_as_it_was(tmp_path: Path, api: toxi.Api) -> None:
    everybody = [Hands(tmp_path / str(seed), api, seed) for seed in SEEDS]
    lives = [forked(hands.live, hands.log) for hands in everybody]
    codes = [ended(pid, ALL_S) for pid in lives]
    for pid, code in zip(lives, codes, strict=True):
        if code is None:
            os.kill(pid, signal.SIGKILL)
            ended(pid, 10.0)

    told = "\n".join(f"--- {hands.proxy}\n{hands.log.read_text()}" for hands in everybody)
    print(told)
    assert codes == [0] * len(everybody), told
    assert all(hands.look() == hands.found for hands in everybody)
    assert " in harm" in told  # else nothing was tried
