"""Whether the embedded proxy lasts: prints each figure with its limit, and exits 1 where one is missed.

1. Thousands of open connections, all answered, none lost while toxics come and go; memory for each.
2. A steady stream through eight toxics on top of each other, checksummed; the share of a core that it takes.
3. A soak: connections, clients of the API, toxics, proxies, leases and limits come and go as fast as they can for
   minutes, more of them than in a calm hour; memory, files, threads, tasks and live objects are looked at every second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tools"))

from bench_load import Table  # noqa: E402

from tests.proxy import toxi  # noqa: E402
from tests.proxy.endure import figures, many, stacked  # noqa: E402
from tests.proxy.endure.churn import Churn  # noqa: E402

RATE = 24.0  # MB/s
RATE_MIN = 0.98 * RATE  # what the last bytes' own delay and the close cost
CALM_S = 60.0
REFERENCE_S = 3.0
LOOK_S = 1.0


@contextlib.contextmanager
def proxy(folder: Path, name: str) -> Iterator[toxi.Api]:
    """A proxy that can be looked into; what it says on stderr is printed if it is a traceback."""
    api = figures.start(folder / f"{name}.log")
    try:
        yield api
    finally:
        toxi.stop(api)
    said = api.log.read_text()
    if "Traceback" in said:
        raise SystemExit(said)


# --- 1. connections ----------------------------------------------------------------------------------------------


async def connections(table: Table, api: toxi.Api, upstream: int, wanted: int) -> None:
    number = many.allowed(wanted)
    crowd = many.Crowd(toxi.port_of(api.make("p", f"{toxi.LOOP}:{upstream}")))
    empty = figures.look(api)
    began = time.monotonic()
    await crowd.grow(number)
    full, took = figures.look(api), time.monotonic() - began
    limited = "" if number == wanted else f" (asked {wanted}: the limit of open files)"
    table.row(f"open connections{limited}", f"{crowd.open}", f"{number}", crowd.open == number)
    table.row("  made in", f"{took:.1f} s")
    table.row("  memory of the proxy for each", f"{(full.memory_kb - empty.memory_kb) / number:.2f} kB")
    answered = await crowd.ask_all()
    table.row("  answered right", f"{answered}", f"{number}", answered == number)
    for kind, values in stacked.STACK[:3]:
        await toxic_comes_and_goes(table, api, crowd, kind, values)
    after = figures.look(api)
    table.row("  memory of the proxy with all, at the end", f"{after.memory_kb / 1024:.0f} MiB")
    crowd.close()
    began = time.monotonic()
    calm = await asyncio.to_thread(figures.calm, api, empty, CALM_S)
    here = left(empty, calm)
    took = time.monotonic() - began
    table.row(f"  left {took:.1f} s after all clients are gone", f"{len(here)}", "0", not here)


async def toxic_comes_and_goes(
    table: Table, api: toxi.Api, crowd: many.Crowd, kind: str, values: dict[str, int]
) -> None:
    number = len(crowd.clients)
    steps = {"with": lambda: api.toxic(kind, name="t", **values), "after": lambda: api.drop("t")}
    for word, do in steps.items():
        began, before = time.monotonic(), figures.cpu_s(api.process.pid)
        await asyncio.to_thread(do)
        took, busy = time.monotonic() - began, figures.cpu_s(api.process.pid) - before
        answered = await crowd.ask_all()
        right = answered == number == crowd.open
        table.row(f"  answered {word} a {kind} toxic on all", f"{answered}", f"{number}", right)
        table.row("    that took", f"{took * 1000:.0f} ms, {busy * 1000:.0f} busy")


def left(before: figures.Use, after: figures.Use) -> list[str]:
    found = figures.left(before, after)
    for sentence in found:
        print(f"  left: {sentence}")
    return found


# --- 2. a stream -------------------------------------------------------------------------------------------------


def stream(table: Table, api: toxi.Api, seconds: float) -> None:
    rig = toxi.Rig(api)
    plain = stacked.flow(rig, int(REFERENCE_S * RATE * 1e6), None)
    table.row("a stream without toxics, as fast as it goes", f"{plain.rate:.1f} MB/s")
    stacked.stack(api)
    before = figures.look(api)
    flow = stacked.flow(rig, int(seconds * RATE * 1e6), RATE)
    after = figures.look(api)
    rig.close()
    table.row(f"{RATE:g} MB/s through {len(stacked.STACK)} toxics: came through", f"{flow.rate:.1f} MB/s",
              f">= {RATE_MIN:.1f} MB/s", flow.rate >= RATE_MIN)  # fmt: skip
    table.row("  bytes", f"{flow.got}", f"{flow.sent}", flow.got == flow.sent)
    table.row("  the same, in order", "yes" if flow.same else "no", "yes", flow.same)
    share = (after.cpu_s - before.cpu_s) / flow.seconds
    table.row("  of one core", f"{share:.0%}")


# --- 3. a soak ---------------------------------------------------------------------------------------------------


def soak(table: Table, api: toxi.Api, upstream: int, seconds: float, seed: int) -> None:
    before = figures.look(api)
    looks: list[figures.Use] = []
    with Churn(api, upstream, seed) as churn:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not churn.wrong:
            time.sleep(LOOK_S)
            looks.append(figures.look(api))
    after = figures.calm(api, before, CALM_S)
    turns = sum(churn.turns.values())
    table.row(f"a soak of {seconds:g} s: turns", f"{turns}", "", turns > 0)
    print("  " + ", ".join(f"{name} {count}" for name, count in sorted(churn.turns.items())))
    table.row("  wrong bytes, answers or clients that failed", f"{len(churn.wrong)}", "0", not churn.wrong)
    for sentence in churn.wrong[:10]:
        print(f"    {sentence}")
    grown = figures.growth(looks)
    table.failed |= bool(grown)
    for name, (middle, last) in figures.thirds(looks).items():
        flat = not any(one.startswith(f"{name} ") for one in grown)
        limit = "" if name == "objects" else "no growth"
        table.row(f"  {name}: median of the second third, of the last", f"{middle:g}, {last:g}", limit, flat)
    print("  no growth: memory by at most 5 % or 2 MiB, a count by at most 10 % or 10, whichever is more")
    here = left(before, after)
    table.row("  left when all is quiet, beside what was there before", f"{len(here)}", "0", not here)
    table.row("  memory before, and when all is quiet", f"{before.memory_kb} kB, {after.memory_kb} kB")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--stream", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--soak", type=float, default=300.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.soak < figures.LOOKS_MIN * LOOK_S:
        parser.error(f"--soak {options.soak:g} is too short to tell growth: {figures.LOOKS_MIN * LOOK_S:g} s at least")
    table = Table()
    table.row("load of this machine over the last minute, cores", f"{os.getloadavg()[0]:.1f}, {os.cpu_count()}")
    with tempfile.TemporaryDirectory() as name, many.echo() as upstream:
        folder = Path(name)
        with proxy(folder, "many") as api:
            asyncio.run(connections(table, api, upstream, options.connections))
        with proxy(folder, "stream") as api:
            stream(table, api, options.stream)
        with proxy(folder, "soak") as api:
            soak(table, api, upstream, options.soak, options.seed)
    return int(table.failed)


if __name__ == "__main__":
    sys.exit(main())
