"""Coming in and going out: a one-time code is exchanged for a cookie that scripts cannot read."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from chaos_runner.render import text
from chaos_runner.serve import paper
from chaos_runner.serve.door import Visitor
from chaos_runner.serve.refusing import Refused
from chaos_runner.serve.sessions import CODE_S, SESSION_S
from chaos_runner.serve.site import Site
from chaos_runner.serve.tokens import ROLES, Role

CODE_MAX = 200
NAME_MAX = 100


def home(role: Role) -> str:
    """The first page of somebody in this role."""
    return "/days" if role == "responder" else "/"


async def login(_site: Site, _request: Request, _form: dict[str, str], visitor: Visitor | None) -> Response:
    """Where a code is shown; the page takes it from the address's fragment, which no server ever sees."""
    return paper.page("login.html.j2", "login.js", title="Come in", visitor=visitor)


async def enter(site: Site, request: Request, form: dict[str, str], _visitor: Visitor | None) -> Response:
    """A code for a cookie, once."""
    if request.headers.get("origin") not in site.setting.origins:
        raise Refused(403, "It cannot be told which page sent this. Nothing was done.")
    if site.failures.too_many():
        raise Refused(429, "Too many wrong codes. Wait a minute, then try again.")
    role = site.codes.take(form.get("code", "")[:CODE_MAX].strip())
    if role is None:
        site.failures.add()
        raise Refused(403, "This code is not known, or was used. Get another one with: chaos-runner serve --link")
    secret, session = site.sessions.begin(role)
    session.name = text.one_line(form.get("name", ""), NAME_MAX).strip()
    response = RedirectResponse(home(role), 303)
    response.set_cookie(
        site.setting.cookie,
        secret,
        max_age=int(SESSION_S),
        httponly=True,
        samesite="strict",
        secure=site.setting.secure,
        path="/",
    )
    return response


async def leave(site: Site, _request: Request, _form: dict[str, str], visitor: Visitor | None) -> Response:
    """The session ends here and in the browser."""
    if visitor is not None and visitor.session is not None:
        site.sessions.end(visitor.session)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(site.setting.cookie, path="/", httponly=True, samesite="strict")
    return response


async def call(_site: Site, _request: Request, form: dict[str, str], visitor: Visitor | None) -> Response:
    """Who sits at this browser."""
    if visitor is not None and visitor.session is not None:
        visitor.session.name = text.one_line(form.get("name", ""), NAME_MAX).strip()
    return RedirectResponse(home(visitor.role) if visitor else "/", 303)


async def code(site: Site, _request: Request, form: dict[str, str], visitor: Visitor | None) -> Response:
    """A new one-time code, for who has a token: of the token's role, or a lesser one."""
    assert visitor is not None
    wanted = next((role for role in ROLES if role == form.get("role", visitor.role)), None)
    if wanted is None or not visitor.may(wanted):
        raise Refused(403, f"A {visitor.role} cannot let others in as that.")
    return paper.answer({"schemaVersion": 1, "role": wanted, "code": site.codes.new(wanted), "lasts_s": CODE_S})
