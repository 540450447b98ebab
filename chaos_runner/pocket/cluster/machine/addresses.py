"""Loopback addresses: each cluster has a slot of its own, so that several can live on one machine.

Pods have 127.77.x.y and Services 127.78.x.y, where a slot owns eight values of x. Synthetic pods, which listen nowhere,
have addresses of 198.18.0.0/15, a range set aside for measurements.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

SLOTS = 32
LISTENERS, LISTEN = Path("/proc/net/tcp"), "0A"
WIDTH = 8
NODES_MAX = WIDTH
HOSTS = range(2, 255)
SYNTHETIC_MAX = 2 * 65_536 - 2


class NoAddress(RuntimeError):
    """All addresses are taken."""


class Slot:
    """A share of the loopback network, ours until this process ends."""

    def __init__(self) -> None:
        self._held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        busy = _busy()
        self.number = next((n for n in range(SLOTS) if n not in busy and self._take(n)), -1)
        if self.number < 0:
            self._held.close()
            raise NoAddress(f"not started: {SLOTS} pocket clusters run on this machine already")
        self._synthetic = iter(range(1, SYNTHETIC_MAX))
        self._pods: dict[str, set[int]] = {}
        self._last: dict[str, int] = {}

    def _take(self, n: int) -> bool:
        # A name that begins with a null byte is no file, and is free as soon as its holder is gone.
        with contextlib.suppress(OSError):
            self._held.bind(f"\0chaos-runner-pocket-{n}")
            return True
        return False

    def close(self) -> None:
        """The slot is free for others."""
        self._held.close()

    def node(self, n: int) -> str:
        """The address of the nth node."""
        return f"127.77.{self.number * WIDTH + n}.1"

    def pod(self, n: int) -> str:
        """A free address for a pod of the nth node; the one that was given back last is given out last."""
        return self._next(f"127.77.{self.number * WIDTH + n}")

    def service(self, taken: set[str]) -> str:
        """An address for a Service that is none of those; it is not remembered."""
        for n in range(WIDTH):
            for host in HOSTS:
                address = f"127.78.{self.number * WIDTH + n}.{host}"
                if address not in taken:
                    return address
        raise NoAddress("no address is left for a Service")

    def synthetic(self) -> str:
        """An address for something that listens nowhere; a million of them come round again."""
        n = next(self._synthetic, None)
        if n is None:
            self._synthetic = iter(range(2, SYNTHETIC_MAX))
            n = 1
        return f"198.{18 + (n >> 16)}.{n >> 8 & 255}.{n & 255}"

    def give_back(self, address: str) -> None:
        """The address can be used again."""
        net, _, host = address.rpartition(".")
        self._pods.get(net, set()).discard(int(host))

    def _next(self, net: str) -> str:
        taken, last = self._pods.setdefault(net, set()), self._last.get(net, HOSTS.start - 1)
        for host in _round(last):
            if host not in taken:
                taken.add(host)
                self._last[net] = host
                return f"{net}.{host}"
        raise NoAddress(f"no address is left in {net}.0/24")


def _busy() -> set[int]:
    """Slots whose addresses somebody listens on, whoever that is: a pod must not be taken for another one."""
    found: set[int] = set()
    for line in LISTENERS.read_text().splitlines()[1:]:
        local, state = line.split()[1], line.split()[3]
        address = bytes.fromhex(local.partition(":")[0])[::-1]  # in the order of the machine; ours are little-endian
        if state == LISTEN and address[0] == 127 and address[1] in (77, 78):
            found.add(address[2] // WIDTH)
    return found


def _round(last: int) -> Iterator[int]:
    """All hosts, beginning after the last one that was given out."""
    count = len(HOSTS)
    return (HOSTS.start + (last + 1 - HOSTS.start + n) % count for n in range(count))
