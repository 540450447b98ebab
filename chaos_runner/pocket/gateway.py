"""The edge of the shop: what shoppers talk to."""

from __future__ import annotations

import html
import time

import msgspec

from chaos_runner.pocket import catalog, http11, rules, service
from chaos_runner.pocket.link import Link

HTML = "text/html; charset=utf-8"
SOURCE = "x-catalog"  # `fresh`, or `last-known` when catalog did not answer


class ProductList(msgspec.Struct, frozen=True):
    """What catalog answers."""

    products: list[catalog.Product]


class NoCatalog(OSError):
    """There is no product list, not even an old one."""


class Gateway:
    """GET /, GET /catalog, POST /checkout."""

    def __init__(self, checkout_url: str, catalog_url: str, mode: rules.Rules) -> None:
        self.checkouts = Link("checkout", checkout_url, mode.checkout)
        self.catalog = Link("catalog", catalog_url, mode.catalog)
        self._stale_for_s = mode.stale_for_s
        self._last_known: ProductList | None = None
        self._last_known_at = 0.0

    def as_service(self) -> service.Service:
        """The service over these links."""
        routes: service.Routes = {
            ("GET", "/"): self.front_page,
            ("GET", "/catalog"): self.products,
            ("POST", "/checkout"): self.checkout,
        }
        return service.Service("gateway", routes, (self.checkouts, self.catalog))

    async def front_page(self, call: service.Call) -> http11.Response:
        """The products, for people."""
        try:
            source, known = await self._products(call)
        except OSError as failure:
            return _failed("catalog", failure)
        return http11.Response(200, _page(known), {"content-type": HTML, SOURCE: source})

    async def products(self, call: service.Call) -> http11.Response:
        """The products, for programs."""
        try:
            source, known = await self._products(call)
        except OSError as failure:
            return _failed("catalog", failure)
        return http11.json_response(200, known, {SOURCE: source})

    async def checkout(self, call: service.Call) -> http11.Response:
        """Whatever checkout answers."""
        headers = {service.REQUEST_ID: call.request_id}
        try:
            reply = await self.checkouts.call(http11.Request("POST", "/checkout", headers, call.body))
        except OSError as failure:
            return _failed("checkout", failure)
        return http11.Response(reply.status, reply.body, {"content-type": http11.JSON})

    async def _products(self, call: service.Call) -> tuple[str, ProductList]:
        try:
            known = _read(await self.catalog.call(call.onward("GET", "/products")))
        except OSError:
            age_s = time.monotonic() - self._last_known_at
            if self._last_known is None or age_s > self._stale_for_s:
                raise
            return "last-known", self._last_known
        self._last_known, self._last_known_at = known, time.monotonic()
        return "fresh", known


def _read(reply: http11.Response) -> ProductList:
    try:
        return msgspec.json.decode(reply.body, type=ProductList)
    except msgspec.DecodeError as refusal:
        raise NoCatalog(f"not a product list: {refusal}") from refusal


def _failed(name: str, failure: OSError) -> http11.Response:
    why = str(failure) or type(failure).__name__
    return http11.json_response(502, {"error": f"{name}: {why}"})


def _page(known: ProductList) -> bytes:
    rows = "".join(
        f"<li>{html.escape(product.name)} <b>{product.cents / 100:.2f}</b> {html.escape(product.text)}</li>"
        for product in known.products
    )
    style = "body{font:16px system-ui;max-width:40em;margin:2em auto}li{margin:.4em 0}"
    head = f"<meta charset=utf-8><title>Demo shop</title><style>{style}</style>"
    form = "<form method=post action=/checkout><button>Buy the lot</button></form>"
    return f"<!doctype html><html lang=en>{head}<h1>Demo shop</h1>{form}<ul>{rows}</ul></html>".encode()
