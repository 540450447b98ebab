"""Measures what the README promises, prints each figure with its limit, and exits 1 where one is missed.

1. `--help` and `validate` as whole processes, side by side with the Chaos Toolkit's where that is installed.
2. Aborted runs at 200 requests/s, four at once: from the decision to the fault gone, as an observer sees it that reads
   the proxy's API through a raw socket more than a hundred times a second.
3. The report of one hour at 1 000 requests/s.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tools"))

from bench_load import Table  # noqa: E402

LOOP = "127.0.0.1"
COMMAND_MS = 150.0
SHARE_OF_CHAOS = 1 / 3
GONE_S = 1.0
POLL_S = 0.004
POLL_HZ_MIN = 100.0
RENDER_S = 2.0
LINES = 100
SLOTS = 4
RUN_WITHIN_S = 90.0
REPLACED_MAX = 1.25  # of the runs asked for: a machine on which more are refused is too busy to measure

EXPERIMENT = """\
kind: experiment/v1
name: bench
hypothesis: a service whose answers come 400 ms late answers within 100 ms
steady_state:
  users:
    probe: http
    with: {{url: "http://127.0.0.1:{port}", rate: 200/s, timeout: 1s}}
    expect: [success >= 99%, p95 <= 100ms]
baseline: 5s
blast_radius: {{at_once: 1, in_total: 1, max_duration: 30s}}
abort: {{violated_for: 1s}}
method:
  - fault: toxic
    target: {{proxy: bench}}
    with: {{type: latency, latency: 400ms, stream: downstream}}
    for: 8s
recovery: {{within: 10s}}
"""
CHECK = """\
  check-{n}:
    title: Users of page {n} get answers
    probe: http
    with:
      service: shop
      path: /page/{n}
      rate: 20/s
      timeout: 2s
    expect:
      - success >= 99%
      - p95 <= 1s
"""
METHOD = """\
baseline: 30s
blast_radius: {at_once: 1, in_total: 1, max_duration: 60s}
abort: {violated_for: 5s}
method:
  - name: payments answers late
    fault: toxic
    target: {proxy: payments}
    with: {type: latency, latency: 400ms, jitter: 50ms, stream: downstream}
    for: 30s
recovery: {within: 30s}
"""


# --- commands ----------------------------------------------------------------------------------------------------


def commands(table: Table, folder: Path, times: int) -> None:
    """Medians of whole processes; ours and theirs take turns, so that both meet the same machine."""
    ours, theirs = Path(sys.executable).with_name("chaos-runner"), Path(sys.executable).with_name("chaos")
    mine, other = folder / "hundred.yaml", folder / "hundred.json"
    mine.write_text(hundred_lines(), encoding="utf-8")
    other.write_text(hundred_lines_of_theirs(), encoding="utf-8")
    pairs = {
        "--help": ([ours, "--help"], [theirs, "--version"]),
        f"validate, {LINES} lines": ([ours, "validate", mine], [theirs, "--no-version-check", "validate", other]),
    }
    for what, (argv, their_argv) in pairs.items():
        rivals = theirs.exists()
        spent = [(wall_ms(argv, folder), wall_ms(their_argv, folder) if rivals else 0.0) for _ in range(times + 1)][1:]
        own, their = (statistics.median(column) for column in zip(*spent, strict=True))
        table.row(
            f"chaos-runner {what}, median of {times}", f"{own:.0f} ms", f"< {COMMAND_MS:.0f} ms", own < COMMAND_MS
        )
        if rivals:
            limit = their * SHARE_OF_CHAOS
            word = " ".join(str(part).rpartition("/")[2] for part in their_argv if str(part) != "--no-version-check")
            table.row(f"  beside `{word}`", f"{their:.0f} ms", f"<= {limit:.0f} ms for ours", own <= limit)
        else:
            table.row("  beside it", "not compared", "chaos is not installed")


def wall_ms(argv: list[object], folder: Path) -> float:
    """How long a command takes, from fork to exit. Raises CalledProcessError."""
    began = time.perf_counter()
    subprocess.run([str(word) for word in argv], cwd=folder, check=True, capture_output=True)
    return (time.perf_counter() - began) * 1000


def hundred_lines() -> str:
    """A valid experiment of exactly so many lines."""
    head = "kind: experiment/v1\nname: hundred-lines\nhypothesis: everybody gets answers\nsteady_state:\n"
    text = head + "".join(CHECK.format(n=n) for n in range(7)) + METHOD
    return "# a line\n" * (LINES - text.count("\n")) + text


def hundred_lines_of_theirs() -> str:
    """A valid experiment of the Chaos Toolkit of about the same size."""
    provider = {"type": "process", "path": "true", "arguments": "", "timeout": 2}
    probes = [{"type": "probe", "name": f"page-{n}", "tolerance": 0, "provider": provider} for n in range(7)]
    action = {"type": "action", "name": "late", "provider": provider}
    whole = {
        "title": "Everybody gets answers",
        "description": "A hundred lines",
        "steady-state-hypothesis": {"title": "answers", "probes": probes},
        "method": [action],
        "rollbacks": [],
    }
    return json.dumps(whole, indent=1)


# --- decision to fault gone --------------------------------------------------------------------------------------


class Abort(NamedTuple):
    """One aborted run: what the observer saw; `trouble` says why it does not count.

    One that was `refused` touched nothing: its baseline was not steady on this machine, and another takes its place.
    """

    gone_s: float = 0.0
    said_s: float = 0.0
    hz: float = 0.0
    trouble: str = ""
    refused: bool = False


class Observer:
    """Reads a proxy through one raw socket, again and again, and remembers when its toxics came and went."""

    def __init__(self, port: int) -> None:
        self.looks = 0
        self.first = self.last = 0.0  # Unix times of looks that saw a toxic
        self.clean = 0.0  # of the first look after that which saw none
        self.spent_s = 0.0
        self._port = port
        self._enough = threading.Event()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Looks until left."""
        thread = threading.Thread(target=self._look_on)
        thread.start()
        try:
            yield
        finally:
            self._enough.set()
            thread.join()

    def _look_on(self) -> None:
        began = time.monotonic()
        with socket.create_connection((LOOP, self._port), timeout=5) as line, line.makefile("rb") as answers:
            while not self._enough.wait(POLL_S):
                line.sendall(b"GET /proxies/bench HTTP/1.1\r\nHost: bench\r\n\r\n")
                toxics = json.loads(body(answers))["toxics"]
                now, self.looks = time.time(), self.looks + 1
                if toxics:
                    self.first, self.last, self.clean = self.first or now, now, 0.0
                elif self.first and not self.clean:
                    self.clean = now
        self.spent_s = time.monotonic() - began


def body(answers: object) -> bytes:
    """The body of the next answer, of known length or in chunks."""
    read_line, read = answers.readline, answers.read  # type: ignore[attr-defined]
    head = list(iter(read_line, b"\r\n"))
    if not head:
        raise ConnectionError("the proxy closed the observer's connection")
    lengths = [int(line.split(b":")[1]) for line in head if line.lower().startswith(b"content-length")]
    if lengths:
        return bytes(read(lengths[0]))
    whole = b""
    while size := int(read_line(), 16):
        whole += read(size)
        read_line()
    read_line()
    return whole


class Slot:
    """A service behind an embedded proxy, each a process of its own, and a place for runs that abuse them."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        folder.mkdir()
        upstream = _listening([sys.executable, __file__, "--serve"], stack)
        proxy = [sys.executable, "-P", "-m", "chaos_runner.proxy", "-port", "0", "--until-eof"]
        made = [{"name": "bench", "listen": f"{LOOP}:0", "upstream": f"{LOOP}:{upstream}", "enabled": True}]
        (folder / "proxies.json").write_text(json.dumps(made))
        self.api = _listening([*proxy, "-config", str(folder / "proxies.json")], stack)
        (folder / "chaos-runner.yaml").write_text(
            f'kind: config/v1\nenvironments: {{bench: {{toxiproxy: {{url: "http://{LOOP}:{self.api}"}}}}}}\n'
        )
        with socket.create_connection((LOOP, self.api), timeout=5) as line, line.makefile("rb") as answers:
            line.sendall(b"GET /proxies/bench HTTP/1.1\r\nHost: bench\r\n\r\n")
            port = int(json.loads(body(answers))["listen"].rpartition(":")[2])
        (folder / "bench.yaml").write_text(EXPERIMENT.format(port=port))

    def abort(self) -> Abort:
        """Runs once."""
        observer = Observer(self.api)
        argv = [sys.executable, "-P", "-m", "chaos_runner", "run", "bench.yaml", "--no-report", "-o", "json"]
        with observer.watching():
            ran = subprocess.run(
                [*argv, "--state", "state"], cwd=self.folder, capture_output=True, text=True, timeout=RUN_WITHIN_S,
                env=_environment(), check=False,
            )  # fmt: skip
        if ran.returncode != 4:
            said = f"exit {ran.returncode}: {(ran.stdout + ran.stderr)[-300:]}"
            return Abort(trouble=said, refused=ran.returncode == 3 and "in the baseline" in said)
        if not observer.clean:
            return Abort(trouble="the observer never saw the toxic, or never saw it gone")
        decided, figures = _decided(json.loads(ran.stdout)["run"], self.folder / "state")
        return Abort(observer.clean - decided, figures, observer.looks / observer.spent_s)


def _listening(argv: list[str], stack: contextlib.ExitStack) -> int:
    process = stack.enter_context(
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment())
    )
    stack.callback(process.kill)
    assert process.stdout is not None
    return int(json.loads(process.stdout.readline())["listening"].rpartition(":")[2])


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _decided(run: str, state: Path) -> tuple[float, float]:
    """The Unix time of the decision, and the seconds to gone that the report prints."""
    from chaos_runner import records, store

    with store.open_store(state, read_only=True) as ledger:
        entries = ledger.records(run)
    tripped = next(one.record for one in entries if isinstance(one.record, records.AbortTripped))
    reverted = next(one.record for one in entries if isinstance(one.record, records.FaultReverted))
    return entries[0].at - entries[0].t + tripped.decided_t, reverted.gone_t - tripped.decided_t


def aborts(table: Table, folder: Path, times: int) -> None:
    """Every run on one of four slots, each used by one run at a time."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(SLOTS) as pool:
        slots = [Slot(folder / f"slot-{n}", stack) for n in range(SLOTS)]

        def share(n: int) -> list[Abort]:
            wanted, took = len(range(n, times, SLOTS)), list[Abort]()
            while sum(not one.refused for one in took) < wanted and len(took) < wanted * REPLACED_MAX:
                took.append(slots[n].abort())
            return took

        found = [abort for rows in pool.map(share, range(SLOTS)) for abort in rows]
    for abort in found:
        if abort.trouble and not abort.refused:
            table.row("  a run did not abort", abort.trouble, "", False)
    table.row("runs refused for an unsteady baseline, replaced", f"{sum(one.refused for one in found)}")
    counted = sorted(abort.gone_s for abort in found if not abort.trouble)
    table.row("aborted runs, 200/s each, four at once", f"{len(counted)}", f"{times}", len(counted) == times)
    if not counted:
        return
    slowest = min(abort.hz for abort in found if not abort.trouble)
    table.row(
        "  the observer looked, at the least", f"{slowest:.0f} Hz", f">= {POLL_HZ_MIN:.0f} Hz", slowest >= POLL_HZ_MIN
    )
    table.row("  decision to fault gone, median", f"{statistics.median(counted) * 1000:.0f} ms")
    table.row("  decision to fault gone, p95", f"{counted[int(0.95 * (len(counted) - 1))] * 1000:.0f} ms")
    table.row("  decision to fault gone, max", f"{counted[-1] * 1000:.0f} ms", f"< {GONE_S:g} s", counted[-1] < GONE_S)
    own = max(abort.said_s for abort in found)
    table.row("  the same by the runs' own records, max", f"{own * 1000:.0f} ms", f"< {GONE_S:g} s", own < GONE_S)


class Answering(asyncio.Protocol):
    """Answers every request at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"\r\n\r\n")):
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")  # type: ignore[attr-defined]


async def serve() -> None:
    """Until killed, or until whoever started it is gone."""
    server = await asyncio.get_running_loop().create_server(Answering, LOOP, 0)
    print(json.dumps({"listening": f"{LOOP}:{server.sockets[0].getsockname()[1]}"}), flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)


# --- the report --------------------------------------------------------------------------------------------------


def report(table: Table) -> None:
    """An hour of samples to HTML, with the fold over the records."""
    import sample_history

    from chaos_runner.history import fold
    from chaos_runner.render import html

    entries, samples = sample_history.hour()
    html.render(fold(entries), entries, samples)
    began = time.perf_counter()
    content = html.render(fold(entries), entries, samples)
    spent = time.perf_counter() - began
    table.row("report of an hour at 1 000/s", f"{spent:.2f} s", f"< {RENDER_S:g} s", spent < RENDER_S)
    table.row("  its size", f"{len(content) / 1000:.0f} kB", "< 300 kB", len(content) < 300_000)


def main() -> int:
    """1 where a figure is missed."""
    asking = argparse.ArgumentParser(description=__doc__)
    asking.add_argument("--quick", action="store_true", help="fewer repetitions")
    asking.add_argument("--only", choices=["commands", "aborts", "report"], help="one part")
    asking.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = asking.parse_args()
    if options.serve:
        asyncio.run(serve())
        return 0
    table, folder = Table(), Path(tempfile.mkdtemp(prefix="chaos-runner-bench-"))
    parts: dict[str, Callable[[], None]] = {
        "commands": lambda: commands(table, folder, 5 if options.quick else 15),
        "aborts": lambda: aborts(table, folder, 8 if options.quick else 100),
        "report": lambda: report(table),
    }
    try:
        for name, part in parts.items():
            if options.only in {None, name}:
                part()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
