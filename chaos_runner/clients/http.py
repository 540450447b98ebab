"""One HTTP exchange: one attempt, no redirects, a cap on the body, a limit on every wait. Network; no decisions.

Every exchange has a connection of its own: a kept one that the server closed would look like a lost reply, and an
undo is verified over a new one.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

import anyio
import httpx2
import msgspec

from chaos_runner._version import __version__

CONNECT_S = 2.0
READ_S = 5.0
BODY_BYTES_MAX = 1 << 20
CONNECTIONS_MAX = 32
PORT_MAX = 65535
AGENT = f"chaos-runner/{__version__}"

_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)


class NotSent(Exception):
    """Not one byte of the request left: no connection, or no request that could be sent."""


class NoAnswer(Exception):
    """The request left (or may have) and no answer came within the limit."""


class BrokenAnswer(Exception):
    """Something came back that is no complete answer: a reset, garbage, a body above the cap."""


class TooLarge(BrokenAnswer):
    """The body is above the cap."""


class Answer(msgspec.Struct, frozen=True):
    """A complete answer; `seconds` is from the start of connecting to the last byte of the body."""

    status: int
    body: bytes
    seconds: float


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[httpx2.AsyncClient]:
    """A client that takes nothing from this process's environment: no proxy, no netrc, no redirects."""
    limits = httpx2.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=0)
    async with httpx2.AsyncClient(trust_env=False, follow_redirects=False, limits=limits) as client:
        yield client


async def exchange(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    limit_s: float = READ_S,
    connect_s: float = CONNECT_S,
) -> Answer:
    """One request and its answer within `limit_s`, connecting included. Raises NotSent, NoAnswer or BrokenAnswer."""
    connect_s = min(connect_s, limit_s)
    timeout = httpx2.Timeout(limit_s, connect=connect_s, pool=connect_s)
    own = {"User-Agent": AGENT, "Accept-Encoding": "identity", "Accept": "*/*"}
    began = anyio.current_time()
    try:
        with anyio.fail_after(limit_s):
            request = client.build_request(
                method, url, headers=own | dict(headers or {}), content=body, timeout=timeout
            )
            if (request.url.port or PORT_MAX) > PORT_MAX:  # the socket would raise an error of no family
                msg = f"there is no port {request.url.port}; the highest is {PORT_MAX}"
                raise NotSent(msg)
            status, content = await _answer(client, request)
    except (httpx2.LocalProtocolError, UnicodeEncodeError):
        msg = (
            "a header has characters that HTTP cannot carry; a token is one line of ASCII"  # its value may be a secret
        )
        raise NotSent(msg) from None
    except _NOT_SENT as why:
        raise NotSent(_words(why)) from None
    except (TimeoutError, httpx2.TimeoutException):
        msg = f"no answer within {limit_s:g} s"
        raise NoAnswer(msg) from None
    except (httpx2.TransportError, httpx2.DecodingError) as why:
        raise BrokenAnswer(_words(why)) from None
    return Answer(status=status, body=content, seconds=anyio.current_time() - began)


async def _answer(client: httpx2.AsyncClient, request: httpx2.Request) -> tuple[int, bytes]:
    response = await client.send(request, stream=True)
    try:
        return response.status_code, await _body(response)
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(1):
            await response.aclose()


async def _body(response: httpx2.Response) -> bytes:
    content = b""
    try:
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > BODY_BYTES_MAX:
                # Closing, rather than leaving the loop: the generators below then end by themselves.
                await response.aclose()
    except (httpx2.TransportError, httpx2.StreamError):
        if len(content) <= BODY_BYTES_MAX:
            raise
    if len(content) > BODY_BYTES_MAX:
        msg = f"the body is above {BODY_BYTES_MAX} bytes"
        raise TooLarge(msg)
    return content


def _words(why: Exception) -> str:
    return str(why) or type(why).__name__
