"""One HTTP exchange: one attempt, no redirects, a cap on the body, a limit on every wait. Network; no decisions.

Every exchange has a connection of its own: a kept one that the server closed would look like a lost reply, and an
undo is verified over a new one.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

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
    """A complete answer; `seconds` is from the start of connecting to the last byte of the body.

    Names of headers are in lower case; of several with one name the first counts.
    """

    status: int
    body: bytes
    seconds: float
    headers: dict[str, str] = {}


@contextlib.asynccontextmanager
async def opened(
    *, verify: ssl.SSLContext | None = None, proxy: str | None = None, kept: int = 0
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that takes nothing from this process's environment: no proxy, no netrc, no redirects.

    `kept` connections stay open for the next request; by default none does.
    """
    limits = httpx2.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=kept)
    trust = True if verify is None else verify
    async with httpx2.AsyncClient(
        trust_env=False, follow_redirects=False, limits=limits, verify=trust, proxy=proxy
    ) as client:
        yield client


async def exchange(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    limit_s: float = READ_S,
    connect_s: float = CONNECT_S,
    body_max: int = BODY_BYTES_MAX,
) -> Answer:
    """One request and its answer within `limit_s`, connecting included. Raises NotSent, NoAnswer or BrokenAnswer."""
    began = anyio.current_time()
    with told(limit_s):
        with anyio.fail_after(limit_s):
            request = build(client, method, url, headers=headers, body=body, limit_s=limit_s, connect_s=connect_s)
            status, told_headers, content = await _answer(client, request, body_max)
    return Answer(status=status, body=content, seconds=anyio.current_time() - began, headers=told_headers)


def build(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    limit_s: float = READ_S,
    connect_s: float = CONNECT_S,
) -> httpx2.Request:
    """A request that names this program. Raises NotSent where no socket could carry it."""
    connect_s = min(connect_s, limit_s)
    timeout = httpx2.Timeout(limit_s, connect=connect_s, pool=connect_s)
    given = list(headers.items() if isinstance(headers, Mapping) else headers)
    taken = {name.lower() for name, _ in given}
    own = {"User-Agent": AGENT, "Accept-Encoding": "identity", "Accept": "*/*"}
    every = [(name, value) for name, value in own.items() if name.lower() not in taken] + given
    request = client.build_request(method, url, headers=every, content=body, timeout=timeout)
    if (request.url.port or PORT_MAX) > PORT_MAX:  # the socket would raise an error of no family
        msg = f"there is no port {request.url.port}; the highest is {PORT_MAX}"
        raise NotSent(msg)
    return request


@contextlib.contextmanager
def told(limit_s: float) -> Iterator[None]:
    """Whatever goes wrong inside is NotSent, NoAnswer or BrokenAnswer."""
    try:
        yield
    except (httpx2.LocalProtocolError, UnicodeEncodeError):
        msg = (
            "a header has characters that HTTP cannot carry; a token is one line of ASCII"  # its value may be a secret
        )
        raise NotSent(msg) from None
    except (httpx2.ConnectTimeout, httpx2.PoolTimeout):
        msg = "no connection in time"  # the event loop's own words name an object in memory
        raise NotSent(msg) from None
    except _NOT_SENT as why:
        raise NotSent(_words(why)) from None
    except (TimeoutError, httpx2.TimeoutException):
        msg = f"no answer within {limit_s:g} s"
        raise NoAnswer(msg) from None
    except (httpx2.TransportError, httpx2.DecodingError) as why:
        raise BrokenAnswer(_words(why)) from None


async def _answer(
    client: httpx2.AsyncClient, request: httpx2.Request, body_max: int
) -> tuple[int, dict[str, str], bytes]:
    response = await client.send(request, stream=True)
    try:
        return response.status_code, headers_of(response), await body_of(response, body_max)
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(1):
            await response.aclose()


def headers_of(response: httpx2.Response) -> dict[str, str]:
    """Its headers, by name in lower case; of several with one name the first."""
    return {name.lower(): value for name, value in reversed(response.headers.multi_items())}


async def body_of(response: httpx2.Response, body_max: int) -> bytes:
    """The whole body, as it was sent. Raises TooLarge."""
    content = bytearray()
    try:
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > body_max:
                # Closing, rather than leaving the loop: the generators below then end by themselves.
                await response.aclose()
    except (httpx2.TransportError, httpx2.StreamError):
        if len(content) <= body_max:
            raise
    if len(content) > body_max:
        msg = f"the body is above {body_max} bytes"
        raise TooLarge(msg)
    return bytes(content)


def _words(why: BaseException) -> str:
    """The first words in the chain: of a failed handshake one event loop tells only the type."""
    told: BaseException | None = why
    while told is not None and not str(told):
        told = told.__cause__ or told.__context__
    return str(told) if told is not None else type(why).__name__
