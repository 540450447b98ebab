"""What a world asks of its proxy, embedded or real: be there, and stand before payments and catalog."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from chaos_runner.pocket import http11, http_client

CALL_MAX_S = 5.0
START_MAX_S = 10.0
LISTEN_TRIES = 20
PORTS = range(20_000, 32_000)
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class ProxyRefused(RuntimeError):
    """The proxy did not do what the world needs."""


class Proxy(msgspec.Struct, frozen=True):
    """The part of a proxy's answer that matters here."""

    listen: str


async def answering(url: str, lives: Callable[[], bool]) -> None:
    """Waits until the proxy's API answers, or the proxy is dead."""
    pool = http_client.Pool(url, connections=1, queue_max=0)
    try:
        async with asyncio.timeout(START_MAX_S):
            while lives() and not await _answers(pool):
                await asyncio.sleep(0.02)
    except TimeoutError as late:
        raise ProxyRefused(f"the proxy at {url} did not answer within {START_MAX_S:g} s") from late
    finally:
        pool.close()


async def stand_before(api: str, name: str, upstream: str) -> str:
    """Creates a proxy and returns its address as a URL."""
    pool = http_client.Pool(api, connections=1, queue_max=0)
    reply = http11.Response(0)
    try:
        for _ in range(LISTEN_TRIES):
            reply = await _create(pool, {"name": name, "listen": f"127.0.0.1:{free_port()}", "upstream": upstream})
            if reply.status != 500:  # "address already in use": somebody was quicker
                break
    finally:
        pool.close()
    if reply.status != 201:
        raise ProxyRefused(f"the proxy for {name} was not created: {reply.status} {reply.body[:200]!r}")
    return f"http://{msgspec.json.decode(reply.body, type=Proxy).listen}"


def free_port() -> int:
    """A port that nobody holds now and that the system gives to nobody by itself.

    A disabled proxy lets go of its port and must get it back, while every outgoing connection takes one from the
    system's own range.
    """
    ports = [port for port in random.sample(PORTS, 50) if port < _ephemeral_from()]
    for port in ports:
        if _is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _answers(pool: http_client.Pool) -> bool:
    try:
        reply = await pool.exchange(http11.Request("GET", "/version"))
    except OSError:
        return False
    return reply.status == 200


async def _create(pool: http_client.Pool, proxy: dict[str, str]) -> http11.Response:
    request = http11.Request("POST", "/proxies", {"content-type": http11.JSON}, msgspec.json.encode(proxy))
    async with asyncio.timeout(CALL_MAX_S):
        return await pool.exchange(request)


def _ephemeral_from() -> int:
    try:
        return int(EPHEMERAL.read_text(encoding="ascii").split()[0])
    except OSError:
        return PORTS.start


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
