"""The HTTP stage: a process of its own between a real Toxiproxy and the service behind one of its proxies.

It is started by a fault and outlives it: while it is there traffic flows. It harms only under a live lease and a toxic
of its run. Without one of them it leads the proxy back by itself, so that its own end cuts nobody off, and goes once
nothing leads to it. It never changes an upstream that is not its own address.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from typing import Literal
from urllib.parse import urlsplit

import anyio
import msgspec

from chaos_runner.api import Doubt, Refused
from chaos_runner.clients import stages, toxics, toxiproxy
from chaos_runner.clients.stages import Order, Stage
from chaos_runner.proxy import addresses
from chaos_runner.proxy.__main__ import loop_factory, raise_file_limit
from chaos_runner.proxy.api import Api
from chaos_runner.proxy.errors import AddressError, ApiError
from chaos_runner.proxy.leases import Leases
from chaos_runner.proxy.proxies import Proxies, Wanted
from chaos_runner.proxy.proxy import Proxy
from chaos_runner.proxy.server import Server

EVERY_S = 0.5
UNUSED_S = 30.0  # from its start to its first lease, where whoever started it lives
REACH_S = 3.0
OTHERS_S = 2.0  # for who takes the toxic away to lead the proxy back too
LINGER_S = 120.0  # after the last lease: a request that was under way may lead here for longer than a watch lasts
FORSAKEN_S = 24 * 3600.0  # a Toxiproxy that does not answer may still lead here
ORDER_BYTES_MAX = 1 << 20

Lead = Literal["here", "elsewhere", "unknown"]


class OneLease(Leases):
    """Leases that remember whether the run itself has ended its own."""

    released = False
    granted = False

    def put(self, run: str, body: bytes) -> dict[str, object]:
        """Makes or renews it."""
        self.granted, self.released = True, False
        return super().put(run, body)

    def delete(self, run: str) -> None:
        """Ends it."""
        super().delete(run)
        self.released = True


class Presence:
    """Whether the stage has to be there: what it stands behind, and for whom."""

    def __init__(self, order: Order, proxy: Proxy, leases: OneLease, client: toxiproxy.Client) -> None:
        self.order = order
        self.proxy = proxy
        self.leases = leases
        self.client = client
        self.told_to_end = asyncio.Event()
        self._wanted_at = self._leased_at = self._known_at = clock()

    @property
    def run(self) -> str:
        """The run id inside the mark."""
        return self.order.mark.split(".")[1]

    @property
    def wanted(self) -> bool:
        """Whether it has harm to do: a lease that lives, and the toxic that the lease is for."""
        harm = any(toxic.name == self.order.mark and toxic.type != "noop" for toxic in self.proxy.toxics)
        return harm and self.run in self.leases.by_run and not self.told_to_end.is_set()

    async def kept(self) -> None:
        """Returns once nothing leads here and nobody needs it any more."""
        while True:
            if self.wanted:
                self._wanted_at = self._leased_at = clock()
            elif not self._undone_by_others() and self._over(await self.led()):
                return
            try:
                async with asyncio.timeout(EVERY_S):
                    await self.told_to_end.wait()
                await asyncio.sleep(EVERY_S / 5)
            except TimeoutError:
                continue

    def _undone_by_others(self) -> bool:
        """Whether whoever keeps the lease is just leading the proxy back."""
        leased = self.run in self.leases.by_run and not self.told_to_end.is_set()
        return leased and clock() - self._wanted_at < OTHERS_S

    async def led(self) -> Lead:
        """Where the proxy leads, after leading it back if it led here."""
        try:
            with anyio.fail_after(2 * stages.MOVE_S):
                await stages.put_back(self.client, self.order.proxy, self.proxy.listen, self.order.upstream)
        except toxics.NotFound:
            return "elsewhere"
        except toxics.Unreachable:
            return "elsewhere" if await gone(self.order.toxiproxy) else "unknown"
        except (Refused, Doubt, TimeoutError):
            return "unknown"
        return "elsewhere"

    def unleashed(self) -> None:
        """Whoever started it is gone: without a lease nothing ever led here."""
        if not os.read(0, 4096):
            asyncio.get_running_loop().remove_reader(0)
            if not self.leases.granted:
                self.told_to_end.set()

    def _over(self, lead: Lead) -> bool:
        now = clock()
        if lead == "unknown":
            return now - self._known_at > FORSAKEN_S
        self._known_at = now
        if self.told_to_end.is_set() or self.leases.released:
            return True
        if self.run in self.leases.by_run:
            self._leased_at = now
        return now - self._leased_at > (LINGER_S if self.leases.granted else UNUSED_S)


async def gone(url: str) -> bool:
    """Whether nobody listens at the address of a server any more: it keeps nothing over its own end."""
    at = urlsplit(url)
    try:
        async with asyncio.timeout(stages.LOOK_S):
            _, writer = await asyncio.open_connection(at.hostname, at.port or (443 if at.scheme == "https" else 80))
    except ConnectionRefusedError:
        return True
    except (OSError, TimeoutError):
        return False
    writer.close()
    return False


async def unreached(upstream: str) -> str:
    """Why nobody can be led to this address from here, as a sentence; empty where somebody can."""
    try:
        host, port = addresses.split(upstream)
        async with asyncio.timeout(REACH_S):
            _, writer = await asyncio.open_connection(host or "localhost", port)
    except TimeoutError:
        return f"{upstream} is not reached from this machine: no answer within {REACH_S:g} s"
    except (OSError, ValueError) as why:
        return f"{upstream} is not reached from this machine: {why}"
    writer.close()
    return ""


def clock() -> float:
    """Seconds that also pass while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


async def serve(order: Order) -> int:
    """One stage's whole life."""
    if why := await unreached(order.upstream):
        say(why.encode())
        return 1
    proxies = Proxies(secrets.randbits(32))
    leases = OneLease(proxies, lambda _line: None)
    api = Api(proxies, leases)
    wanted = Wanted({"name": order.proxy, "listen": f"{order.host}:0", "upstream": order.upstream})
    try:
        proxy = await proxies.create(wanted)
        sock, control = addresses.listen(await addresses.resolve("127.0.0.1:0"))
    except (AddressError, ApiError) as trouble:
        say(f"{order.host}: {trouble}".encode())
        return 1
    http = Server(api.answer)
    server = await asyncio.get_running_loop().create_server(http.accept, sock=sock)
    async with toxiproxy.connect(order.toxiproxy, order.token) as client:
        presence = Presence(order, proxy, leases, client)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, presence.told_to_end.set)
        asyncio.get_running_loop().add_reader(0, presence.unleashed)
        say(msgspec.json.encode(Stage(f"http://{control}", proxy.listen, os.getpid())))
        await presence.kept()
    server.close()
    leases.stop()
    proxies.stop()
    http.stop()
    await asyncio.sleep(0.01)
    return 0


def say(line: bytes) -> None:
    """The one line that it ever says. Its stdout stays open: its end would be taken for the stage's."""
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.flush()


def main() -> int:
    """Entry point of the process; its order is one line on stdin."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(ORDER_BYTES_MAX), type=Order)
    raise_file_limit()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(serve(order))
