"""One API server, spoken to as one user: every wait limited, every answer judged, nothing taken from the environment.

A request is sent once. Two answers let it be sent again, because both say that nothing was done: 401 after credentials
could be renewed, and 429 that is no budget's, for as long as the call's limit allows.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Collection, Iterator
from urllib.parse import urlsplit

import anyio
import httpx2

from chaos_runner.api import Doubt, Refused
from chaos_runner.clients import http
from chaos_runner.clients.kubernetes import answers, refusals, tls
from chaos_runner.clients.kubernetes.credentials import Credentials
from chaos_runner.clients.kubernetes.kubeconfig import Chosen

CALL_S = 5.0
OBJECT_BYTES_MAX = 8 << 20
PAGES_KEPT = 1
WAIT_MIN_S, WAIT_MAX_S = 0.2, 5.0
SEND_S = 0.05
CONNECT_SHARE = 0.4
LOOPBACK = ("127.0.0.1", "::1", "localhost")
JSON = "application/json"


class Cluster:
    """One cluster as one user. A call raises Refused (definitely not done) or Doubt (perhaps done), nothing else."""

    def __init__(
        self, url: str, credentials: Credentials, single: httpx2.AsyncClient, paging: httpx2.AsyncClient
    ) -> None:
        self.url = url
        self._credentials = credentials
        self._single = single
        self._paging = paging

    async def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        content_type: str = JSON,
        limit_s: float = CALL_S,
        body_max: int = OBJECT_BYTES_MAX,
        paging: bool = False,
        accept: str = JSON,
        encoding: str = "identity",
    ) -> http.Answer:
        """The answer to one request, where it is a yes.

        It has a connection of its own, so that what is read was not answered by something cached on an old one;
        `paging` shares one among the pages of a list, and accepts them compressed.
        """
        headers = [("Accept", accept), ("Accept-Encoding", encoding)]
        headers += [("Content-Type", content_type)] if body else []
        client = self._paging if paging else self._single
        deadline = anyio.current_time() + limit_s
        renewed = False
        while True:
            deadline += await self._prepared()
            left_s = max(deadline - anyio.current_time(), SEND_S)
            try:
                return await self._once(client, method, path, headers, body, left_s, body_max)
            except refusals.Unauthorized:
                if renewed or not await self._credentials.renewed():
                    raise
                renewed = True
            except refusals.Overload as why:
                wait_s = min(max(why.retry_after_s, WAIT_MIN_S), WAIT_MAX_S)
                if anyio.current_time() + wait_s >= deadline:
                    raise
                await anyio.sleep(wait_s)

    async def _prepared(self) -> float:
        """How long it took to have credentials: a plugin has its own limit, and takes nothing of the request's."""
        began = anyio.current_time()
        await self._credentials.headers()
        return anyio.current_time() - began

    async def _once(
        self,
        client: httpx2.AsyncClient,
        method: str,
        path: str,
        headers: list[tuple[str, str]],
        body: bytes,
        limit_s: float,
        body_max: int,
    ) -> http.Answer:
        what = f"{method} {path.partition('?')[0]}"
        every = headers + await self._credentials.headers()
        with told(what, self.url):
            answer = await http.exchange(
                client,
                method,
                self.url + path,
                headers=every,
                body=body,
                limit_s=limit_s,
                # For the connection, and again for its handshake: one cut off from outside leaves a socket behind.
                connect_s=min(http.CONNECT_S, limit_s * CONNECT_SHARE),
                body_max=body_max,
            )
        return answers.judged(answer, what)

    @contextlib.asynccontextmanager
    async def stream(self, path: str, *, limit_s: float) -> AsyncIterator[httpx2.Response]:
        """An answer whose body comes piece by piece, on a connection of its own; `limit_s` between two pieces."""
        what = f"GET {path.partition('?')[0]}"
        headers = [("Accept", JSON), *await self._credentials.headers()]
        with told(what, self.url), http.told(limit_s):
            request = http.build(self._single, "GET", self.url + path, headers=headers, limit_s=limit_s)
            with anyio.fail_after(limit_s):
                response = await self._single.send(request, stream=True)
        try:
            if response.status_code != 200:
                with told(what, self.url), http.told(limit_s), anyio.fail_after(limit_s):
                    body = await http.body_of(response, OBJECT_BYTES_MAX)
                answers.judged(http.Answer(response.status_code, body, 0.0, http.headers_of(response)), what)
                raise Doubt(f"{what}: {response.status_code} instead of a stream")
            yield response
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(1):
                await response.aclose()


@contextlib.contextmanager
def told(what: str, url: str) -> Iterator[None]:
    """Whatever goes wrong with an exchange inside is Unreachable, Hung or Doubt."""
    try:
        yield
    except http.NotSent as why:
        raise refusals.Unreachable(f"{what}: not sent to {url}: {why}") from None
    except http.NoAnswer as why:
        raise refusals.Hung(f"{what}: {url}: {why}") from None
    except http.BrokenAnswer as why:
        raise Doubt(f"{what}: {url}: {why}") from None


@contextlib.asynccontextmanager
async def connect(chosen: Chosen, allowed_plugins: Collection[str] = ()) -> AsyncIterator[Cluster]:
    """A connection for as long as the block runs. Raises Refused for what cannot work. Sends nothing yet."""
    server = chosen.server
    parts = urlsplit(server.server)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Refused(f"the kubeconfig's server {server.server!r:.200} is no address such as https://host:6443")
    proxy = _proxy(server.proxy_url)
    context = tls.context_of(server) if parts.scheme == "https" else None
    credentials = Credentials(chosen, allowed_plugins, context)
    if context is None and parts.hostname not in LOOPBACK:
        raise Refused(f"{server.server!r:.200} is not encrypted, and not on this machine: nothing is shown to it")
    verify = context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without TLS none is used, and loading one takes time
    async with (
        http.opened(verify=verify, proxy=proxy) as single,
        http.opened(verify=verify, proxy=proxy, kept=PAGES_KEPT) as paging,
    ):
        yield Cluster(server.server.rstrip("/"), credentials, single, paging)


def _proxy(url: str) -> str | None:
    if url and urlsplit(url).scheme not in {"http", "https"}:
        raise Refused("the kubeconfig's proxy-url is neither http:// nor https://")  # it may hold a password
    return url or None
