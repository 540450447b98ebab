"""A bug, ours or a plug-in's, costs the run and never the undo: everything is undone first, then the error travels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from chaos_runner.api import Env, Reading
from chaos_runner.records import BaselineHeld, Entry, RunEnded, Sample
from chaos_runner.testing import FakeFault, FakeProbe, Reply
from chaos_runner.ticks import Status
from tests.engine.kit import Rig, check, experiment, harm, travels

BUG = Reply(error="bug", why="oh dear")


def undone(rig: Rig) -> None:
    assert rig.world.count("inject") == 1
    assert not rig.harmed
    assert set(rig.states()) <= {"CLOSED", "WATCHING"}
    ended = rig.records(RunEnded)
    assert [end.outcome.stopped_by for end in ended] == ["bug"]
    assert rig.ledger.run("r1").headline == "ABORTED"
    assert rig.log[-1].startswith("bye")


@pytest.mark.parametrize("operation", ["inject", "observe", "effect", "revert", "lease"])
def test_in_a_fault(make: Callable[..., Rig], operation: str) -> None:
    rig = make(leases=True)
    rig.well()
    if operation == "lease":
        rig.world.will("lease", Reply(), Reply(), BUG)
    else:
        rig.world.will(operation, BUG)
    with travels(RuntimeError, "oh dear"):
        rig.run(experiment())

    undone(rig)


def test_in_a_probe(rig: Rig) -> None:
    def reading(_name: str, t: float) -> Reading:
        if t > 10:
            raise RuntimeError("oh dear")
        return Reading({"success": True, "value": 1.0})

    rig.world.reading = reading
    checks = {"shop": check("success >= 90%", rate=20.0), "polled": check("value >= 1")}
    with travels(RuntimeError, "oh dear"):
        rig.run(experiment(steady_state=checks))

    undone(rig)


def test_in_a_probe_that_is_polled(rig: Rig) -> None:
    def reading(name: str, t: float) -> Reading:
        if name == "polled" and t > 10:
            raise ZeroDivisionError("oh dear")
        return Reading({"success": True, "value": 1.0})

    rig.world.reading = reading
    with travels(ZeroDivisionError, "oh dear"):
        rig.run(experiment(steady_state={"polled": check("value >= 1", name="polled")}))

    undone(rig)


def test_in_the_judge(rig: Rig) -> None:
    class Poisoned(FakeProbe, frozen=True, kw_only=True):
        kind: ClassVar[str] = "fake"

        def stream(self, env: Env, check: str, clauses: Any, t0_ns: int) -> Any:
            made = FakeProbe.stream(self, env, check, clauses, t0_ns)
            return _Poison(made)

    class _Poison:
        def __init__(self, made: Any) -> None:
            self._made = made

        async def __aenter__(self) -> Any:
            stream = await self._made.__aenter__()
            take = stream.take

            def poisoned() -> tuple[Sample, ...]:
                fresh = take()
                wrong: Any = "not counts"
                return (*fresh, Sample(check="shop", tick=9, counts=wrong)) if any(s.tick > 8 for s in fresh) else fresh

            stream.take = poisoned
            return stream

        async def __aexit__(self, *error: object) -> None:
            await self._made.__aexit__(*error)

    rig.well()
    rig.probes = {"fake": Poisoned}
    with travels(AttributeError):
        rig.run(experiment())

    undone(rig)


@pytest.mark.parametrize("when", [8.0, 17.0])
def test_in_whoever_watches_the_ticks(rig: Rig, when: float) -> None:
    rig.well()

    def show(status: Status) -> None:
        if status.tick >= when:
            raise BrokenPipeError("oh dear")

    rig.on_show = show
    with travels(BrokenPipeError, "oh dear"):
        rig.run(experiment())

    undone(rig)


SLOW_REVERT = Reply(lands=False, error="doubt", wait_s=1.5)


def test_in_whoever_watches_while_a_revert_is_under_way(rig: Rig) -> None:
    rig.well()
    rig.world.will("revert", SLOW_REVERT, SLOW_REVERT)

    def show(status: Status) -> None:
        if status.tick >= 18:
            raise BrokenPipeError("oh dear")

    rig.on_show = show
    with travels(BrokenPipeError, "oh dear"):
        rig.run(experiment())

    undone(rig)


def test_in_a_probe_while_a_revert_is_under_way(rig: Rig) -> None:
    rig.world.will("revert", SLOW_REVERT, SLOW_REVERT)

    def reading(name: str, t: float) -> Reading:
        if t > 17.5:
            raise ZeroDivisionError("oh dear")
        return Reading({"success": True, "value": 1.0})

    rig.world.reading = reading
    with travels(ZeroDivisionError):
        rig.run(experiment(steady_state={"polled": check("value >= 1", name="polled")}))

    undone(rig)


@pytest.mark.parametrize("name", ["IntentCommitted", "FaultInjected", "UndoBegan", "FaultReverted", "AbortTripped"])
def test_in_whoever_listens_to_the_records(rig: Rig, name: str) -> None:
    def listen(entry: Entry) -> None:
        if type(entry.record).__name__ == name:
            raise BrokenPipeError("oh dear")

    rig.on_entry = listen
    with travels(BrokenPipeError, "oh dear"):
        rig.run(experiment())

    assert rig.world.count("inject") == 1
    assert not rig.harmed
    assert rig.states() == ["CLOSED"]


def test_in_a_listener_before_the_fault_nothing_is_sent_any_more(rig: Rig) -> None:
    def listen(entry: Entry) -> None:
        if isinstance(entry.record, BaselineHeld):
            raise BrokenPipeError("oh dear")

    rig.on_entry = listen
    with travels(BrokenPipeError, "oh dear"):
        rig.run(experiment())

    assert rig.world.count("inject") == 0


def test_in_a_listener_that_never_hears_well_again(rig: Rig) -> None:
    def listen(entry: Entry) -> None:
        raise BrokenPipeError("oh dear")

    rig.on_entry = listen
    with travels(BrokenPipeError, "oh dear"):
        rig.run(experiment())

    assert not rig.harmed


def test_in_shouting(rig: Rig) -> None:
    rig.world.always("revert", Reply(lands=False, error="doubt"))

    class Mute(list[str]):
        def append(self, why: str) -> None:
            raise BrokenPipeError(why)

    rig.shouts = Mute()
    with travels(BrokenPipeError):
        rig.run(experiment())

    assert rig.states() == ["STUCK"]
    assert rig.ledger.run("r1").headline == "NOT_REVERTED"


def test_in_an_injection_that_was_cut_off_the_fault_is_fenced(rig: Rig) -> None:
    """A probe's bug cancels the injection while its request is under way: it may land after the undo."""
    rig.world.will("inject", Reply(wait_s=2.0, late_s=1.0))

    def reading(name: str, t: float) -> Reading:
        if t > 8:
            raise ZeroDivisionError("oh dear")
        return Reading({"success": True, "value": 1.0})

    rig.world.reading = reading
    with travels(ZeroDivisionError):
        rig.run(experiment(steady_state={"polled": check("value >= 1", name="polled")}))

    assert rig.states() == ["WATCHING"]
    assert rig.world.fences
    assert not rig.harmed


def test_a_fault_whose_fields_do_not_fit_touches_nothing(rig: Rig) -> None:
    class Other(FakeFault, frozen=True, kw_only=True):
        pass

    rig.well()
    step = harm()
    kinds = dict(rig.kinds)

    def show(status: Status) -> None:
        rig.kinds.pop("fake", None) if status.tick > 3 else None

    rig.on_show = show
    with travels(KeyError):
        rig.run(experiment(step))

    assert rig.world.count("prepare") == 0
    assert kinds


def test_what_is_left_is_named_beside_the_bug(rig: Rig) -> None:
    def poisoned(status: Status) -> None:
        if status.tick > 10:
            raise RuntimeError("oh dear")

    rig.well()
    rig.world.always("revert", Reply(lands=False, error="doubt", why="no route"))
    rig.on_show = poisoned
    with travels(RuntimeError, "oh dear"):
        rig.run(experiment())

    ended = rig.records(RunEnded)[0]
    assert rig.ledger.run("r1").headline == "NOT_REVERTED"
    assert "fake on fake/one (r1.0): no route" in ended.outcome.why
    assert "oh dear" in ended.outcome.why
