"""Halting and resuming from a page."""

from __future__ import annotations

import functools
from typing import Any

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from chaos_runner import desk, store
from chaos_runner.render import text
from chaos_runner.serve import asking, paper
from chaos_runner.serve.door import Visitor
from chaos_runner.serve.halting import Halt
from chaos_runner.serve.refusing import Refused
from chaos_runner.serve.site import Site
from chaos_runner.store import StoreError, levers

REASON_MAX = 400


def pulled(site: Site) -> tuple[tuple[levers.Lever, ...], str]:
    """The levers that are pulled, and why that cannot be told."""
    try:
        return levers.all(site.setting.state_dir), ""
    except StoreError as why:
        return (), str(why)


async def halt(site: Site, request: Request, form: dict[str, str], visitor: Visitor | None) -> Response:
    """Pulls a lever before anything else is done, and answers where to look how long it took."""
    assert visitor is not None
    scope = form.get("scope") or "global"
    reason = text.one_line(form.get("reason", ""), REASON_MAX)
    then = functools.partial(_recorded, site, form["day"], visitor.name, reason) if form.get("day") else None
    one = await anyio.to_thread.run_sync(site.halts.pull, scope, visitor.name, reason, then, limiter=site.hands)
    if "application/json" in request.headers.get("accept", ""):
        return paper.answer(_halted(one), 202)
    return RedirectResponse(f"/halts/{one.number}", 303)


def _recorded(site: Site, day_id: str, who: str, reason: str) -> str:
    """Puts a halt on the record of its game day, where the lever is pulled already; why it is not there."""
    try:
        return spoken(site, day_id, f"halt {reason.replace('--', '- -')}", who).trouble
    except (ValueError, StoreError) as why:
        return str(why)


def spoken(site: Site, day_id: str, line: str, who: str) -> desk.Heard:
    """What the desk made of a line. Raises ValueError and StoreError, as the desk does."""
    with store.open_store(site.setting.state_dir, allow_tmpfs=True) as ledger:
        return desk.speak(ledger, site.setting.state_dir, day_id, line, who)


def _halted(one: Halt) -> dict[str, Any]:
    return {"schemaVersion": 1, **msgspec.to_builtins(one)}


def _pull(site: Site, request: Request) -> Halt:
    told = asking.given_id(request)
    one = site.halts.of(int(told)) if told.isdecimal() and len(told) < 10 else None
    if one is None:
        raise Refused(404, "There is no such halt; those before the last start of this server are not known.")
    return one


async def halted(site: Site, request: Request, _form: dict[str, str], visitor: Visitor | None) -> Response:
    """What became of a halt; loads itself again until it is known."""
    return paper.page("halt.html.j2", title="Halt", visitor=visitor, halt=_pull(site, request))


async def halted_value(site: Site, request: Request, _form: dict[str, str], _visitor: Visitor | None) -> Response:
    """The same for programs."""
    return paper.answer(_halted(_pull(site, request)))


async def resume(site: Site, _request: Request, form: dict[str, str], visitor: Visitor | None) -> Response:
    """Releases a lever; takes a reason."""
    assert visitor is not None
    scope, reason = form.get("scope", ""), text.one_line(form.get("reason", ""), REASON_MAX).strip()
    if not reason:
        raise Refused(400, "Say why it is safe again: the reason is kept with the lever.")
    try:
        await anyio.to_thread.run_sync(
            levers.release, site.setting.state_dir, scope, visitor.name, reason, limiter=site.hands
        )
    except StoreError as why:
        raise Refused(409, f"Not released: {why}") from None
    return RedirectResponse("/", 303)
