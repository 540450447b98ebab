"""The point of the shop: under the same fault, fragile collapses and resilient holds. Short; `measure` is exact."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chaos_runner.pocket import world
from tests.pocket import traffic

pytestmark = [pytest.mark.anyio, pytest.mark.world]

RATE = 40
FAULT_S = 3.0
FAULTS = {
    "hang": traffic.toxic("timeout", timeout=0),
    "down": {"enabled": False},
}


async def shop_under(fault: dict[str, Any], mode: str, proxy_path: str | None) -> tuple[traffic.Seen, Any, Any]:
    """What shoppers saw during the fault, and what became of the orders once it was gone."""
    async with world.up(mode, proxy_path) as running:
        seen, calm = traffic.Seen(), traffic.Seen()
        await traffic.shop_at(running.shop, RATE, 1.0, calm)
        await traffic.inject(running.toxiproxy, "payments", fault)
        await traffic.shop_at(running.shop, RATE, FAULT_S, seen)
        await traffic.revert(running.toxiproxy, "payments", fault)
        orders = await _settled(running)
        await traffic.shop_at(running.shop, RATE, 1.0, calm)
        _, charges = await traffic.ask(running.services["payments"], "GET", "/charges")
    assert calm.success() > 0.97, calm.statuses()
    return seen, orders, charges


async def _settled(running: world.World) -> Any:
    """The counts of orders once none is on its way any more."""
    url, placed, orders = running.services["checkout"], int(RATE * (1.0 + FAULT_S)), {}
    async with asyncio.timeout(20):
        while orders.get("waiting", 1) or orders["paid"] + orders["later"] + orders["failed"] < placed:
            await asyncio.sleep(0.1)
            _, orders = await traffic.ask(url, "GET", "/orders")
    return orders


async def test_late_payments_break_the_fragile_shop_only(proxy_path: str | None) -> None:
    await fragile_collapses_and_resilient_holds(traffic.toxic("latency", latency=400), proxy_path)


@pytest.mark.campaign  # whole runs of the bundled experiments say the same at every change
@pytest.mark.parametrize("name", FAULTS)
async def test_failing_payments_break_the_fragile_shop_only(name: str) -> None:
    await fragile_collapses_and_resilient_holds(FAULTS[name], None)


async def fragile_collapses_and_resilient_holds(fault: dict[str, Any], proxy_path: str | None) -> None:
    (fragile, _, _), (resilient, orders, charges) = await asyncio.gather(
        shop_under(fault, "fragile", proxy_path), shop_under(fault, "resilient", proxy_path)
    )

    assert fragile.success() < 0.7, fragile.statuses()
    assert resilient.success() >= 0.99, resilient.statuses()
    assert resilient.quantile(0.95) < 1.0
    assert orders["later"] == orders["completed_later"] > 0
    assert orders["failed"] == 0
    assert charges["charged"] >= orders["paid"] + orders["completed_later"]
