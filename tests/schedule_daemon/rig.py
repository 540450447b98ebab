"""Several daemons on one store, a proxy whose API is watched, and somebody who kills, stops and resumes at random."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from chaos_runner.store import SlotRow, SqliteStore, open_store
from tests.crash.relay import Relay
from tests.proxy import toxi

CLI = (sys.executable, "-m", "chaos_runner")
ENVIRONMENTS = ("one", "two", "three", "four", "five", "six", "seven", "eight")  # a run in each at a time
LAPSE_S = 7.0  # a stopped leader is resumed after its lease is another's

EXPERIMENT = """\
kind: experiment/v1
name: tiny-{name}
hypothesis: nothing is done twice
service: {name}
steady_state:
  users:
    probe: tcp
    with: {{address: "127.0.0.1:{port}", rate: 8/s, timeout: 5s}}
    expect: [success >= 50%]
baseline: 5s
blast_radius: {{at_once: 1, in_total: 1, max_duration: 30s}}
abort: {{violated_for: 10s}}
method:
  - fault: toxic
    target: {{proxy: {name}}}
    with: {{type: latency, latency: 50ms}}
    confirm: [read-back]
    for: {hold}s
recovery: {{within: 20s}}
"""
SIGNALS = ("healthy", "deploy", "incident", "budget", "external")
NOT_USED = "{" + ", ".join(f"{gate}: {{not_used: a test}}" for gate in SIGNALS) + "}"


def configuration(url: str, *, cron: str = "* * * * * *", gates: str = "", environments: tuple[str, ...]) -> str:
    """One schedule an environment, all due at once."""
    gates = gates or NOT_USED
    places = "\n".join(f'  {name}: {{toxiproxy: {{url: "{url}"}}, gates: {gates}}}' for name in environments)
    lines = "\n".join(
        f'  - {{name: {name}, experiment: {name}.yaml, environment: {name}, calendar: always, cron: "{cron}",'
        " min_gap: 1s, cooldown: 1s, tolerance: 20s}"
        for name in environments
    )
    return f"kind: config/v1\nenvironments:\n{places}\nschedules:\n{lines}\n"


class Rig:
    """A folder with configuration, experiments and state; a proxy; daemons."""

    def __init__(
        self, folder: Path, *, cron: str = "* * * * * *", hold_s: int = 2, environments: tuple[str, ...] = ENVIRONMENTS
    ) -> None:
        self.folder, self.state = folder, folder / ".chaos-runner"
        self.environments = environments
        self.api = toxi.start_embedded(folder / "proxy.log")
        self.relay = Relay(self.api.port, lambda: True)
        self.daemons: dict[int, subprocess.Popen[bytes]] = {}
        self.started = 0
        for name in environments:
            self.api.make(name)
            text = EXPERIMENT.format(name=name, port=self.api.port, hold=hold_s)
            (folder / f"{name}.yaml").write_text(text)
        self.configure(cron=cron)

    def configure(self, *, cron: str = "* * * * * *", gates: str = "") -> None:
        text = configuration(self.relay.doors["runner"], cron=cron, gates=gates, environments=self.environments)
        draft = self.folder / "draft"
        draft.write_text(text)
        draft.rename(self.folder / "chaos-runner.yaml")

    def say(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of `chaos-runner schedule`."""
        return subprocess.run(
            [*CLI, "schedule", *words], cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )

    def store(self) -> SqliteStore:
        return open_store(self.state, allow_tmpfs=True)

    def arm(self) -> None:
        with self.store() as store:
            for name in self.environments:
                store.arm(name, "a test", time.time() + 3600)

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        self.started += 1
        with (self.folder / f"daemon-{self.started}.log").open("wb") as log:
            process = subprocess.Popen([*CLI, "schedule", "run", *options], cwd=self.folder, stdout=log, stderr=log)
        self.daemons[process.pid] = process
        return process

    def kill(self, process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGKILL) -> None:
        process.send_signal(number)
        if number is not signal.SIGKILL:
            process.send_signal(signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        self.daemons.pop(process.pid, None)

    def leader(self, store: SqliteStore) -> subprocess.Popen[bytes] | None:
        lease = store.lease()
        if lease is None or lease.left_s <= 0:
            return None
        return self.daemons.get(int(lease.holder.split("/")[1]))

    def injected(self) -> Counter[str]:
        """Toxics that reached the proxy, by run; fences do no harm."""
        names = {call.body["name"] for call in self.relay.calls if call.injects and 200 <= call.status < 300}
        return Counter(name.split(".")[1] for name in names)

    def toxics(self) -> list[str]:
        """What is on the proxies now."""
        return [toxic["name"] for proxy in self.api("GET", "/proxies").json.values() for toxic in proxy["toxics"]]

    def settle(self, limit_s: float = 120.0) -> None:
        """Every daemon ends, and every run comes to its end; what died is recovered."""
        for process in list(self.daemons.values()):
            self.kill(process, signal.SIGTERM)
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            with self.store() as store:
                store.settle_slots()
                if not store.going_slots() and not store.unfinished_runs():
                    return
            subprocess.run(
                [*CLI, "recover", "--watch"], cwd=self.folder, capture_output=True, timeout=limit_s, check=False
            )
            time.sleep(1)

    def close(self) -> None:
        for process in self.daemons.values():
            process.kill()
            process.wait(5)
        self.relay.close()
        toxi.stop(self.api)


@contextlib.contextmanager
def rig(folder: Path, **options: object) -> Iterator[Rig]:
    one = Rig(folder, **options)  # type: ignore[arg-type]
    try:
        yield one
    finally:
        one.close()


class Trial(NamedTuple):
    """What a trial came to."""

    slots: list[SlotRow]
    injected: Counter[str]
    takeovers: int
    takeover_s: list[float]
    resumed: int
    left: int
    toxics: list[str]

    @property
    def runs(self) -> list[SlotRow]:
        return [row for row in self.slots if row.state == "ENDED"]

    @property
    def twice(self) -> list[str]:
        """Runs that reached the proxy with more than one toxic, and those that no slot was claimed for."""
        claimed = {row.run for row in self.slots if row.run}
        return [run for run, count in self.injected.items() if count != 1 or run not in claimed]


def trial(one: Rig, seconds: float, seed: int, *, every_s: tuple[float, float] = (0.5, 2.5)) -> Trial:
    """Three daemons; the leader, mostly, is killed, stopped for longer than its lease, or asked to end."""
    chance = random.Random(seed)
    one.arm()
    for _ in range(3):
        one.start()
    took: list[float] = []
    resumed = 0
    until = time.monotonic() + seconds
    with one.store() as store:
        _led(store, 0, 60.0)
        while time.monotonic() < until:
            time.sleep(min(chance.uniform(*every_s), max(0.0, until - time.monotonic())))
            process = one.leader(store)
            if process is None:
                continue
            lease = store.lease()
            assert lease is not None
            deed = chance.choice(("kill", "stop", "end"))
            if chance.random() < 0.2:
                process = chance.choice(list(one.daemons.values()))  # a spare, or the leader after all
            led = one.leader(store) is process
            began = time.monotonic()
            if deed == "stop":
                resumed += _stopped(one, store, process, lease.epoch)
            else:
                one.kill(process, signal.SIGKILL if deed == "kill" else signal.SIGTERM)
                one.start()
            if led and _led(store, lease.epoch, 15.0):
                took.append(time.monotonic() - began)
        last = store.lease()
    one.settle()
    with one.store() as store:
        return Trial(
            slots=store.slots(limit=10_000),
            injected=one.injected(),
            takeovers=(last.epoch if last else 1) - 1,
            takeover_s=took,
            resumed=resumed,
            left=len(store.open_faults()),
            toxics=one.toxics(),
        )


def _stopped(one: Rig, store: SqliteStore, process: subprocess.Popen[bytes], epoch: int) -> bool:
    """Stopped until another one leads, then resumed; whether that was the leader."""
    led = one.leader(store) is process
    os.kill(process.pid, signal.SIGSTOP)
    if led:
        _led(store, epoch, LAPSE_S + 3)
    os.kill(process.pid, signal.SIGCONT)
    return led


def _led(store: SqliteStore, after: int, limit_s: float) -> bool:
    """Waits until somebody leads with a later epoch."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        lease = store.lease()
        if lease is not None and lease.epoch > after and lease.left_s > 0:
            return True
        time.sleep(0.05)
    return False
