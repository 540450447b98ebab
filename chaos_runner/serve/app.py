"""The application: each request passes the door, goes its way, and leaves with the headers that keep it to itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chaos_runner.serve import asking, paper
from chaos_runner.serve.refusing import Refused
from chaos_runner.serve.site import Site
from chaos_runner.serve.ways import WAYS, Way
from chaos_runner.store import StoreError

WANTS_JSON = "application/json"


def app(site: Site) -> ASGIApp:
    """The whole server as one ASGI application."""
    routes = [Route(way.path, _endpoint(site, way), methods=[way.method]) for way in WAYS]
    inner = Starlette(routes=routes, exception_handlers={HTTPException: _strange})
    inner.router.redirect_slashes = False
    return Front(site, inner)


class Front:
    """Before and after everything: our own name, no foreign page, no caching, no framing."""

    def __init__(self, site: Site, inner: ASGIApp) -> None:
        self._site = site
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                headers = MutableHeaders(scope=message)
                for name, value in paper.HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        try:
            self._site.door.called(scope["method"], headers, headers.getlist("host"))
        except Refused as why:
            await _refusal(Request(scope), why)(scope, receive, told)
            return
        await self._inner(scope, receive, told)


def _endpoint(site: Site, way: Way) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return await _gone(site, way, request)
        except Refused as why:
            return _refusal(request, why)
        except StoreError as why:
            return _refusal(
                request, Refused(503, f"The store cannot be used now: {why}. Runs go on without this page.")
            )

    return endpoint


async def _gone(site: Site, way: Way, request: Request) -> Response:
    """One request on its way: who it is, whether they may, whether it is theirs."""
    visitor = site.door.visitor(request.headers, request.cookies)
    if way.least is not None:
        if visitor is None:
            return _unknown(way, request)
        if not visitor.may(way.least):
            raise Refused(403, f"This takes a {way.least}; here is a {visitor.role}.")
    if way.kind == "stream" and request.method == "HEAD":
        raise Refused(405, "A stream of events has no head alone.")
    form: dict[str, str] = {}
    if way.kind == "deed":
        form = await asking.form_of(request)
        if visitor is not None and way.least is not None:
            site.door.unforged(visitor, request.headers, form)
    return await way.handler(site, request, form, visitor)


def _unknown(way: Way, request: Request) -> Response:
    if way.kind == "page" and "authorization" not in request.headers:
        return RedirectResponse("/login", 303)
    refused = _refusal(request, Refused(401, "It is not known who asks. Send a token, or open the printed address."))
    refused.headers["www-authenticate"] = "Bearer"
    return refused


def _refusal(request: Request, why: Refused) -> Response:
    if request.url.path.startswith("/api/") or WANTS_JSON in request.headers.get("accept", ""):
        return paper.answer({"schemaVersion": 1, "error": why.sentence}, why.status)
    words = HTTPStatus(why.status).phrase
    return paper.page(
        "refused.html.j2", status=why.status, number=why.status, title=words, sentence=why.sentence, visitor=None
    )


def _strange(request: Request, error: Exception) -> Response:
    """What no route takes."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    sentence = "There is no such page." if status == 404 else HTTPStatus(status).phrase
    return _refusal(request, Refused(status, sentence))
