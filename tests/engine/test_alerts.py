"""Whole runs that name alerts: the source is made up, the engine, the judge and the store are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from chaos_runner.alerts import Alert, Heard, State
from chaos_runner.api import Doubt, Env
from chaos_runner.model import Alerts, ExpectedAlert
from chaos_runner.plan import Refusal
from chaos_runner.records import AlertSeen, AlertsUnheard, FaultInjected, RunEnded
from tests.engine.kit import WALL, Rig, experiment, harm, travels

SLOW = Alerts(expect=(ExpectedAlert(name="Slow", within=15.0),))
LOSS = Alerts(forbid=("Loss",))


class Pager:
    """A source of alerts: each fires from one second to another; it can be silent for a while, or hang."""

    def __init__(self) -> None:
        self.firing: list[tuple[str, float, float, State]] = []
        self.silent = (1e9, 1e9)
        self.hangs = (1e9, 1e9)
        self.reads = 0

    def fires(self, name: str, since: float, until: float = 1e9, state: State = "firing") -> None:
        self.firing.append((name, since, until, state))

    async def heard(self, _env: Env) -> Heard:
        self.reads += 1
        t = anyio.current_time()
        if self.hangs[0] <= t < self.hangs[1]:
            await anyio.sleep(3600)
        if self.silent[0] <= t < self.silent[1]:
            raise Doubt("no answer within 3.5 s")
        always = Alert({"alertname": "Watchdog"}, "firing", WALL, heard_at=WALL + t)
        named = [
            Alert({"alertname": name}, state, WALL + since, fired_at=WALL + since, heard_at=WALL + t)
            for name, since, until, state in self.firing
            if since <= t < until
        ]
        return Heard((always, *named), WALL + t)


@pytest.fixture
def pager() -> Pager:
    return Pager()


@pytest.fixture
def rig(tmp_path: Path, pager: Pager) -> Iterator[Rig]:
    made = Rig(tmp_path, "one")
    made.alerts = pager
    made.well()
    yield made
    made.close()


def test_an_alert_that_fires_in_time_is_part_of_a_held_run(rig: Rig, pager: Pager) -> None:
    pager.fires("Slow", 12.0, 25.0)

    outcome = rig.run(experiment(harm(), alerts=SLOW))

    assert (outcome.finding, outcome.stopped_by) == ("HELD", "nothing")
    assert "alert Slow: fires within 15s: Slow fired" in outcome.why
    assert rig.records(AlertSeen)[0].name == "Slow"
    (ended,) = rig.records(RunEnded)
    assert [one.clause for one in ended.clauses] == ["success >= 90%", "fires within 15s"]


def test_an_alert_that_does_not_fire_deviates_once_its_time_is_over(rig: Rig, pager: Pager) -> None:
    outcome = rig.run(experiment(harm(for_=5.0), alerts=SLOW))

    assert outcome.finding == "DEVIATED"
    assert "did not fire within 15s" in outcome.why
    injected = next(e.t for e in rig.entries if isinstance(e.record, FaultInjected))
    assert rig.entries[-1].t >= injected + 15.0  # the fault was gone long before; its time was not
    assert not rig.harmed


def test_listening_ends_with_the_last_expected_alert(rig: Rig, pager: Pager) -> None:
    pager.fires("Slow", 9.0)

    rig.run(experiment(harm(for_=5.0), alerts=Alerts(expect=(ExpectedAlert(name="Slow", within=600.0),))))

    assert rig.entries[-1].t < 60.0


def test_an_alert_that_was_firing_before_the_fault_deviates(rig: Rig, pager: Pager) -> None:
    pager.fires("Slow", -100.0)

    outcome = rig.run(experiment(harm(), alerts=SLOW))

    assert outcome.finding == "DEVIATED"
    assert "was firing before the fault" in outcome.why


@pytest.mark.parametrize("how", ["silent", "hangs"])
def test_a_source_that_falls_silent_makes_the_finding_unknown(rig: Rig, pager: Pager, how: str) -> None:
    setattr(pager, how, (9.0, 1e9))

    outcome = rig.run(experiment(harm(), alerts=SLOW))

    assert (outcome.finding, outcome.stopped_by) == ("UNKNOWN", "nothing")
    assert "nobody can tell that it did not fire" in outcome.why
    assert len(rig.records(AlertsUnheard)) == 1
    assert not rig.harmed


def test_a_forbidden_alert_deviates(rig: Rig, pager: Pager) -> None:
    pager.fires("Loss", 12.0, 14.0)

    outcome = rig.run(experiment(harm(), alerts=LOSS))

    assert outcome.finding == "DEVIATED"
    assert "Loss fired" in outcome.why


@pytest.mark.parametrize("how", ["forbidden", "silent", "deaf"])
def test_nothing_is_injected_into_a_system_that_is_alarmed_or_that_nobody_hears(
    rig: Rig, pager: Pager, how: str
) -> None:
    if how == "forbidden":
        pager.fires("Loss", -3.0)
    if how == "silent":
        pager.silent = (0.0, 1e9)
    if how == "deaf":
        rig.alerts = None

    with travels(Refusal, "not started"):
        rig.run(experiment(harm(), alerts=LOSS))

    assert not [line for line in rig.log if line.startswith("inject")]
    assert not rig.harmed


def test_an_aborted_run_does_not_wait_for_alerts(rig: Rig, pager: Pager) -> None:
    rig.at(9.0, lambda: rig.interrupts.ask("somebody"))

    outcome = rig.run(experiment(harm(for_=60.0), alerts=Alerts(expect=(ExpectedAlert(name="Slow", within=900.0),))))

    assert outcome.stopped_by == "person"
    assert "had not fired when the run ended" in outcome.why
    assert rig.entries[-1].t < 60.0


def test_nothing_of_alerts_is_written_between_a_decision_and_its_revert(rig: Rig, pager: Pager) -> None:
    rig.at(9.5, lambda: rig.interrupts.ask("somebody"))
    pager.fires("Slow", 9.6)

    rig.run(experiment(harm(for_=60.0), alerts=SLOW))

    reverts = [n for n, line in enumerate(rig.log) if line.startswith("revert")]
    seen = [n for n, line in enumerate(rig.log) if "AlertSeen" in line]
    assert seen
    assert min(seen) > min(reverts)


def test_a_run_without_alerts_reads_no_source(rig: Rig, pager: Pager) -> None:
    assert rig.run(experiment(harm())).finding == "HELD"
    assert pager.reads == 0


class Late(Pager):
    """Hears something new only just after somebody has asked the run to stop, so many turns of the loop later."""

    def __init__(self, rig: Rig, turns: int) -> None:
        super().__init__()
        self.rig, self.turns, self.asked = rig, turns, anyio.Event()
        self.between = False

    def ask(self) -> None:
        self.rig.interrupts.ask("somebody")
        self.asked.set()

    async def heard(self, env: Env) -> Heard:
        if anyio.current_time() >= 8.0 and not self.asked.is_set():
            await self.asked.wait()
            for _ in range(self.turns):
                await anyio.lowlevel.checkpoint()
            decided = self.rig.engine.course.loop.stop is not None
            self.between = decided and "revert fake/one" not in self.rig.log
        return await super().heard(env)


def test_nothing_that_is_heard_between_the_decision_and_the_first_revert_request_is_written_there(
    tmp_path: Path,
) -> None:
    between = 0
    for turns in range(12):
        rig = Rig(tmp_path / str(turns), "one")
        rig.alerts = pager = Late(rig, turns)
        rig.well()
        pager.fires("Slow", 8.5)
        rig.at(9.0, pager.ask)
        try:
            rig.run(experiment(harm(for_=60.0), alerts=SLOW))

            heard = next(n for n, line in enumerate(rig.log) if line == "append AlertSeen")
            between += pager.between
            assert not pager.between or rig.index("revert fake/one") < heard, turns
        finally:
            rig.close()

    assert between, "no turn fell into the time that this is about"
