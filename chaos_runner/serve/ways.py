"""Every route: who may go it, and what answers. The tests try each of them in each way it can be misused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from chaos_runner.serve import days, pulling, runs, shelf, visiting
from chaos_runner.serve.door import Visitor
from chaos_runner.serve.site import Site
from chaos_runner.serve.tokens import Role

Handler = Callable[[Site, Request, dict[str, str], Visitor | None], Awaitable[Response]]
Kind = Literal["page", "value", "stream", "deed"]


class Way(NamedTuple):
    """One route. `least` is the least role that may go it; None: everybody. A deed changes something."""

    method: Literal["GET", "POST"]
    path: str
    least: Role | None
    kind: Kind
    handler: Handler


WAYS = (
    Way("GET", "/login", None, "page", visiting.login),
    Way("POST", "/login", None, "deed", visiting.enter),
    Way("POST", "/logout", "responder", "deed", visiting.leave),
    Way("POST", "/name", "responder", "deed", visiting.call),
    Way("GET", "/", "viewer", "page", runs.listing),
    Way("GET", "/runs/{id}", "viewer", "page", runs.live),
    Way("GET", "/runs/{id}/events", "viewer", "stream", runs.events),
    Way("GET", "/runs/{id}/report", "viewer", "page", runs.report),
    Way("POST", "/halt", "viewer", "deed", pulling.halt),
    Way("GET", "/halts/{id}", "viewer", "page", pulling.halted),
    Way("POST", "/resume", "operator", "deed", pulling.resume),
    Way("GET", "/days", "responder", "page", days.listing),
    Way("GET", "/days/{id}", "responder", "page", days.live),
    Way("GET", "/days/{id}/events", "responder", "stream", days.events),
    Way("POST", "/days/{id}/say", "operator", "deed", days.say),
    Way("GET", "/reports/{path:path}", "viewer", "page", shelf.file),
    Way("GET", "/api/v1/runs", "viewer", "value", runs.values),
    Way("GET", "/api/v1/runs/{id}", "viewer", "value", runs.value),
    Way("GET", "/api/v1/halts/{id}", "viewer", "value", pulling.halted_value),
    Way("GET", "/api/v1/days/{id}", "responder", "value", days.value),
    Way("POST", "/api/v1/codes", "responder", "deed", visiting.code),
)
