"""What a request shows to say who asks: a certificate, a token, or what a plugin hands out; renewed when they age."""

from __future__ import annotations

import ssl
from collections.abc import Collection
from urllib.parse import quote

import anyio

from chaos_runner.api import Doubt, Refused
from chaos_runner.clients.kubernetes import plugin, tls
from chaos_runner.clients.kubernetes.kubeconfig import Chosen
from chaos_runner.clients.kubernetes.plugin import Issued
from chaos_runner.clients.kubernetes.users import Impersonation, User

RENEW_BEFORE_S = 60.0


class Credentials:
    """One user's credentials, with the TLS context that shows his certificate. Nothing here can be printed."""

    def __init__(self, chosen: Chosen, allowed: Collection[str], context: ssl.SSLContext | None) -> None:
        self._user: User = chosen.user
        self._server = chosen.server
        self._acting = _acting(chosen.impersonation)
        self._allowed = tuple(allowed)
        self._context = context
        self._issued: Issued | None = None
        self._lock = anyio.Lock()
        if self._user.problem:
            raise Refused(f"the kubeconfig's user cannot log in: {self._user.problem}")
        self._show(
            tls.pem("client-certificate", self._user.client_certificate_data, self._user.client_certificate),
            tls.pem("client-key", self._user.client_key_data, self._user.client_key),
        )

    async def headers(self) -> list[tuple[str, str]]:
        """What goes with a request now. A token in a file is read each time: it may have been rotated."""
        token = await self._token()
        return ([("Authorization", f"Bearer {token}")] if token else []) + self._acting

    async def renewed(self) -> bool:
        """Whether there is something new to show after the server said that it does not know us."""
        if self._user.exec_ is None:
            return bool(self._user.token_file)
        async with self._lock:
            self._issued = None
        await self._token()
        return True

    async def _token(self) -> str:
        user = self._user
        if user.token_file:
            return _line(tls.content("token file", user.token_file))
        if user.token:
            return user.token
        return (await self._from_plugin()).token if user.exec_ is not None else ""

    async def _from_plugin(self) -> Issued:
        assert self._user.exec_ is not None
        async with self._lock:
            if self._issued is None or self._issued.left_s() < RENEW_BEFORE_S:
                try:
                    issued = await plugin.ask(self._user.exec_, self._allowed, self._server)
                except (Refused, Doubt):
                    if self._issued is None or self._issued.left_s() <= 0:
                        raise
                    return self._issued  # it will do for a while; the next request asks again
                self._show(issued.client_certificate_data.encode(), issued.client_key_data.encode())
                self._issued = issued
            return self._issued

    def _show(self, certificate: bytes, key: bytes) -> None:
        if certificate and self._context is not None:
            tls.present(self._context, certificate, key)


def _line(content: bytes) -> str:
    try:
        return content.decode("ascii").strip()
    except UnicodeDecodeError:
        raise Refused("the token file holds characters that no token has") from None


def _acting(who: Impersonation) -> list[tuple[str, str]]:
    """The headers that act as somebody else."""
    found = [("Impersonate-User", who.user), ("Impersonate-Uid", who.uid)]
    found += [("Impersonate-Group", group) for group in who.groups]
    found += [
        (f"Impersonate-Extra-{quote(name, safe='')}", value) for name, values in who.extra.items() for value in values
    ]
    if any(value for _, value in found) and not who.user:
        raise Refused("the kubeconfig acts as a group, uid or extra without acting as a user")
    return [(name, value) for name, value in found if value]
