"""Toxiproxy's routes and our own, from requests to answers. No sockets of its own."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from urllib.parse import unquote

from chaos_runner import _version
from chaos_runner.proxy import errors, gojson, metrics, toxics
from chaos_runner.proxy.answers import NOSNIFF, bodies_of, query, refusal, reply, request_ids
from chaos_runner.proxy.errors import ApiError
from chaos_runner.proxy.leases import Leases
from chaos_runner.proxy.limits import Limits
from chaos_runner.proxy.proxies import Proxies, Wanted
from chaos_runner.proxy.proxy import Proxy
from chaos_runner.proxy.requests import TEXT, Request, Response, cleaned

NAMED: Mapping[str, tuple[int, ...]] = {"proxies": (1, 3), "chaos-runner": (3, 4)}
CAPABILITIES = ("leases", "counters", "http", "limits")

Answer: TypeAlias = Response | Awaitable[Response]
Route: TypeAlias = Callable[..., Answer]


class Api:
    """Answers requests about one set of proxies."""

    def __init__(
        self, proxies: Proxies, leases: Leases, *, token: str = "", metrics: Callable[[], str] | None = None
    ) -> None:
        self.proxies = proxies
        self.leases = leases
        self.limits = Limits(proxies)
        self.token = token
        self.ids = request_ids()
        self.routes = self.table()
        if metrics is not None:
            self.metrics_text = metrics
            self.routes |= {("metrics",): {"*": self.metrics}}

    def table(self) -> dict[tuple[str, ...], Mapping[str, Route]]:
        """Every path, `{}` standing for a name, with its methods."""
        return {
            ("version",): {"GET": self.version},
            ("reset",): {"POST": self.reset},
            ("populate",): {"POST": self.populate},
            ("proxies",): {"GET": self.list_proxies, "POST": self.create_proxy},
            ("proxies", "{}"): {
                "GET": self.show_proxy,
                "POST": self.update_proxy,
                "PATCH": self.update_proxy,
                "DELETE": self.delete_proxy,
            },
            ("proxies", "{}", "toxics"): {"GET": self.list_toxics, "POST": self.create_toxic},
            ("proxies", "{}", "toxics", "{}"): {
                "GET": self.show_toxic,
                "POST": self.update_toxic,
                "PATCH": self.update_toxic,
                "DELETE": self.delete_toxic,
            },
            ("chaos-runner", "v1"): {"GET": self.capabilities},
            ("chaos-runner", "v1", "counters"): {"GET": self.counters},
            ("chaos-runner", "v1", "limits", "{}", "{}"): {"PUT": self.put_limit, "GET": self.show_limit},
            ("chaos-runner", "v1", "leases", "{}"): {
                "PUT": self.put_lease,
                "GET": self.show_lease,
                "DELETE": self.delete_lease,
            },
        }

    async def answer(self, request: Request) -> Response:
        """The answer to one request; every refusal is an answer too."""
        if not self.allowed(request):
            return refusal(ApiError(401, "unauthorized"))
        if (clean := cleaned(request.path)) is not None:
            return Response(301, headers=(("Location", clean),))
        path, names = self.match(request.path)
        methods = self.routes.get(path)
        if methods is None:
            return Response(404, b"404 page not found\n", TEXT, (NOSNIFF,))
        route = methods.get(request.method) or methods.get("*")
        if route is None:
            return Response(405)
        response = await self.routed(route, request, names)
        return response._replace(headers=(*response.headers, ("X-Toxiproxy-Request-Id", next(self.ids))))

    async def routed(self, route: Route, request: Request, names: list[str]) -> Response:
        # A page in a browser must not drive the proxy; browsers alone begin their name so.
        if request.headers.get("user-agent", "").startswith("Mozilla/"):
            return Response(403, b"User agent not allowed\n", TEXT, (NOSNIFF,))
        try:
            answer = route(request, *names)
            return answer if isinstance(answer, Response) else await answer
        except ApiError as error:
            return refusal(error)

    def allowed(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        return not self.token or hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode())

    def match(self, target: str) -> tuple[tuple[str, ...], list[str]]:
        """The route's path and the names in it. A decoded slash separates, as in the real server."""
        parts = unquote(target.partition("?")[0]).split("/")[1:]
        named = NAMED.get(parts[0], ()) if parts else ()
        path = tuple("{}" if index in named and part else part for index, part in enumerate(parts))
        return path, [part for index, part in enumerate(parts) if index in named]

    def version(self, _: Request) -> Response:
        body = f'{{"version": "chaos-runner-{_version.__version__}"}}\n'
        return Response(200, body.encode(), "application/json;charset=utf-8")

    def list_proxies(self, _: Request) -> Response:
        return reply(200, {proxy.name: proxy.body() for proxy in self.proxies.sorted()})

    async def create_proxy(self, request: Request) -> Response:
        wanted = Wanted(gojson.first_value(request.body))
        wanted.complete()
        return reply(201, (await self.proxies.create(wanted)).body())

    def show_proxy(self, _: Request, name: str) -> Response:
        return reply(200, self.proxies.get(name).body())

    async def update_proxy(self, request: Request, name: str) -> Response:
        """With `?lease=RUN` only while that run has a live lease: a request that was held up cannot land after it."""
        proxy = self.proxies.get(name)

        def allowed() -> None:
            for run in query(request, "lease"):
                self.leases.require(run)

        await self.proxies.update(proxy, gojson.first_value(request.body), allowed)
        return reply(200, proxy.body())

    def delete_proxy(self, _: Request, name: str) -> Response:
        self.proxies.delete(name)
        return Response(204)

    async def populate(self, request: Request) -> Response:
        """Its refusals are JSON and list the proxies that were made before."""
        made: list[Proxy] | None = None
        try:
            bodies = gojson.an_array(gojson.first_value(request.body), "[]toxiproxy.Proxy")
            wanted = [Wanted(body) for body in bodies]
            for position, one in enumerate(wanted, 1):
                one.complete(position)
            made = [] if wanted else None
            await self.proxies.populate(wanted, [] if made is None else made)
        except ApiError as error:
            return reply(error.status, error.body() | {"proxies": bodies_of(made or None)})
        return reply(201, {"proxies": bodies_of(made)})

    async def reset(self, _: Request) -> Response:
        await self.proxies.reset()
        return Response(204)

    def list_toxics(self, _: Request, name: str) -> Response:
        return reply(200, self.proxies.get(name).toxics_body())

    def show_toxic(self, _: Request, name: str, toxic: str) -> Response:
        return reply(200, self.proxies.get(name).toxic(toxic).body())

    def create_toxic(self, request: Request, name: str) -> Response:
        """Checks in the real server's order: body, stream, type, (lease,) name, attributes."""
        proxy = self.proxies.get(name)
        fields = gojson.an_object(gojson.first_value(request.body), "toxics.ToxicWrapper")
        kind = gojson.text_field(fields, "type", "", "ToxicWrapper")
        stream = gojson.text_field(fields, "stream", "downstream", "ToxicWrapper")
        toxicity = gojson.float32_field(fields, "toxicity", 1, "ToxicWrapper")
        called = gojson.text_field(fields, "name", "", "ToxicWrapper") or f"{kind}_{stream}"
        if stream.lower() not in toxics.STREAMS:
            raise ApiError(400, "stream was invalid, can be either upstream or downstream")
        if not toxics.known(kind):
            raise ApiError(400, "invalid toxic type")
        if (run := toxics.run_of(called)) is not None:
            self.leases.require(run)
        if proxy.has_toxic(called):
            raise errors.toxic_exists()
        values = toxics.settings(kind, fields.get("attributes"), None)

        def limited(toxic: toxics.Toxic) -> None:
            self.limits.apply(proxy, toxic)

        made = proxy.add_toxic(called, kind, stream, toxicity=toxicity, settings=values, limited=limited)
        return reply(200, made.body())

    def update_toxic(self, request: Request, name: str, called: str) -> Response:
        """All of the change or nothing."""
        proxy = self.proxies.get(name)
        toxic = proxy.toxic(called)
        fields = gojson.an_object(gojson.first_value(request.body), "toxics.ToxicWrapper")
        toxicity = gojson.float32_field(fields, "toxicity", toxic.toxicity, "")
        values = toxics.settings(toxic.type, fields.get("attributes"), toxic.settings)
        proxy.update_toxic(toxic, toxicity, values)
        return reply(200, toxic.body())

    def delete_toxic(self, _: Request, name: str, called: str) -> Response:
        proxy = self.proxies.get(name)
        doomed = proxy.toxic(called)
        proxy.remove_toxics(lambda toxic: toxic is doomed)
        return Response(204)

    def capabilities(self, _: Request) -> Response:
        return reply(200, {"version": 1, "capabilities": CAPABILITIES, "seed": self.proxies.seed})

    def counters(self, _: Request) -> Response:
        return reply(200, {"proxies": {proxy.name: proxy.counters_body() for proxy in self.proxies.sorted()}})

    def put_lease(self, request: Request, run: str) -> Response:
        return reply(200, self.leases.put(run, request.body))

    def show_lease(self, _: Request, run: str) -> Response:
        return reply(200, self.leases.get(run))

    def delete_lease(self, _: Request, run: str) -> Response:
        self.leases.delete(run)
        return Response(204)

    def put_limit(self, request: Request, name: str, toxic: str) -> Response:
        return reply(200, self.limits.put(self.proxies.get(name), toxic, request.body))

    def show_limit(self, _: Request, name: str, toxic: str) -> Response:
        return reply(200, self.limits.get(self.proxies.get(name), toxic))

    def metrics(self, _: Request) -> Response:
        return Response(200, self.metrics_text().encode(), metrics.CONTENT_TYPE)
