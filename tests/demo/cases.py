"""What is tried in the demo environment: every bundled experiment on both shops, without its fault, and past the proxy.

The bundled files run with a shorter `baseline` and `for`; nothing else of them is changed. tools/soak_demo.py runs a
whole one.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from chaos_runner import files
from chaos_runner.pocket import world
from tests import again
from tests.demo import observer, trial

# With 10 and 12 s one tick may be lost to a busy machine; a shorter baseline or window asks for every single one.
SHORT = {"baseline": "10s", "for": "12s"}
# The fragile shop fails once all four of its connections happened to be drawn: in 12 s that fails to come about once
# in 600 runs, in the 15 s of the file once in 4 000 (simulated).
# A node is silent for ten seconds before anybody does without it.
WHOLE_LENGTH = {"payments-flaky", "payments-node-silent"}
# Payments are two pods of a pocket cluster, as in the demo; for the others they are one process, as where no such
# cluster can be, which is cheaper.
OF_PODS = {"payments-pod-dies", "payments-pod-evicted", "payments-node-drained", "payments-scaled-down"}
IN_PODS = OF_PODS | {"slow-payments", "payments-paused", "payments-node-silent"}
ELSEWHERE = {"redis-slow"}  # needs a Redis: tests/real
NO_CONTRAST = {"payments-slow-close", "payments-slow-health"}  # the fragile shop holds as well, as its file says
# The fragile shop fails here as under payments-503, slow-catalog and payments-pod-dies; a trial takes 40 s, and those
# three are enough.
SEEN_ELSEWHERE = {"payments-429", "payments-500-after", "catalog-slow-but-healthy"}
SEEN_ELSEWHERE |= {"payments-pod-evicted", "payments-node-drained", "payments-retry-storm"}

PAST_THE_PROXY = """\
kind: experiment/v1
name: past-the-proxy
hypothesis: shoppers get answers while payments is slow, says a check that never passes the proxy
steady_state:
  shoppers:
    probe: http
    with: {service: payments, path: /healthz, rate: 40/s, timeout: 1s}
    expect: [success >= 99%, p95 <= 1s]
baseline: 10s
blast_radius: {at_once: 1, in_total: 1, max_duration: 60s}
method:
  - fault: toxic
    target: {proxy: payments}
    with: {type: latency, latency: 400ms, stream: downstream}
    for: 12s
recovery: {within: 30s}
"""


class Case(NamedTuple):
    """A name for a trial: `kind` is whole, harmless (without its fault), bypass or health."""

    kind: str
    name: str
    mode: str

    def __str__(self) -> str:
        return f"{self.name}-{self.mode}"


BUNDLED = sorted(path.stem for path in files.bundled().glob("*.yaml") if path.stem not in ELSEWHERE)
RESILIENT = [Case("whole", name, "resilient") for name in BUNDLED]
FRAGILE = [Case("whole", name, "fragile") for name in BUNDLED if name not in NO_CONTRAST | SEEN_ELSEWHERE]
BOTH_HOLD = [Case("whole", name, "fragile") for name in BUNDLED if name in NO_CONTRAST]
HARMLESS = [Case("harmless", "slow-payments", mode) for mode in ("fragile", "resilient")]
UNSEEN = [Case("bypass", "past-the-proxy", "fragile"), Case("health", "past-the-proxy", "fragile")]


class Shops:
    """Resilient shops that are used again, since they hold; a fragile one, or one of pods, is fresh each time."""

    def __init__(self) -> None:
        self._all: list[trial.World] = []
        self._free: queue.SimpleQueue[trial.World] = queue.SimpleQueue()

    @contextlib.contextmanager
    def lent(self) -> Iterator[world.World]:
        """A resilient shop that nobody else uses meanwhile."""
        try:
            one = self._free.get_nowait()
        except queue.Empty:
            one = trial.World("resilient")
            self._all.append(one)
        yield one.shop
        self._free.put(one)

    def end(self) -> list[str]:
        """What is left of them once they have ended."""
        for one in self._all:
            with one:
                pass
        return [left for one in self._all for left in one.left]


def go(case: Case, folder: Path, shops: Shops) -> trial.Seen:
    """Tries it, once more where it was not measured."""
    seen, why = again.once(
        lambda n: _go(case, folder / str(n), shops), lambda seen: (seen.code, f"{seen.why}\n{seen.said}")
    )
    return seen._replace(again=why)


def _go(case: Case, folder: Path, shops: Shops) -> trial.Seen:
    folder.mkdir()
    file, beside = _asked(case, folder)
    pods = case.name in IN_PODS
    if case.mode != "resilient" or pods:
        return trial.go(file, case.mode, folder, beside, pods=pods)
    with shops.lent() as shop:
        return trial.on(shop, file, folder, beside)


def _asked(case: Case, folder: Path) -> tuple[Path, trial.Beside | None]:
    bundled = files.bundled() / f"{case.name}.yaml"
    if case.kind == "whole":
        shorter = {} if case.name in WHOLE_LENGTH else SHORT
        return trial.short_copy(bundled, folder, shorter), None
    if case.kind == "harmless":
        return trial.without_fault(bundled, folder, {"baseline": SHORT["baseline"]}), None
    file = folder / f"{case.name}.yaml"
    file.write_text(PAST_THE_PROXY, encoding="utf-8")
    return file, health_check if case.kind == "health" else None


@contextlib.contextmanager
def health_check(shop: world.World) -> Iterator[None]:
    """Somebody else's health check, once a second through the proxy."""
    where = observer.get(shop.toxiproxy, "/proxies")["payments"]["listen"]
    enough, answers = threading.Event(), list[int]()

    def ask() -> None:
        while not enough.wait(1.0):
            observer.get(f"http://{where}", "/healthz")
            answers.append(1)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()
        assert len(answers) > 10, "the health check itself did not get through"
