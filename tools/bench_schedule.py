"""What a daemon costs with very many schedules: its start, its idle time, its memory, and a crowd that is due at once.

Prints CPU seconds beside wall time: on a busy machine only the first are the program's own. Exits 1 above a limit.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chaos_runner.store import open_store  # noqa: E402

START_S, IDLE_SHARE, MEMORY_MB, DECIDED_S, PREVIEW_S = 15.0, 0.02, 500.0, 3.0, 0.1
CLI = (sys.executable, "-m", "chaos_runner", "schedule", "run")
A_FILE = 4_000
GATES = ("healthy", "deploy", "incident", "budget")
EXPERIMENT = """\
kind: experiment/v1
name: noop-{n}
hypothesis: nothing happens
service: service-{n}
steady_state: {{a: {{probe: tcp, with: {{address: "127.0.0.1:9"}}, expect: [success >= 50%]}}}}
baseline: 5s
blast_radius: {{}}
method:
  - {{pause: 1s}}
"""


def world(folder: Path, schedules: int, cron: str, gate: str, services: int) -> None:
    """Files of schedules, one experiment a service, one environment."""
    for n in range(services):
        (folder / f"e{n}.yaml").write_text(EXPERIMENT.format(n=n))
    (folder / "schedules").mkdir()
    for first in range(0, schedules, A_FILE):
        lines = [
            f"  - {{name: s-{n}, experiment: e{n % services}.yaml, environment: here, calendar: work,"
            f' cron: "{cron.format(minute=n % 60, hour=n // 60 % 24)}"}}'
            for n in range(first, min(first + A_FILE, schedules))
        ]
        text = "kind: schedules/v1\nschedules:\n" + "\n".join(lines) + "\n"
        (folder / "schedules" / f"{first:06}.yaml").write_text(text)
    asked = ", ".join(f"{name}: {{not_used: a measurement}}" for name in GATES)
    (folder / "chaos-runner.yaml").write_text(
        "kind: config/v1\n"
        f'environments: {{here: {{gates: {{{asked}, external: {{url: "{gate}"}}}}}}}}\n'
        'calendars: {work: {days: mon-sun, between: "00:00-24:00", timezone: Europe/Berlin}}\n'
        'schedules: ["file:schedules"]\n'
    )


class Daemon:
    """One daemon, and what the kernel says it used."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self.began = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(CLI, cwd=folder, stdout=log, stderr=log)

    def until(self, word: str, limit_s: float = 300.0) -> float:
        """Seconds since its start until it said this."""
        while time.monotonic() - self.began < limit_s:
            if word in self.log.read_text():
                return time.monotonic() - self.began
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit(f"it never said {word!r}:\n{self.log.read_text()[-2000:]}")

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """The most it ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def gate_server(delay_s: float) -> ThreadingHTTPServer:
    """A gate that takes its time and says no."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(delay_s)
            body = b'{"ok": false, "reason": "measured"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        request_queue_size = 512

    server = Server(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


def many(schedules: int, idle_s: float) -> bool:
    """Start, memory and idle time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world(folder, schedules, "{minute} {hour} 1 1 *", "http://127.0.0.1:9", 20)
        daemon = Daemon(folder)
        try:
            start_s = daemon.until('"leads"')
            start_cpu = daemon.cpu_s()
            time.sleep(3)
            before = daemon.cpu_s()
            time.sleep(idle_s)
            idle = (daemon.cpu_s() - before) / idle_s
            memory = daemon.memory_mb()
        finally:
            daemon.stop()
    print(f"{schedules} schedules: leads after {start_s:.1f} s ({start_cpu:.1f} s CPU; limit {START_S:g} s)")
    print(f"  idle {idle:.2%} of a core (limit {IDLE_SHARE:.0%}), at most {memory:.0f} MB (limit {MEMORY_MB:g} MB)")
    return start_cpu <= START_S and idle <= IDLE_SHARE and memory <= MEMORY_MB


def preview(schedules: int) -> bool:
    """The next ten slots of one of many, once the files are read; and what a command costs that reads them first."""
    from chaos_runner.schedule import slots
    from chaos_runner.scheduler import book

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world(folder, schedules, "{minute} {hour} * * mon-fri", "http://127.0.0.1:9", 20)
        began = time.process_time()
        read = book.read(folder / "chaos-runner.yaml", folder / ".chaos-runner")
        read_s = time.process_time() - began
        took = []
        for item in read.items[:: max(1, schedules // 50)]:
            began = time.process_time()
            due = slots.due(item.schedule, item.almanac, int(time.time()), int(time.time()) + 400 * 86400, item.terms)
            assert len(list(itertools.islice(due, 10))) == 10
            took.append(time.process_time() - began)
    most, middle = max(took), sorted(took)[len(took) // 2]
    print(f"preview of one of {schedules}, the files read: {middle * 1000:.1f} ms CPU, at most {most * 1000:.1f} ms")
    print(f"  (limit {PREVIEW_S * 1000:g} ms); reading them all, which a command does first, takes {read_s:.1f} s CPU")
    return most <= PREVIEW_S


def crowd(due: int, services: int) -> bool:
    """All due in the same second, a gate that takes 300 ms."""
    gate = gate_server(0.3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        at = time.time() + 40
        cron = f"{int(at) % 60} {int(at) // 60 % 60} * * * *"
        world(folder, due, cron, f"http://127.0.0.1:{gate.server_port}/{{service}}", services)
        cron = time.strftime("%S %M * * * *", time.gmtime(at))
        for file in (folder / "schedules").iterdir():
            file.write_text(re.sub(r'cron: "[^"]*"', f'cron: "{cron}"', file.read_text()))
        state = folder / ".chaos-runner"
        with open_store(state, allow_tmpfs=True) as store:
            store.arm("here", "bench", time.time() + 3600)
        daemon = Daemon(folder)
        try:
            daemon.until('"leads"', at - time.time())
            before = daemon.cpu_s()
            with open_store(state, allow_tmpfs=True) as store:
                while sum(store.slot_counts().values()) < due and time.time() < at + 60:
                    time.sleep(0.02)
                took = time.time() - int(at)
                rows = store.slots(limit=due)
            cpu = daemon.cpu_s() - before
        finally:
            daemon.stop()
            gate.shutdown()
            gate.server_close()
    asked = sum(row.reason == "external: measured" for row in rows)
    print(
        f"{due} due at once, {services} services: all decided {took:.2f} s after they were due ({cpu:.2f} s CPU; limit"
    )
    print(f"  {DECIDED_S:g} s); {len(rows)} decisions, {asked} by the gate's answer")
    return took <= DECIDED_S and len(rows) == due and asked == due


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=100_000)
    parser.add_argument("--idle", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--due", type=int, default=2000)
    parser.add_argument("--services", type=int, default=200)
    args = parser.parse_args()
    done = [many(args.schedules, args.idle), preview(args.schedules), crowd(args.due, args.services)]
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
