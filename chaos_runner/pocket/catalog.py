"""The product list."""

from __future__ import annotations

import asyncio

import msgspec

from chaos_runner.pocket import http11, service

WORK_S = 0.002
WARES = ("kettle", "lantern", "compass", "rope", "blanket", "teapot", "notebook", "whistle")
COLOURS = ("red", "green", "blue")


class Product(msgspec.Struct, frozen=True):
    """One thing on sale."""

    id: int
    name: str
    cents: int
    text: str


PRODUCTS = [
    Product(n, f"{colour} {ware}", 500 + 37 * n, f"A {colour} {ware}, made to last, tested under trying conditions.")
    for n, (colour, ware) in enumerate(((colour, ware) for colour in COLOURS for ware in WARES), start=1)
]


def catalog() -> service.Service:
    """GET /products."""
    return service.Service("catalog", {("GET", "/products"): products}, ())


async def products(_: service.Call) -> http11.Response:
    """All products, after a look into an imagined database."""
    await asyncio.sleep(WORK_S)
    return http11.json_response(200, {"products": PRODUCTS})
