"""Where a probe sends to: a service of the environment or an address, and the addresses that are never asked.

Cloud machines answer on link-local addresses with their credentials: no experiment's file gets there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from chaos_runner.api import Env, Refused, Unknown

if TYPE_CHECKING:
    import ipaddress

# What talks to sockets is imported where it is used: validating a file needs none of it.
RESOLVE_S = 2.0
_HOST = r"[\w.-]{1,253}|[0-9a-fA-F:.]+(%\w+)?"
METADATA = "fd00:ec2::254"


class Address(NamedTuple):
    """A place to connect to; `base` is the path that every request's path follows."""

    host: str
    port: int
    tls: bool = False
    base: str = ""

    @property
    def text(self) -> str:
        """host:port, as people write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL without a path."""
        return f"{'https' if self.tls else 'http'}://{self.text}{self.base}"


def address(env: Env, service: str, given: str) -> Address:
    """The address of the service, or the one given. Raises Refused in a sentence."""
    return parse(env.address(service) if service else given)


def parse(text: str) -> Address:
    """Reads `http://host:port/base`, `https://host` or `host:port`. Raises Refused."""
    from urllib.parse import urlsplit

    if not text.isprintable() or " " in text:  # urlsplit would drop a line break without a word
        raise Refused(f"{text!r:.80} is not an address: it holds a blank or a character that nobody can see")
    scheme = text.partition("://")[0] if "://" in text else ""
    try:
        split = urlsplit(text if scheme else f"//{text}")
        host, port = split.hostname, split.port
    except ValueError as why:
        raise Refused(f"'{text}' is not an address: {why}") from None
    if (
        scheme not in {"", "http", "https"}
        or not host
        or not re.fullmatch(_HOST, host)
        or split.username
        or split.query
        or split.fragment
    ):
        raise Refused(f"'{text}' is not an address; write http://host:port or host:port")
    if port is None and not scheme:
        raise Refused(f"'{text}' has no port; write {text}:80")
    refuse_metadata(host)
    return Address(host, port or (443 if scheme == "https" else 80), scheme == "https", split.path.rstrip("/"))


def wrong(text: str) -> str:
    """Why this is no address that a probe may go to, as a sentence; empty when it is one."""
    try:
        parse(text)
    except Refused as why:
        return str(why)
    return ""


async def check(where: Address) -> None:
    """Resolves the host, within its limit. Raises Unknown when it cannot, or where it leads to a forbidden address."""
    import socket

    import anyio

    if _literal(where.host):
        return
    try:
        with anyio.fail_after(RESOLVE_S):
            found = await anyio.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise Unknown(f"the name {where.host} was not resolved within {RESOLVE_S:g} s") from None
    except (OSError, UnicodeError) as why:
        raise Unknown(f"the name {where.host} cannot be resolved: {why}") from None
    try:
        for *_rest, (host, *_port) in found:
            refuse_metadata(str(host))
    except Refused as why:
        raise Unknown(f"{where.host}: {why}") from None


def refuse_metadata(host: str) -> None:
    """Raises Refused for a link-local or metadata address; a name passes, it is looked at once resolved."""
    ip = _literal(host)
    if ip is None:
        return
    mapped = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None) or ip
    if mapped.is_link_local or ip.is_link_local or str(ip) == METADATA:
        raise Refused(f"{host} is a link-local or metadata address: probes do not go there")


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    import ipaddress

    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
