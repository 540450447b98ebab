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
ANY = ("", "0.0.0.0", "::")  # noqa: S104 - each means every address of both families, as in Go


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
    if text.startswith("["):
        host, port = split_brackets(text)
    elif not colon:
        raise AddressError(f"address {text}: missing port in address")
    elif ":" in host:
        raise AddressError(f"address {text}: too many colons in address")
    return host, port_number(port)


def split_brackets(text: str) -> tuple[str, str]:
    """Host and port of `[host]:port`."""
    host, closed, port = text[1:].partition("]")
    if not closed:
        raise AddressError(f"address {text}: missing ']' in address")
    if not port.startswith(":"):
        raise AddressError(f"address {text}: missing port in address")
    if ":" in port[1:]:
        raise AddressError(f"address {text}: too many colons in address")
    return host, port[1:]


def port_number(text: str) -> int:
    """The port of a number or of a service's name."""
    if not text:
        return 0
    digits = text[1:] if text[0] in "+-" else text
    if digits.isascii() and digits.isdigit():
        if len(digits) > 9 or not 0 <= int(text) <= 65535:
            raise AddressError(f"address {text}: invalid port")
        return int(text)
    try:
        return socket.getservbyname(text, "tcp")
    except (OSError, ValueError):
        raise AddressError(f"lookup tcp/{text}: unknown port") from None


def literal(host: str, port: int) -> Address | None:
    """The address of an IP literal or of `any`, without a lookup; None for a name."""
    if host in ANY:
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
    if not host.strip("0123456789."):
        # The system would read `127.1` as an address; Go reads it as a name that nobody has.
        raise AddressError(f"lookup {host}: no such host")
    lookup = asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    try:
        found = await asyncio.wait_for(lookup, RESOLVE_LIMIT_S)
    except (OSError, ValueError):
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
