"""The demo shop under a schedule daemon for five minutes: what is written, started, pulled and then read."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

from chaos_runner import files
from chaos_runner.records import RunEnded
from chaos_runner.store import SlotRow, levers, open_store
from tests.demo import observer, trial

CLI = (sys.executable, "-m", "chaos_runner")
LONGER = {"baseline": "10s", "for": "20s"}
APART_S = 60
LEAD_S = 25  # from writing the files to the first slot: the daemon has to be up
FRAGILE = "fragile"
LAST = ("last-fragile", "last-resilient")  # those that the lever stops
FAINT = {"with": "{type: latency, latency: 20ms, stream: downstream}"}  # harm that nobody notices
# name -> bundled file, environment, minutes after the first slot
PLANNED = {
    FRAGILE: ("slow-payments", "demo", 0),
    "slow-catalog": ("slow-catalog", "demo-resilient", 0),
    "slow-payments": ("slow-payments", "demo-resilient", 1),
    "payments-503": ("payments-503", "demo-resilient", 2),
    "payments-reset": ("payments-reset", "demo-resilient", 3),
    LAST[0]: ("slow-payments", "demo", 4),
    LAST[1]: ("slow-catalog", "demo-resilient", 4),
}
FIVE = tuple(name for name in PLANNED if name not in LAST)


class Day(NamedTuple):
    """What came of it."""

    rows: list[SlotRow]
    five_s: float  # from the first slot to the end of the fifth run
    harmed: int  # toxics there were when the lever was pulled
    gone_s: float  # from the lever to the last toxic's end
    blocked: list[str]
    asked: int  # questions that reached the external gate
    left: list[str]
    history: str
    said: str  # why its runs ended as they did

    def of(self, name: str) -> list[SlotRow]:
        """The decisions on one schedule, the oldest first."""
        return [row for row in self.rows if row.schedule == name][::-1]

    def headline(self, name: str) -> str:
        """How its first run ended."""
        return next((row.headline for row in self.of(name) if row.run), "did not run")

    def reasons(self, name: str) -> list[str]:
        """Why it was skipped."""
        return [row.reason for row in self.of(name) if row.decision == "SKIP"]


def misses(day: Day, within_s: float) -> list[str]:
    """What is not as promised."""
    wrong = [f"{name} ended {day.headline(name)}" for name in FIVE if name != FRAGILE and day.headline(name) != "HELD"]
    if day.headline(FRAGILE) not in {"DEVIATED", "ABORTED"}:
        wrong.append(f"the fragile shop ended {day.headline(FRAGILE)}")
    if sum(bool(row.run) for row in day.of(FRAGILE)) != 1 or day.blocked != [FRAGILE]:
        wrong.append(f"blocked: {day.blocked}")
    if not any(why.startswith("blocked: run ") for why in day.reasons(FRAGILE)):
        wrong.append(f"nothing says that it is blocked: {day.reasons(FRAGILE)}")
    if day.five_s > 300:
        wrong.append(f"five runs took {day.five_s:.0f} s")
    if [day.headline(name) for name in LAST] != ["ABORTED", "ABORTED"]:
        wrong.append(f"the lever: {[day.headline(name) for name in LAST]}")
    if day.harmed < 2 or day.gone_s > within_s:
        wrong.append(f"{day.harmed} faults, gone {day.gone_s:.2f} s after the lever")
    if not any(why.startswith("levers: ") for why in day.reasons(FRAGILE)):
        wrong.append(f"nothing says that the lever was pulled: {day.reasons(FRAGILE)}")
    return [*wrong, *day.left]


def spend(folder: Path, say: Callable[[str], None]) -> Day:
    """The whole of it in this folder; the shops and the daemon are gone when it returns."""
    state = folder / ".chaos-runner"
    worlds = _up(folder)
    say("two shops are up, a fragile one and a resilient one")
    try:
        with _gate() as (gate, asked):
            first = int(time.time()) + LEAD_S
            _write(folder, worlds, gate, first)
            for environment in worlds:
                _cli(folder, "schedule", "arm", environment, "--by", "ann", "--until", "1h")
            log = (folder / "daemon.log").open("wb")
            with log, subprocess.Popen([*CLI, "schedule", "run"], cwd=folder, stdout=log, stderr=log) as daemon:
                proxies = [one["toxiproxy"]["url"] for one in worlds.values()]
                try:
                    return _watched(folder, state, proxies, first, asked, say)
                finally:
                    daemon.send_signal(signal.SIGTERM)
                    daemon.wait(30)
    finally:
        _cli(folder, "demo", "down")


def _watched(
    folder: Path, state: Path, proxies: list[str], first: int, asked: list[str], say: Callable[[str], None]
) -> Day:
    five_s = _five(state, first, say)
    _until(lambda: len(_harm(proxies)) >= 2, first + 4 * APART_S + 60 - time.time())
    harmed, pulled = len(_harm(proxies)), time.monotonic()
    levers.pull(state, "global", "ann", "the five minutes are over")
    _until(lambda: not _harm(proxies), 60, every_s=0.02)
    gone_s = time.monotonic() - pulled
    say(f"lever pulled: {harmed} faults were gone {gone_s:.2f} s later")
    _until(lambda: _settled(state, LAST), 60)
    _until(lambda: any(row.reason.startswith("levers: ") for row in _rows(state)), 75)
    with open_store(state, read_only=True) as ledger:
        blocked = [one.schedule for one in ledger.blocked()]
        ended = [one.record for row in _rows(state) if row.run for one in ledger.records(row.run)]
        said = "\n".join(one.outcome.why for one in ended if isinstance(one, RunEnded))
        left = [f"{fault.id} is open" for fault in ledger.open_faults()] + _harm(proxies)
    history = _cli(folder, "schedule", "history", "-n", "200")
    return Day(_rows(state), five_s, harmed, gone_s, blocked, len(asked), left, history, said)


def _five(state: Path, first: int, say: Callable[[str], None]) -> float:
    """Waits for the end of the five, and says each as it comes."""
    told: set[str] = set()
    until = first + 5 * APART_S
    while len(told) < len(FIVE) and time.time() < until:
        for row in _rows(state):
            if row.schedule in FIVE and row.state not in {"", "CLAIMED", "ATTACHED"} and row.schedule not in told:
                told.add(row.schedule)
                say(f"{time.time() - first:5.0f} s  {row.schedule:<16} {row.headline or row.state}  {row.reason}")
        time.sleep(0.5)
    return time.time() - first


def _up(folder: Path) -> dict[str, Any]:
    worlds: dict[str, Any] = json.loads(_cli(folder, "demo", "up", "-o", "json"))["worlds"]
    return worlds


def _write(folder: Path, worlds: dict[str, Any], gate: str, first: int) -> None:
    """Configuration and experiments: each schedule once, but the fragile one every minute."""
    lines = []
    for name, (file, environment, minutes) in PLANNED.items():
        there = folder / name
        there.mkdir()
        copy = trial.short_copy(files.bundled() / f"{file}.yaml", there, LONGER | (FAINT if name in LAST else {}))
        at = time.gmtime(first + minutes * APART_S)
        cron = f"{at.tm_sec} * * * * *" if name == FRAGILE else time.strftime("%-S %-M %-H * * *", at)
        path = copy.relative_to(folder)
        lines.append(
            f"  - {{name: {name}, experiment: {path}, environment: {environment}, calendar: always,"
            f' cron: "{cron}", min_gap: 1s, cooldown: 1s, tolerance: 20s}}'
        )
    environments = [_environment(name, world["services"]["shop"], gate) for name, world in worlds.items()]
    text = ["kind: config/v1", "environments:", *environments, "schedules:", *lines, ""]
    (folder / "chaos-runner.yaml").write_text("\n".join(text))


def _environment(name: str, shop: str, gate: str) -> str:
    none = "{not_used: the demo has none}"
    return (
        f"  {name}:\n    toxiproxy: embedded\n    gates:\n"
        f'      healthy: {{answers: "{shop}/catalog"}}\n'
        f"      deploy: {none}\n      incident: {none}\n      budget: {none}\n"
        f'      external: {{url: "{gate}/{{service}}"}}'
    )


@contextmanager
def _gate() -> Iterator[tuple[str, list[str]]]:
    """Somebody else who has a say, and says yes."""
    asked: list[str] = []

    class Yes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = b'{"ok": true, "reason": "nobody minds"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Yes)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def _harm(proxies: list[str]) -> list[str]:
    """What is on the proxies that is not theirs, without a look at ports: that takes longer than a tick."""
    found = []
    for url in proxies:
        for name, proxy in observer.get(url, "/proxies").items():
            found += [f"{name}: {toxic['name']}" for toxic in proxy["toxics"]]
            found += [] if proxy["enabled"] else [f"{name}: disabled"]
    return found


def _rows(state: Path) -> list[SlotRow]:
    with open_store(state, read_only=True) as ledger:
        return ledger.slots(limit=1000)


def _settled(state: Path, names: tuple[str, ...]) -> bool:
    with open_store(state, allow_tmpfs=True) as ledger:
        ledger.settle_slots()
        return all(
            row.state not in {"CLAIMED", "ATTACHED"} for row in ledger.slots(limit=1000) if row.schedule in names
        )


def _until(holds: Callable[[], Any], limit_s: float, every_s: float = 0.2) -> None:
    """Waits; what does not come is seen in what is read afterwards."""
    until = time.monotonic() + limit_s
    while not holds() and time.monotonic() < until:
        time.sleep(every_s)


def _cli(folder: Path, *words: str) -> str:
    """A command as a pipeline gives it: no terminal anywhere."""
    done = subprocess.run(
        [*CLI, *words], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False,
        env={key: value for key, value in os.environ.items() if not re.match("CHAOS_RUNNER_", key)},
    )  # fmt: skip
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout
