"""Listen addresses: Go's notation, IPv4 first, one dual-stack socket for `any`."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from typing import NamedTuple

from chaos_runner.proxy.errors import AddressError, ApiError

BACKLOG = 4096
KEEPALIVE_S = 15
RESOLVE_LIMIT_S = 3.0


class Address(NamedTuple):
    """One resolved address; its text is what the API shows."""

    family: int
    host: str
    port: int

    @property
    def loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def split(text: str) -> tuple[str, int]:
    """Host and port of `host:port`; an empty host means any, an empty text any port too."""
    if not text:
        return "", 0
    host, colon, port = text.rpartition(":")
    if not colon:
        raise AddressError(f"address {text}: missing port in address")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise AddressError(f"address {text}: too many colons in address")
    return host, port_number(port)


def port_number(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise AddressError(f"lookup tcp/{text}: unknown port")
    if int(text[:6]) > 65535:
        raise AddressError(f"address {text}: invalid port")
    return int(text)


def literal(host: str, port: int) -> Address | None:
    """The address of an IP literal or of `any`, without a lookup; None for a name."""
    if not host:
        return Address(socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET, "::", port)
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    return Address(socket.AF_INET if ip.version == 4 else socket.AF_INET6, host, port)


async def resolve(text: str) -> Address:
    """The one address to listen on, IPv4 before IPv6; an AddressError within the lookup's limit otherwise."""
    host, port = split(text)
    if (known := literal(host, port)) is not None:
        return known
    lookup = asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    try:
        found = await asyncio.wait_for(lookup, RESOLVE_LIMIT_S)
    except (OSError, UnicodeError):
        raise AddressError(f"lookup {host}: no such host") from None
    except TimeoutError:
        raise AddressError(f"lookup {host}: i/o timeout") from None
    family, _, _, _, where = min(found, key=lambda info: info[0] != socket.AF_INET)
    return Address(family, str(where[0]), port)


def listen(at: Address) -> tuple[socket.socket, Address]:
    """A listening socket and its real address; a 500 in Go's words when the system refuses."""
    sock = socket.socket(at.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keep_alive(sock)
        if at.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(at.host != "::"))
        # "::" stands for any address also where IPv6 is missing.
        sock.bind(("" if at.host == "::" else at.host, at.port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        # OSError's own text carries the number; Go prints the system's words in lower case.
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise ApiError(500, f"listen tcp {at}: bind: {reason}") from None
    return sock, at._replace(port=sock.getsockname()[1])


def keep_alive(sock: socket.socket) -> None:
    """Dead peers are noticed; a listener's accepted sockets inherit this."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)
