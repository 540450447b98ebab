"""Measures the embedded proxy beside the real Toxiproxy: ratios with their limits, and exit 1 where one is missed.

Three servers on one machine: the real one, ours on uvloop, ours on asyncio. They take turns in short rounds, and who
begins changes. The CPU of a proxy is what the system says that its process used (user and system): of its rounds the
lower quartile counts, because what others do to caches and cores only ever adds. Times are medians. What others used
of the machine meanwhile is printed with each part; above a few percent of a core, times are not worth much.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tools"))

from bench_load import Table  # noqa: E402
from proxy_rig import OURS, REAL, Bench, Server, Size  # noqa: E402

CONNECTIONS = (1, 16, 64)
CPU_MAX = {"uvloop": 1.00, "asyncio": 1.15}
BULK_MIN = 2.0
IDLE, IDLE_MAX = 2500, 1 / 5
ADDED_MAX_US = 100.0
LATENCY_MS, LATENCY_OFF_MS = 20, 2.0
HTTP_MAX_US = 8.0
HTTP_TOXICS: dict[str, tuple[dict[str, Any] | None, int]] = {
    "none": (None, 200),
    "http_error, share 0": ({"type": "http_error", "attributes": {"share": 0}}, 200),
    "http_delay, no match": ({"type": "http_delay", "attributes": {"delay": 50, "match": {"path": "/other"}}}, 200),
    "http_delay of 0 ms, hits": ({"type": "http_delay"}, 200),
    "http_error, share 1e-9": ({"type": "http_error", "attributes": {"share": 1e-9}}, 200),  # draws each time
    "http_error, hits": ({"type": "http_error"}, 503),
    "http_error after, hits": ({"type": "http_error", "attributes": {"when": "after"}}, 503),
}


FULL = Size(rounds=60, seconds=0.2, bulk_bytes=1 << 27, round_trips=2500)
QUICK = Size(rounds=8, seconds=0.2, bulk_bytes=1 << 26, round_trips=300)


# --- parts -------------------------------------------------------------------------------------------------------


class Spent(NamedTuple):
    """One measurement under closed load."""

    cpu_us: float  # of the proxy, for a request
    rate: float
    clients_share: float  # of a core that the clients used


def closed(bench: Bench, server: Server | None, port: int, connections: int) -> Spent:
    """Requests without a pause on so many connections."""
    bench.load("open", port=port, connections=connections)
    bench.load("closed", port=port, seconds=bench.size.seconds / 5)
    before = server.cpu_s() if server else 0.0
    ran = bench.load("closed", port=port, seconds=bench.size.seconds)
    spent = server.cpu_s() - before if server else 0.0
    bench.load("close")
    return Spent(spent / ran["requests"] * 1e6, ran["requests"] / ran["seconds"], ran["cpu_s"] / ran["seconds"])


def requests(bench: Bench, servers: list[Server]) -> None:
    """CPU for a request, and that it was not the load that was slow."""
    ports = {server.name: server.proxy("small", bench.small) for server in servers}
    for connections in CONNECTIONS:
        found: dict[str, list[Spent]] = {server.name: [] for server in servers} | {"direct": []}
        with bench.part(f"{connections} connections"):
            for turn in bench.rounds(servers):
                for server in turn:
                    found[server.name].append(closed(bench, server, ports[server.name], connections))
                found["direct"].append(closed(bench, None, bench.small, connections))
        show_requests(bench.table, connections, found)


def show_requests(table: Table, connections: int, found: dict[str, list[Spent]]) -> None:
    for name in ("real", *OURS):
        if name not in found:
            continue
        cpu = quartile(one.cpu_us for one in found[name])
        rate = statistics.median(one.rate for one in found[name])
        what = f"{connections} connections, {name}: {rate:,.0f}/s, CPU for a request"
        if name == "real" or "real" not in found:
            table.row(what, f"{cpu:.1f} us")
            continue
        ratio = cpu / quartile(one.cpu_us for one in found["real"])
        limit = CPU_MAX[name]
        table.row(what, f"{cpu:.1f} us, {ratio:.2f}x real", f"<= {limit:.2f}x", ratio <= limit)
    direct = statistics.median(one.rate for one in found.pop("direct"))
    fastest = max(statistics.median(one.rate for one in ran) for ran in found.values())
    share = max(statistics.median(one.clients_share for one in ran) for ran in found.values())
    table.row(
        f"  the same load without a proxy; clients busy at most {share:.0%}", f"{direct:,.0f}/s", f"> {fastest:,.0f}/s",
        direct > fastest,
    )  # fmt: skip


def bulk(bench: Bench, servers: list[Server]) -> None:
    """Bytes of one connection for each second of the proxy's CPU."""
    ports = {server.name: server.proxy("bulk", bench.bulk) for server in servers}
    found: dict[str, list[tuple[float, float]]] = {server.name: [] for server in servers}
    with bench.part("bulk"):
        for turn in bench.rounds(servers):
            for server in turn:
                before = server.cpu_s()
                ran = bench.load("bulk", port=ports[server.name], size=bench.size.bulk_bytes)
                if ran["missing"]:
                    raise SystemExit(f"{server.name} lost {ran['missing']} bytes")
                megabytes = bench.size.bulk_bytes / 1e6
                found[server.name].append(((server.cpu_s() - before) / megabytes, megabytes / ran["seconds"]))
    for name, ran in found.items():
        cpu, speed = quartile(one[0] for one in ran), statistics.median(one[1] for one in ran)
        what = f"bulk, {name}: {speed:,.0f} MB/s, for a second of CPU"
        if name == "real" or "real" not in found:
            bench.table.row(what, f"{1 / cpu:,.0f} MB")
            continue
        ratio = quartile(one[0] for one in found["real"]) / cpu
        bench.table.row(what, f"{1 / cpu:,.0f} MB, {ratio:.2f}x real", f">= {BULK_MIN:g}x", ratio >= BULK_MIN)


def idle(bench: Bench) -> None:
    """Memory of connections that have been answered once and wait."""
    found: dict[str, float] = {}
    with bench.part("idle connections"):
        for name in (*OURS, "real") if REAL.exists() else OURS:
            with contextlib.ExitStack() as stack:
                server = bench.real(stack) if name == "real" else bench.ours(name, stack)
                port = server.proxy("idle", bench.small)
                bench.load("open", port=port, connections=20)
                bench.load("close")
                time.sleep(0.5)
                before = server.pss_kb()
                bench.load("open", port=port, connections=IDLE)
                time.sleep(0.5)
                found[name] = (server.pss_kb() - before) / IDLE
                bench.load("close")
    for name, kb in found.items():
        what = f"{IDLE:,} idle connections, {name}: memory of each"
        if name == "real" or "real" not in found:
            bench.table.row(what, f"{kb:.1f} kB")
        else:
            ratio = kb / found["real"]
            bench.table.row(what, f"{kb:.1f} kB, {ratio:.2f}x real", f"<= {IDLE_MAX:.2f}x", ratio <= IDLE_MAX)


def added(bench: Bench, servers: list[Server]) -> None:
    """What a proxy adds to a round trip: one client, one request after the other, to each server and none in turn.

    With a pause before each, processors fall asleep, and waking them for one more hop is most of what is added.
    """
    for pause_s, what in ((0.0, "without a pause"), (0.001, "a request a millisecond")):
        ports = [bench.small, *(server.proxy(f"added-{pause_s}", bench.small) for server in servers)]
        with bench.part(f"round trips, {what}"):
            trips = paced(bench, ports, 1, pause_s)
        direct = statistics.median(trips[0])
        bench.table.row(f"round trip without a proxy, {what}, p50", f"{direct * 1e6:.0f} us")
        for server, took in zip(servers, trips[1:], strict=True):
            more = (statistics.median(took) - direct) * 1e6
            judged = server.name != "real" and not pause_s
            limit, kept = (f"< {ADDED_MAX_US:.0f} us", more < ADDED_MAX_US) if judged else ("", True)
            bench.table.row(f"  added by {server.name}, p50", f"{more:.0f} us", limit, kept)


class Off(NamedTuple):
    """By how many milliseconds 20 ms are missed, the way itself taken off."""

    p50: float
    p99: float
    worst: float  # in either direction, at p99

    @classmethod
    def of(cls, trips_s: list[float], way_s: float) -> Off:
        off = sorted((took - way_s) * 1000 - LATENCY_MS for took in trips_s)
        at = int(0.99 * (len(off) - 1))
        return cls(off[len(off) // 2], off[at], sorted(map(abs, off))[at])

    def __str__(self) -> str:
        return f"off by {self.p50:+.2f} p50, {self.p99:+.2f} p99"


def latency(bench: Bench, servers: list[Server]) -> None:
    """How exactly 20 ms are 20 ms, beside a bare timer in a process of its own that is asked in the same moments.

    What the timer is off is this machine's doing, so that what a proxy is off beyond it is the proxy's.
    """
    toxic = {"type": "latency", "attributes": {"latency": LATENCY_MS}}
    late = [bench.timer(), *(server.proxy("late", bench.small, toxic) for server in servers)]
    plain = [bench.small, *(server.proxy("prompt", bench.small) for server in servers)]
    with bench.part("latency"):
        trips = paced(bench, [port for pair in zip(late, plain, strict=True) for port in pair], 8, 0.002)
    found = [Off.of(trips[2 * n], statistics.median(trips[2 * n + 1])) for n in range(len(late))]
    bare = found[0]
    bench.table.row(f"a bare timer of {LATENCY_MS} ms: {bare}", f"{bare.worst:.2f} ms at p99")
    for server, off in zip(servers, found[1:], strict=True):
        more, what = off.worst - bare.worst, f"  latency toxic of {LATENCY_MS} ms, {server.name}: {off}"
        judged = server.name != "real"
        limit, kept = (f"<= {LATENCY_OFF_MS:g} ms more", more <= LATENCY_OFF_MS) if judged else ("", True)
        bench.table.row(what, f"{off.worst:.2f} ms, {more:+.2f} ms", limit, kept)


def paced(bench: Bench, ports: list[int], connections: int, interval_s: float) -> list[list[float]]:
    for port in ports:
        bench.load("open", port=port, connections=connections)
    trips = bench.load("paced", ports=ports, requests=bench.size.round_trips, interval_s=interval_s)
    bench.load("close")
    found: list[list[float]] = trips["round_trips_s"]
    return found


def http_toxics(bench: Bench, servers: list[Server]) -> None:
    """What a toxic that knows requests costs over none, in the same process."""
    for server in (one for one in servers if one.name != "real"):
        ports = {
            what: server.proxy(f"http-{number}", bench.small, toxic)
            for number, (what, (toxic, _)) in enumerate(HTTP_TOXICS.items())
        }
        for what, (_, status) in HTTP_TOXICS.items():
            said = bench.load("open", port=ports[what], connections=1)["status"]
            if said != status:
                raise SystemExit(f"{server.name}, {what}: {said} instead of {status}")
        bench.load("close")
        found: dict[str, list[float]] = {what: [] for what in ports}
        with bench.part(f"HTTP toxics, {server.name}"):
            for number in range(bench.size.rounds):
                order = list(ports) if number % 2 else list(reversed(ports))
                for what in order:
                    found[what].append(closed(bench, server, ports[what], 16).cpu_us)
        plain = quartile(found.pop("none"))
        bench.table.row(f"{server.name}: CPU for a request without a toxic", f"{plain:.1f} us")
        for what, ran in found.items():
            more = quartile(ran) - plain
            bench.table.row(f"  {what}: extra", f"{more:+.1f} us", f"< {HTTP_MAX_US:g} us", more < HTTP_MAX_US)


def quartile(figures: Iterable[float]) -> float:
    """The lower one."""
    ordered = sorted(figures)
    return ordered[len(ordered) // 4]


def main() -> int:
    """1 where a figure is missed, or the real server is."""
    asking = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asking.add_argument("--quick", action="store_true", help="less of everything: figures for development")
    parts: dict[str, Callable[[Bench, list[Server]], None]] = {
        "requests": requests,
        "bulk": bulk,
        "idle": lambda bench, _: idle(bench),
        "added": added,
        "latency": latency,
        "http": http_toxics,
    }
    asking.add_argument("--only", choices=parts, action="append", help="one part; may be given again")
    options = asking.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    table = Table()
    with contextlib.ExitStack() as stack:
        bench = Bench(QUICK if options.quick else FULL, table, stack)
        if not shutil.which(REAL):
            table.row("the real Toxiproxy", "not compared", "make real", False)
        servers = bench.servers()
        for name, part in parts.items():
            if options.only is None or name in options.only:
                part(bench, servers)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
