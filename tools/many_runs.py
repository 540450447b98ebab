"""Fills a state folder with runs that the real engine made in virtual time, over a world in memory.

    python tools/many_runs.py 500 --state /tmp/many/.chaos-runner

Services, faults, verdicts, latencies and dates differ by the seed; nothing is measured and nothing is touched.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import random
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chaos_runner.api import Env, Reading, SampleStream, Unknown  # noqa: E402
from chaos_runner.expect import Clause  # noqa: E402
from chaos_runner.histogram import of  # noqa: E402
from chaos_runner.model import Experiment, FaultStep  # noqa: E402
from chaos_runner.plan import Refusal  # noqa: E402
from chaos_runner.records import ClauseCount, Sample  # noqa: E402
from chaos_runner.testing import FakeFault, FakeProbe, FakeWorld  # noqa: E402
from chaos_runner.testing.fakes import FakeStream  # noqa: E402
from tests.engine import kit  # noqa: E402

START = 1_767_225_600.0  # 2026-01-01
DAY = 86_400.0
RATE = 40
BASELINE_S = HOLD_S = 15.0
LIMIT_S = 0.5
USUAL, SLOW = 0.045, 0.12
ENVIRONMENTS = ("staging", "production")


class Kind(NamedTuple):
    """An experiment of the made-up company: its service, fault, and the share of runs that come out so."""

    service: str
    name: str
    fault: str
    aspect: str
    held: float
    deviated: float
    aborted: float


KINDS = (
    Kind("checkout", "checkout-survives-slow-payments", "toxic", "toxic:downstream:latency", 0.8, 0.08, 0.06),
    Kind("checkout", "checkout-without-payments", "proxy_down", "enabled", 0.6, 0.2, 0.15),
    Kind("catalog", "catalog-hangs", "toxic", "toxic:downstream:timeout", 0.9, 0.05, 0.02),
    Kind("catalog", "catalog-loses-a-pod", "pod_kill", "running", 0.85, 0.05, 0.05),
    Kind("search", "search-half-fails", "http_error", "toxic:http_error", 0.5, 0.3, 0.15),
    Kind("search", "search-starves", "toxic", "toxic:downstream:bandwidth", 0.7, 0.1, 0.1),
    Kind("mail", "mail-process-dies", "process_kill", "running", 0.95, 0.02, 0.01),
    Kind("gateway", "gateway-node-drained", "node_drain", "unschedulable", 0.75, 0.1, 0.05),
)


class Timed(FakeProbe, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A FakeProbe whose requests have latencies, drawn anew for each tick."""

    @contextlib.asynccontextmanager
    async def stream(
        self, env: Env, check: str, clauses: tuple[Clause, ...], t0_ns: int
    ) -> AsyncIterator[SampleStream]:
        """Samples of every whole second since t0."""
        yield TimedStream(self, FakeWorld.of(env), check, clauses, t0_ns / 1e9)


class TimedStream(FakeStream):
    """Ticks with a histogram; `success` and `p95` count the requests one by one."""

    def _sample(self, n: int) -> Sample:
        said = self._world.reading(self._probe.name, self._t0 + n)
        if isinstance(said, Unknown):
            return super()._sample(n)
        chance = random.Random(f"{self._world.seed} {n}")  # type: ignore[attr-defined]
        share, median = float(said.values["failed"] or 0), said.latency_s or USUAL
        failed = sum(chance.random() < share for _ in range(RATE))
        latencies = [median * math.exp(chance.gauss(0.0, 0.3)) for _ in range(RATE)]
        slow = sum(one > LIMIT_S for one in latencies)
        counts = (ClauseCount(0, RATE - failed, failed, 0), ClauseCount(1, RATE - slow, slow, 0))
        return Sample(self._check, n, counts, histogram=of(latencies), scheduled=RATE, errors=failed)


def faults() -> dict[str, Any]:
    """The kinds that the made-up experiments use: all of them FakeFaults under another name."""
    made = {}
    for name in sorted({one.fault for one in KINDS}):
        made[name] = type(name, (FakeFault,), {"kind": name, "__annotations__": {"kind": ClassVar[str]}},
                          frozen=True, forbid_unknown_fields=True, kw_only=True)  # fmt: skip
    return made


def experiment(kind: Kind, rate: float) -> Experiment:
    """One of the made-up experiments."""
    step = FaultStep(fault=kind.fault, target={"name": "one"}, with_={"place": kind.aspect}, for_=HOLD_S)
    title = kind.name.replace("-", " ").capitalize()
    steady = {"users": kit.check("success >= 95%", f"p95 <= {LIMIT_S * 1000:.0f}ms", rate=rate)}
    return msgspec.structs.replace(
        kit.experiment(step, steady_state=steady, baseline=BASELINE_S),
        name=kind.name,
        title=title,
        service=kind.service,
        hypothesis=f"{title}, and nobody notices",
    )


def scripted(kind: Kind, chance: random.Random, rig: kit.Rig) -> None:
    """How the world fares in one run."""
    drawn = chance.random()
    median = SLOW * math.exp(chance.gauss(0.0, 0.1))
    if drawn < kind.held:
        bad: tuple[float, float] | None = (0.004, median)
    elif drawn < kind.held + kind.deviated:
        bad = (0.085, median)
    elif drawn < kind.held + kind.deviated + kind.aborted:
        bad = (0.6, 1.5)
    else:
        bad = None
    refused = bad is None and chance.random() < 0.5

    def reading(_name: str, _t: float) -> Reading | Unknown:
        if refused:
            return Reading({"success": False, "value": 0.0, "failed": 0.5}, latency_s=USUAL)
        if bad is None and rig.world.broken:
            return Unknown("no answer from the load worker")
        share, latency = bad if bad is not None and rig.world.broken else (0.002, USUAL)
        return Reading({"success": True, "value": 1.0, "failed": share}, latency_s=latency)

    rig.world.reading = reading


def fill(state: Path, count: int, said: Callable[[int], None] = lambda _n: None, seed: int = 1, first: int = 0) -> None:
    """Adds runs `first` to `first + count`: the same arguments give the same runs."""
    rig = kit.Rig(state)
    rig.kinds, rig.probes = faults(), {"fake": Timed}
    rig.on_entry = lambda _entry: None
    rig.on_show = lambda _status: None
    for n in range(first, first + count):
        chance = random.Random(f"{seed} {n}")
        kind = KINDS[n % len(KINDS)]
        rig.wall = START + n * DAY / 16 + chance.random() * 3000
        rig.run_id = f"{kind.name[:12]}-{n:05}"
        rig.environment = ENVIRONMENTS[n // len(KINDS) % 2]
        rig.world.seed = rig.run_id  # type: ignore[attr-defined]
        scripted(kind, chance, rig)
        rate = 40.0 if n < 0.6 * count or kind.service != "catalog" else 41.0
        with contextlib.suppress(Refusal):
            rig.run(experiment(kind, rate))
        rig.log.clear()
        rig.world.asked.clear()
        rig.after.clear()
        said(n)
    rig.close()


def main() -> None:
    """Fills the folder."""
    asked = argparse.ArgumentParser(description="Fill a state folder with runs made in virtual time.")
    asked.add_argument("count", type=int)
    asked.add_argument("--state", type=Path, required=True)
    asked.add_argument("--first", type=int, default=0)
    told = asked.parse_args()
    fill(told.state, told.count, first=told.first)
    print(told.state)


if __name__ == "__main__":
    main()
