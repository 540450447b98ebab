"""Measures what each fault does to each mode: `python -m tests.pocket.measure [--real-proxy PATH] [--for 15]`.

Not a test: it takes minutes and prints a table. Both modes run at the same time, under the same fault.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

from chaos_runner.pocket import world
from tests.pocket import traffic

BASELINE_S = 4.0
AFTER_S = 12.0
FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "latency 400": traffic.toxic("latency", latency=400, jitter=50),
    "latency 2000": traffic.toxic("latency", latency=2000),
    "hang": traffic.toxic("timeout", timeout=0),
    "hang upstream": traffic.toxic("timeout", "upstream", timeout=0),
    "timeout 1000": traffic.toxic("timeout", timeout=1000),
    "reset": traffic.toxic("reset_peer", timeout=0),
    "reset later": traffic.toxic("reset_peer", timeout=200),
    "cut body": traffic.toxic("limit_data", bytes=300),
    "bandwidth 2": traffic.toxic("bandwidth", rate=2),
    "bandwidth 0": traffic.toxic("bandwidth", rate=0),
    "slicer": traffic.toxic("slicer", average_size=64, size_variation=32, delay=10_000),
    "slow_close": traffic.toxic("slow_close", delay=5000),
    "down": {"enabled": False},
    "flaky hang": traffic.toxic("timeout", toxicity=0.3, timeout=0),
    "flaky reset": traffic.toxic("reset_peer", toxicity=0.3, timeout=0),
    "flaky latency": traffic.toxic("latency", toxicity=0.5, latency=1000),
}


async def measure(name: str, proxy: str, mode: str, options: argparse.Namespace) -> str:
    async with world.up(mode, options.real_proxy) as running:
        fault, seen = FAULTS[name], traffic.Seen()
        method, path = ("POST", "/checkout") if proxy == "payments" else ("GET", "/catalog")
        total_s = BASELINE_S + options.for_s + AFTER_S
        shoppers = asyncio.create_task(traffic.shop_at(running.shop, 40, total_s, seen, method, path))
        started = time.monotonic()
        await asyncio.sleep(BASELINE_S)
        if fault:
            await traffic.inject(running.toxiproxy, proxy, fault)
        injected = time.monotonic()
        await asyncio.sleep(options.for_s)
        reverted = time.monotonic()
        if fault:
            await traffic.revert(running.toxiproxy, proxy, fault)
        await shoppers
        _, orders = await traffic.ask(running.services["checkout"], "GET", "/orders")
        _, charges = await traffic.ask(running.services["payments"], "GET", "/charges")
        before, during = seen.between(started, injected), seen.between(injected, reverted)
        well = _well_after(seen, reverted)
        return (
            f"{proxy:9}{name:15}{mode:10}"
            f"| before {before.success():7.2%} p95 {before.quantile(0.95) * 1000:4.0f} ms "
            f"| during {during.success():7.2%} p50 {during.quantile(0.5) * 1000:5.0f} "
            f"p95 {during.quantile(0.95) * 1000:5.0f} "
            f"max {during.quantile(1) * 1000:5.0f} ms {during.statuses()} "
            f"| well after {well:4.1f} s | {orders} {charges}"
        )


def _well_after(seen: traffic.Seen, reverted: float) -> float:
    bad = [
        due + took for due, took, status in seen.replies if due >= reverted and (not 200 <= status < 300 or took > 1)
    ]
    return max(bad, default=reverted) - reverted


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real-proxy")
    parser.add_argument("--for", dest="for_s", type=float, default=15.0)
    parser.add_argument("--proxy", choices=("payments", "catalog"), default="payments")
    parser.add_argument("--fault", choices=FAULTS, action="append")
    options = parser.parse_args()
    for name in options.fault or FAULTS:
        modes = ("fragile", "resilient")
        for line in await asyncio.gather(*(measure(name, options.proxy, mode, options) for mode in modes)):
            print(line, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
