"""Which ready pods stand behind which Service address, as the network process is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chaos_runner import wire
from chaos_runner.pocket.cluster import kinds, objects
from chaos_runner.pocket.cluster.control.endpoints import SERVICE
from chaos_runner.pocket.cluster.control.hands import Hands
from chaos_runner.pocket.cluster.machine.messages import Behind
from chaos_runner.pocket.cluster.objects import Obj, at
from chaos_runner.pocket.cluster.store import Change

ALL = "all"
REAL_PODS = "127.77."  # a synthetic pod listens nowhere


class Balance:
    """A controller with a single key: everything is told anew when anything changes."""

    def __init__(self, hands: Hands, tell: Callable[[wire.Message], None]) -> None:
        self._hands = hands
        self._tell = tell
        self._told: dict[str, tuple[str, ...]] | None = None

    def concerns(self, change: Change) -> Iterable[str]:
        """Services and their slices."""
        if change.kind in (kinds.SERVICES, kinds.SLICES):
            yield ALL

    def reconcile(self, key: str) -> float | None:
        """Tells the network, if there is news."""
        behind = {
            address: pods for service in self._hands.store.all(kinds.SERVICES) for address, pods in self._of(service)
        }
        if behind != self._told:
            self._told = behind
            self._tell(Behind(behind))
        return None

    def _of(self, service: Obj) -> Iterable[tuple[str, tuple[str, ...]]]:
        address = at(service, "spec", "clusterIP")
        if address in (None, "None", ""):
            return
        slices = [
            one
            for one in self._hands.store.all(kinds.SLICES, objects.namespace(service))
            if objects.labels(one).get(SERVICE) == objects.name(service)
        ]
        for port in at(service, "spec", "ports") or ():
            pods = tuple(pod for one in slices for pod in _ready(one, port.get("name", "")))
            yield f"{address}:{port['port']}", pods


def _ready(slice_: Obj, port_name: str) -> Iterable[str]:
    number = next((port["port"] for port in slice_["ports"] if port.get("name", "") == port_name), None)
    for one in slice_["endpoints"] if number is not None else ():
        if one["conditions"]["ready"]:
            yield from (f"{address}:{number}" for address in one["addresses"] if address.startswith(REAL_PODS))
