"""Who comes in: the name that was called, the page that sent it, the token or cookie, the proof against forgery.

Decides over plain values; knows neither sockets nor the store.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

import msgspec

from chaos_runner.serve.refusing import Refused
from chaos_runner.serve.sessions import Session, Sessions
from chaos_runner.serve.tokens import Role, Tokens, at_least

BEARER = "bearer "
CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf"
FOREIGN = {"cross-site", "same-site"}


class Visitor(msgspec.Struct, frozen=True):
    """Somebody who was let in. Without a session it is a program with a token, which no browser sends by itself."""

    role: Role
    session: Session | None = None

    @property
    def name(self) -> str:
        """How the visitor calls himself; else by the role."""
        return (self.session.name if self.session else "") or f"{self.role} (web)"

    def may(self, wanted: Role) -> bool:
        """Whether the visitor may what this role may."""
        return at_least(self.role, wanted)


class Door:
    """The checks that every request passes, in this order: `called`, `visitor`, `unforged`."""

    def __init__(self, tokens: Tokens, sessions: Sessions, origins: frozenset[str], cookie: str) -> None:
        self.cookie = cookie
        self._tokens = tokens
        self._sessions = sessions
        self._origins = origins
        self._hosts = frozenset(origin.partition("://")[2] for origin in origins)

    def called(self, method: str, headers: Mapping[str, str], hosts: list[str]) -> None:
        """Lets through what was sent to our own name by nobody else's page. Raises Refused.

        A name that leads here and is not ours is how a page of somebody else's reaches a server on loopback.
        """
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            raise Refused(421, "This server does not answer to that name. Use the address that it printed.")
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins:
            raise Refused(403, "Another page sent this request. Nothing was done.")
        visited = method in {"GET", "HEAD"} and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site") in FOREIGN and not visited:
            raise Refused(403, "Another page sent this request. Nothing was done.")

    def visitor(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Visitor | None:
        """Who it is; None for nobody that we know."""
        given = headers.get("authorization", "")
        if given.lower().startswith(BEARER):
            role = self._tokens.role(given[len(BEARER) :].strip())
            return Visitor(role) if role is not None else None
        secret = cookies.get(self.cookie, "")
        session = self._sessions.of(secret) if secret else None
        return Visitor(session.role, session) if session is not None else None

    def unforged(self, visitor: Visitor, headers: Mapping[str, str], form: Mapping[str, str]) -> None:
        """Lets a change through that a page of ours sent. Raises Refused.

        A cookie comes with every request of its browser, so it proves nothing; the page's own token does.
        """
        if visitor.session is None:
            return
        if headers.get("origin") not in self._origins:
            raise Refused(403, "It cannot be told which page sent this. Nothing was done.")
        given = headers.get(CSRF_HEADER) or form.get(CSRF_FIELD, "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), visitor.session.csrf.encode()):
            raise Refused(403, "This form is not from a page of this session. Nothing was done; load the page again.")
