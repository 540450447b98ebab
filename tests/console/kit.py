"""A game day in a real store, and a run that goes on in it, for tests of what follows them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from chaos_runner import histogram, store
from chaos_runner.environment import Environment
from chaos_runner.expect import clause
from chaos_runner.gameday.facts import AnyFact, DayEnded, DayStarted
from chaos_runner.gameday.scenario import Scenario
from chaos_runner.model import BlastRadius, Check, Experiment, FaultStep, Recovery
from chaos_runner.plan import Plan, PlannedFault
from chaos_runner.records import ClauseCount, FaultInjected, IntentCommitted, PhaseBegan, RunStarted, Sample, Target
from chaos_runner.store import Owner, SqliteStore, Stamped
from tests.gameday.kit import scenario

DAY = "day-20261122-140000-a1b2"
RUN = "20261122-140200-beef"
ESCAPE = "\x1b[31mred\x1b]0;title\x07\x00\u202e\u2028<b>[bold]x[/bold]\r\n#"
LIMIT_S = 30.0


class World:
    """A day that is open; `alive` owns it, so that nobody takes its conductor for dead."""

    def __init__(self, folder: Path, of: Scenario | None = None, owner: Owner | None = None) -> None:
        self.state = folder / "state"
        self.store: SqliteStore = store.open_store(self.state, allow_tmpfs=True)
        started = DayStarted(
            scenario=msgspec.to_builtins(of or scenario()), file="scenario.yaml", files={}, versions={}, actor="fay"
        )
        self.epoch = self.store.begin_day(
            DAY, scenario="payments-outage", environment="demo", owner=owner or Owner.mine(), fact=started
        )

    def say(self, *facts: AnyFact) -> None:
        for fact in facts:
            self.store.say(DAY, fact)

    def end(self) -> None:
        self.store.end_day(DAY, self.epoch, DayEnded(how="finished"))

    def facts(self) -> list[AnyFact]:
        return [entry.fact for entry in self.store.facts(DAY)]

    def begin_run(self, run: str = RUN) -> float:
        """A run whose baseline began; when it began."""
        at = time.time()
        self.store.begin_run(
            run,
            environment="demo",
            experiment="x",
            owner=Owner.mine(),
            connections={},
            deadline_at=at + 60,
            runs_at_once=9,
            record=Stamped(RunStarted(plan=msgspec.to_builtins(plan()), versions={}, actor="me"), at, 0.0),
        )
        self.store.append(run, PhaseBegan("baseline"), at, 0.1)
        return at

    def inject(self, t: float, run: str = RUN) -> None:
        """A fault that is open from `t` on."""
        target = Target(key="proxy/payments")
        self.store.append(run, PhaseBegan("fault", 0), time.time(), t - 0.2)
        self.store.append(run, IntentCommitted(f"{run}.0", target, "toxic", 0, "a", {}), time.time(), t - 0.1)
        self.store.append(run, FaultInjected(f"{run}.0", 0.1), time.time(), t)

    def measure(self, tick: int, good: int, bad: int, run: str = RUN) -> None:
        self.store.add_samples(run, [sample(tick, good, bad)])


def plan() -> Plan:
    check = Check(
        probe="http",
        title="Shoppers can check out",
        with_={"url": "http://127.0.0.1:9", "rate": 20},
        expect=(clause("success >= 99%"), clause("p95 <= 1s")),
    )
    experiment = Experiment(
        kind="experiment/v1",
        name="x",
        hypothesis="h",
        title="Checkout survives slow payments",
        steady_state={"shoppers": check},
        blast_radius=BlastRadius(),
        method=(FaultStep(fault="toxic", for_=30.0),),
        baseline=20.0,
        recovery=Recovery(within=40.0),
    )
    fault = PlannedFault(0, 0, 0, "", "toxic", 1, {}, Target(key="proxy/payments"), "a", 30.0, True)
    return Plan(experiment=experiment, environment="demo", connections=Environment(), seed=1, faults=(fault,))


def sample(tick: int, good: int, bad: int) -> Sample:
    counts = (ClauseCount(0, good, bad, 0), ClauseCount(1, good, bad, 0))
    return Sample("shoppers", tick, counts, histogram=((histogram.bucket(0.4), max(1, good)),))


def until(true: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    """Waits for something that comes soon."""
    ends = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.02)
