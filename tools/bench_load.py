"""Measures the load worker against what it promises, and exits 1 where a promise is not kept.

1. A server frozen for 3 s: every scheduled request is accounted for, with the latency a user would have seen.
2. A worker frozen for 3 s: its requests are unknown, never good and never bad.
3. 1 000 requests/s against a fixed 20 ms service: CPU below 40 % of a core, and quantiles that agree with k6's.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chaos_runner import wire  # noqa: E402
from chaos_runner.worker import client  # noqa: E402

K6_VERSION = "1.8.1"
K6 = Path.home() / f".cache/chaos-runner/real/k6-{K6_VERSION}/k6"
K6_SCRIPT = """
import http from 'k6/http';
export const options = {
  discardResponseBodies: true,
  summaryTrendStats: ['p(50)', 'p(99)'],
  scenarios: {load: {executor: 'constant-arrival-rate', rate: %(rate)d, timeUnit: '1s', duration: '%(seconds)ds',
                     preAllocatedVUs: 60, maxVUs: 200}},
};
export default function () { http.get('http://127.0.0.1:%(port)d/'); }
export function handleSummary(data) { return {'%(out)s': JSON.stringify(data.metrics)}; }
"""
SUCCESS = wire.LoadClause("success")
FREEZE_S = 3.0
# The worker, but a latency counts from the moment its request is sent, as k6's does: for the comparison alone.
FROM_SENDING = """
import sys, time; sys.path.append(sys.argv.pop(1))
from chaos_runner.worker import __main__ as worker, tally
ask = tally.Tally.ask
def sent_now(tally):
    asked = ask(tally)
    asked.due_ns = time.monotonic_ns()
    return asked
tally.Tally.ask = sent_now
worker.main(sys.argv[1:])
"""
FOREIGN_MAX = 0.15  # of a core, used by anything that is not this benchmark

Pair = tuple[float, tuple[float, float], tuple[float, float]]  # used by others; worker, k6: p50 and p99 in ms


class Table:
    """Prints one row per figure; `failed` once any of them missed its limit."""

    def __init__(self) -> None:
        self.failed = False
        print(f"{'what':58} {'measured':>22} {'limit':>22}")

    def row(self, what: str, measured: str, limit: str = "", ok: bool = True) -> None:
        self.failed |= not ok
        print(f"{what:58} {measured:>22} {limit:>22}{'' if ok else '  MISSED'}", flush=True)


@contextmanager
def service(delay_s: float) -> Iterator[tuple[int, int]]:
    """A fixed-delay server in its own process: (pid, port)."""
    argv = [sys.executable, str(ROOT / "tests/worker/servers.py"), str(delay_s)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


def plan(port: int, rate: float, *limits_s: float, timeout_s: float = 5.0) -> wire.LoadPlan:
    clauses = (SUCCESS, *(wire.LoadClause("slower", limit) for limit in limits_s))
    return wire.LoadPlan("bench", "127.0.0.1", port, rate, timeout_s, clauses)


class Heard:
    """All ticks of one load, added up."""

    def __init__(self, worker: client.LoadWorker) -> None:
        self.worker = worker
        self.t0_ns = 0
        self.ticks: list[wire.Tick] = []

    def sleep_until(self, at_s: float) -> float:
        return max(self.t0_ns / 1e9 + at_s - time.monotonic(), 0)

    def counts(self, clause: int, ticks: range | None = None) -> tuple[int, int, int]:
        rows = [
            tick.counts[tick.clauses.index(clause)]
            for tick in self.ticks
            if clause in tick.clauses and (ticks is None or tick.n in ticks)
        ]
        return sum(r[0] for r in rows), sum(r[1] for r in rows), sum(r[2] for r in rows)

    @property
    def scheduled(self) -> int:
        return sum(tick.scheduled for tick in self.ticks if tick.last)

    @property
    def histogram(self) -> dict[int, int]:
        total: dict[int, int] = {}
        for tick in self.ticks:
            for bucket, count in tick.histogram:
                total[bucket] = total.get(bucket, 0) + count
        return total

    def quantile_ms(self, share: float) -> float:
        rank, seen = share * sum(self.histogram.values()), 0
        for bucket, count in sorted(self.histogram.items()):
            if seen + count >= rank:
                return 1e-3 * 1.02 ** (bucket + (rank - seen) / count)
            seen += count
        return math.nan


@asynccontextmanager
async def load(wanted: wire.LoadPlan, arguments: tuple[str, ...] = (), **program: str) -> AsyncIterator[Heard]:
    """A running load; on the way out it is stopped and every tick has been heard."""
    async with client.spawn(arguments, **program) as worker, anyio.create_task_group() as tasks:
        heard = Heard(worker)
        heard.t0_ns = await worker.start(wanted)

        async def beat() -> None:
            while True:
                await worker.beat()
                await anyio.sleep(0.5)

        async def listen() -> None:
            async for tick in worker.ticks():
                heard.ticks.append(tick)
            ended.set()

        ended = anyio.Event()
        tasks.start_soon(listen)
        tasks.start_soon(beat)
        yield heard
        await worker.stop()
        with anyio.fail_after(wanted.timeout_s + 3):
            await ended.wait()
        tasks.cancel_scope.cancel()


async def frozen_server(table: Table) -> None:
    """Requests due during the freeze are 60 in number and as late as the rest of the freeze."""
    limit_s, rate = 1.0, 20
    with service(0.0) as (pid, port):
        async with load(plan(port, rate, limit_s)) as heard:
            await anyio.sleep(heard.sleep_until(2))
            os.kill(pid, signal.SIGSTOP)
            froze_ns = time.monotonic_ns()
            await anyio.sleep(heard.sleep_until(2 + FREEZE_S))
            os.kill(pid, signal.SIGCONT)
            thawed_ns = time.monotonic_ns()
            await anyio.sleep(heard.sleep_until(7))
    from_s, to_s = ((at - heard.t0_ns) / 1e9 for at in (froze_ns, thawed_ns))
    due = [k / rate for k in range(7 * rate)]
    caught = [at for at in due if from_s <= at < to_s]
    rest = [to_s - at for at in caught]
    measured = _latencies_above(heard, 0.06)
    expected = [r for r in rest if r > 0.06]
    worst = max((abs(a - b) for a, b in zip(sorted(measured), sorted(expected), strict=False)), default=math.inf)
    good, bad, unknown = heard.counts(1)
    table.row("server frozen 3 s: requests due meanwhile", str(len(caught)), "59..61", 59 <= len(caught) <= 61)
    total = good + bad + unknown
    table.row("  scheduled, accounted for", f"{heard.scheduled}, {total}", "equal", heard.scheduled == total)
    table.row("  answered late", str(len(measured)), f"{len(expected)} ± 1", abs(len(measured) - len(expected)) <= 1)
    # Most of this is the histogram's two percent: half a bucket is 30 ms at 3 s.
    table.row("  |latency - rest of the freeze|, worst", f"{worst * 1e3:.0f} ms", "50 ms", worst <= 0.05)
    over = [sum(r > limit_s + d for r in rest) for d in (0.05, -0.05)]
    table.row("  bad (over 1 s)", str(bad), f"{over[0]}..{over[1]}", over[0] <= bad <= over[1])
    table.row("  unknown", str(unknown), "0", unknown == 0)
    exact = [e for t in heard.ticks for e in t.exemplars]
    off = max((abs(e.latency_s - (to_s - e.at_s)) for e in exact), default=math.inf)
    table.row(f"  the same for the {len(exact)} exemplars, worst", f"{off * 1e3:.1f} ms", "50 ms", off <= 0.05)


def _latencies_above(heard: Heard, least_s: float) -> list[float]:
    middle = {bucket: 1e-6 * 1.02 ** (bucket + 0.5) for bucket in heard.histogram}
    return [middle[b] for b, count in heard.histogram.items() for _ in range(count) if middle[b] > least_s]


async def frozen_worker(table: Table) -> None:
    """What the worker did not see is unknown, and sent neither late nor twice."""
    rate = 20
    with service(0.02) as (_, port):
        async with load(plan(port, rate, 1.0)) as heard:
            await anyio.sleep(heard.sleep_until(2.01))
            os.kill(heard.worker.pid, signal.SIGSTOP)
            await anyio.sleep(FREEZE_S)
            os.kill(heard.worker.pid, signal.SIGCONT)
            await anyio.sleep(heard.sleep_until(7))
    for clause, name in enumerate(("success", "slower than 1 s")):
        good, bad, unknown = heard.counts(clause)
        table.row(f"worker frozen 3 s: {name}: unknown", str(unknown), "60..62", 60 <= unknown <= 62)
        total = good + bad + unknown
        table.row("  bad", str(bad), "0", bad == 0)
        table.row("  scheduled, accounted for", f"{heard.scheduled}, {total}", "equal", heard.scheduled == total)
    inside = heard.counts(0, range(3, 5))
    table.row("  good in the seconds wholly inside the freeze", str(inside[0]), "0", inside[0] == 0)
    stall_s = max(tick.stall_s for tick in heard.ticks)
    table.row("  stall it saw", f"{stall_s:.2f} s", "2.9..3.1 s", 2.9 <= stall_s <= 3.1)
    table.row(
        "  answers slower than 200 ms", str(len(_latencies_above(heard, 0.2))), "0", not _latencies_above(heard, 0.2)
    )


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def steady(
    port: int, rate: int, seconds: int, arguments: tuple[str, ...] = (), **program: str
) -> tuple[Heard, float]:
    """A load without any trouble: what was heard and the share of a core it took."""
    async with load(plan(port, rate, 0.1, timeout_s=2.0), arguments, **program) as heard:
        before, began = cpu_s(heard.worker.pid), time.monotonic()
        await anyio.sleep(heard.sleep_until(seconds))
        share = (cpu_s(heard.worker.pid) - before) / (time.monotonic() - began)
    return heard, share


async def cost(table: Table, rate: int, seconds: int) -> None:
    with service(0.02) as (_, port):
        for arguments in ((), ("asyncio",)):
            heard, share = await steady(port, rate, seconds, arguments)
            name = arguments[0] if arguments else "default loop"
            table.row(f"{rate}/s against 20 ms, {name}: CPU", f"{share:.1%} of a core", "40.0%", share < 0.4)
            good, bad, unknown = heard.counts(0)
            table.row("  good, bad, unknown", f"{good}, {bad}, {unknown}", f"~{rate * seconds}, 0, few", bad == 0)
            table.row("  p50, p99", f"{heard.quantile_ms(0.5):.2f}, {heard.quantile_ms(0.99):.2f} ms")


def k6_quantiles(port: int, rate: int, seconds: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/summary.json"
        script = Path(folder, "load.js")
        script.write_text(K6_SCRIPT % {"rate": rate, "seconds": seconds, "port": port, "out": out})
        argv = [str(K6), "run", "--quiet", "--no-usage-report", "--address", "", str(script)]
        subprocess.run(argv, check=True, timeout=seconds + 60, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        values = json.loads(Path(out).read_text())["http_req_duration"]["values"]
    return values["p(50)"], values["p(99)"]


def busy_s() -> float:
    """CPU seconds that this machine has spent on anything."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def own_s(server_pid: int) -> float:
    """CPU seconds of this benchmark: itself, what it has reaped, and the service."""
    return sum(os.times()[:4]) + cpu_s(server_pid)


async def against_k6(table: Table, rate: int, seconds: int, pairs: int, required: bool) -> None:
    """Interleaved pairs, alternating who goes first; pairs during which others used the machine do not count.

    k6 counts from the moment it sends and the worker from the moment it should have: on a machine that keeps both
    waiting, only the worker's quantiles show it. So both are judged from the moment of sending, and what the worker
    reports is shown beside them.
    """
    measured: list[Pair] = []
    as_reported: list[tuple[float, float]] = []
    with service(0.02) as (pid, port):

        async def we() -> tuple[float, float]:
            heard, _ = await steady(port, rate, seconds, program=FROM_SENDING)
            reported, _ = await steady(port, rate, seconds)
            as_reported.append((reported.quantile_ms(0.5), reported.quantile_ms(0.99)))
            return heard.quantile_ms(0.5), heard.quantile_ms(0.99)

        async def they() -> tuple[float, float]:
            return await anyio.to_thread.run_sync(k6_quantiles, port, rate, seconds)

        for pair in range(2 * pairs):
            others, began = busy_s() - own_s(pid), time.monotonic()
            if pair % 2 == 0:
                us, them = await we(), await they()
            else:
                them, us = await they(), await we()
            foreign = (busy_s() - own_s(pid) - others) / (time.monotonic() - began)
            measured.append((foreign, us, them))
            if sum(m[0] <= FOREIGN_MAX for m in measured) == pairs:
                break
    quiet = [m for m in measured if m[0] <= FOREIGN_MAX]
    enough = len(quiet) == pairs
    used = f"{min(m[0] for m in measured):.0%}..{max(m[0] for m in measured):.0%} of a core"
    what = f"pairs undisturbed by others (who used {used})"
    table.row(what, f"{len(quiet)} of {len(measured)}", str(pairs), enough or not required)
    agree(table, quiet if enough else measured, judged=enough)
    p50, p99 = (statistics.median(column) for column in zip(*as_reported, strict=True))
    table.row("  what the worker reports, from the intended moment", f"{p50:.2f}, {p99:.2f} ms")


def agree(table: Table, measured: list[Pair], judged: bool) -> None:
    """Whether the quantiles agree; not judged, only shown, where others kept the machine busy."""
    for i, name in enumerate(("p50", "p99")):
        us, them = (statistics.median(m[side][i] for m in measured) for side in (1, 2))
        difference = statistics.median(m[1][i] - m[2][i] for m in measured)
        limit = max(1.0, 0.05 * them)
        what = f"{name} of {len(measured)} pairs: worker {us:.2f}, k6 {them:.2f} ms, from sending"
        shown = f"± {limit:.2f} ms" if judged else "not judged"
        table.row(what, f"{difference:+.2f} ms", shown, not judged or abs(difference) <= limit)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--require-k6", action="store_true", help="fail where k6 is not installed")
    options.add_argument("--rate", type=int, default=1000)
    options.add_argument("--seconds", type=int, default=6, help="of each measured load")
    options.add_argument("--pairs", type=int, default=7)
    chosen = options.parse_args()
    table = Table()
    steps: list[Callable] = [frozen_server, frozen_worker]
    for step in steps:
        anyio.run(step, table)
    anyio.run(cost, table, chosen.rate, chosen.seconds)
    if K6.exists() and shutil.which(str(K6)):
        anyio.run(against_k6, table, chosen.rate, chosen.seconds, chosen.pairs, chosen.require_k6)
    else:
        reason = f"no k6 {K6_VERSION} in {K6.parent}; GOBIN={K6.parent} go install go.k6.io/k6@v{K6_VERSION}"
        table.row("agreement with k6", "skipped", "", not chosen.require_k6)
        print(f"  {reason}")
    print("FAILED" if table.failed else "kept: everything that could be judged")
    return int(table.failed)


if __name__ == "__main__":
    sys.exit(main())
