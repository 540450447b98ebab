"""Waits that nobody can make endless, with the limits turned down."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from chaos_runner.proxy.__main__ import loop_factory
from chaos_runner.proxy.proxies import Proxies, Wanted
from chaos_runner.proxy.proxy import Proxy
from chaos_runner.proxy.requests import Request, Response
from chaos_runner.proxy.server import Server
from tests.proxy.toxi import LOOP

LIMIT_S = 0.2
LOOPS = {"asyncio": asyncio.new_event_loop, "as served": loop_factory() or asyncio.new_event_loop}
WAIT_S = 5.0


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not holds():
            await asyncio.sleep(0.01)


async def with_proxy(
    upstream: socket.socket, scene: Callable[[Proxy, socket.socket], Awaitable[None]], *, dial_limit_s: float = WAIT_S
) -> None:
    """Plays the scene with a proxy in this process and a client that has connected to it."""
    proxies = Proxies(seed=1)
    where = f"{LOOP}:{upstream.getsockname()[1]}"
    proxy = await proxies.create(Wanted({"name": "p", "upstream": where, "listen": f"{LOOP}:0"}))
    proxy.dial_limit_s = dial_limit_s
    with socket.socket() as client:
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, (LOOP, int(proxy.listen.rpartition(":")[2])))
        try:
            await scene(proxy, client)
        finally:
            proxies.stop()
            await asyncio.sleep(0.01)


def test_a_dial_ends_within_its_limit() -> None:
    async def scene(proxy: Proxy, client: socket.socket) -> None:
        async with asyncio.timeout(WAIT_S):
            assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
        await until(lambda: not proxy.connections)

    with socket.create_server((LOOP, 0), backlog=0) as full:
        fill = [socket.socket() for _ in range(3)]
        for sock in fill:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        asyncio.run(with_proxy(full, scene, dial_limit_s=LIMIT_S))
        for sock in fill:
            sock.close()


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_a_client_that_goes_in_the_moment_its_dial_succeeds_leaves_nothing_behind(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def scene(proxy: Proxy, client: socket.socket) -> None:
        async with asyncio.timeout(WAIT_S):
            while not any(connection.server.connected for connection in proxy.connections):
                await asyncio.sleep(0)
        (connection,) = proxy.connections
        assert connection.dial is not None, "too late: the dial is over"
        connection.abort()
        await until(lambda: not proxy.connections)

    with socket.create_server((LOOP, 0)) as upstream, asyncio.Runner(loop_factory=loop) as runner:
        runner.run(with_proxy(upstream, scene))


def test_a_closed_connection_does_not_wait_for_ever_for_its_reader() -> None:
    async def scene(proxy: Proxy, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        server, _ = await loop.sock_accept(upstream)
        with server:
            flood = asyncio.create_task(loop.sock_sendall(server, b"x" * (64 << 20)))
            await until(lambda: any(connection.down.sink_full for connection in proxy.connections))
            (connection,) = proxy.connections
            connection.stall_limit_s = LIMIT_S
            proxy.add_toxic("t", "timeout", "downstream", toxicity=1, settings={"timeout": 0})
            proxy.remove_toxics(lambda _: True)
            assert connection.unsent() > 0
            await until(lambda: not proxy.connections)
            flood.cancel()
            await asyncio.gather(flood, return_exceptions=True)

    with socket.create_server((LOOP, 0)) as upstream:
        upstream.setblocking(False)
        asyncio.run(with_proxy(upstream, scene))


def test_an_unfinished_request_and_an_idle_client_are_cut_off() -> None:
    async def handler(_: Request) -> Response:
        return Response(200)

    async def scene(sends: bytes) -> bytes:
        server = Server(handler)
        server.read_limit_s = server.idle_limit_s = LIMIT_S
        listening = await asyncio.get_running_loop().create_server(server.accept, LOOP, 0)
        reader, writer = await asyncio.open_connection(LOOP, listening.sockets[0].getsockname()[1])
        writer.write(sends)
        async with asyncio.timeout(WAIT_S):
            got = await reader.read()
        writer.close()
        listening.close()
        return got

    for sends in (b"", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"):
        assert asyncio.run(scene(sends)) == b""
    assert asyncio.run(scene(b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")


def test_a_handlers_bug_ends_the_clients_wait() -> None:
    async def handler(_: Request) -> Response:
        raise ZeroDivisionError

    async def scene() -> list[str]:
        said: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: said.append(context["message"]))
        listening = await loop.create_server(Server(handler).accept, LOOP, 0)
        reader, writer = await asyncio.open_connection(LOOP, listening.sockets[0].getsockname()[1])
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(WAIT_S):
            assert await reader.read() == b""
        writer.close()
        listening.close()
        return said

    assert asyncio.run(scene()) == ["a request failed"]
