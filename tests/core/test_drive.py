"""How commands are carried out: every await is bounded, what is not an answer is doubt, and bugs are kept for later."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

from chaos_runner import drive, lifecycle
from chaos_runner.api import Absent, Env
from chaos_runner.drive import COMING_OUT_S, GOING_IN_S, Drive, JournalError
from chaos_runner.lifecycle import Life
from chaos_runner.orphans import cleanup
from chaos_runner.records import AnyRecord, FaultReverted, IntentCommitted
from chaos_runner.store import FaultRow
from chaos_runner.testing import HANGS, LOST_REPLY, LOST_REQUEST, FakeFault, FakeWorld, Reply, late
from tests.engine.kit import virtually


class FakeJournal:
    """A journal in memory; `full` refuses intents."""

    def __init__(self, full: bool = False) -> None:
        self.full = full
        self.states: list[str] = []
        self.records: list[AnyRecord] = []

    def now(self) -> float:
        return anyio.current_time()

    def save_intent(self, row: FaultRow, record: IntentCommitted) -> None:
        if self.full:
            raise JournalError("full")
        self.states.append("INTENT")

    def save_state(self, fault: str, state: lifecycle.State, record: AnyRecord | None, t: float) -> None:
        self.states.append(state)
        if record is not None:
            self.records.append(record)


class Case:
    def __init__(self, full: bool = False) -> None:
        self.world = FakeWorld("one")
        self.env: Env = self.world.env()
        self.journal = FakeJournal(full)

    async def drive(self) -> Drive:
        fault = FakeFault()
        target = self.world.targets[0]
        undo = await fault.prepare(self.env, target, "cx.r1.0.1")
        row = FaultRow(
            id="r1.0", run="r1", n=0, epoch=1, step=0, kind="fake", version=1, target=target, aspect="harm",
            undo=msgspec.to_builtins(undo),
        )  # fmt: skip
        return Drive(row, fault, self.env, self.journal)


def test_without_a_durable_intent_nothing_is_sent() -> None:
    case = Case(full=True)

    async def go() -> Life:
        return await (await case.drive()).inject()

    assert virtually(go).state == "PLANNED"
    assert case.world.count("inject") == 0


@pytest.mark.parametrize("operation", ["inject", "observe"])
def test_going_in_ends_in_doubt_after_its_limit(operation: str) -> None:
    case = Case()

    async def go() -> tuple[str, float]:
        case.world.will(operation, HANGS)
        life = await (await case.drive()).inject()
        return life.state, anyio.current_time()

    state, t = virtually(go)
    assert state == "UNKNOWN"
    assert t == pytest.approx(GOING_IN_S)


@pytest.mark.parametrize("operation", ["revert", "observe"])
def test_coming_out_tries_again_after_its_limit(operation: str) -> None:
    case = Case()

    async def go() -> float:
        one = await case.drive()
        await one.inject()
        case.world.will(operation, HANGS)
        await one.undo()
        return anyio.current_time()

    assert COMING_OUT_S < virtually(go) < COMING_OUT_S + 1
    assert not case.world.harm


def test_the_journal_is_told_only_when_asked_and_in_the_order_and_times_of_what_happened() -> None:
    case = Case()

    async def go() -> None:
        one = await case.drive()
        await one.inject()
        told = len(case.journal.states)
        await one.undo()
        assert len(case.journal.states) == told
        one.tell()

    virtually(go)
    assert case.journal.states == ["INTENT", "INJECTED", "UNDOING", "UNDONE", "CLOSED"]


def test_while_it_retries_the_journal_is_told_what_failed() -> None:
    case = Case()

    async def go() -> None:
        one = await case.drive()
        await one.inject()
        case.world.always("revert", LOST_REQUEST)
        assert (await one.undo(patience_s=10.0)).state == "STUCK"
        one.tell()

    virtually(go)
    assert case.journal.states.count("UNDOING") >= 3
    assert case.journal.states[-1] == "STUCK"


def test_an_undo_that_was_cut_off_is_done_again_with_one_beginning() -> None:
    case = Case()

    async def go() -> None:
        one = await case.drive()
        await one.inject()
        case.world.will("revert", HANGS)
        with anyio.move_on_after(2):
            await one.undo()
        await one.undo()
        one.tell()

    virtually(go)
    assert case.journal.states[-1] == "CLOSED"
    assert [type(record).__name__ for record in case.journal.records].count("UndoBegan") == 1
    assert not case.world.harm


def test_an_injection_that_was_cut_off_is_fenced() -> None:
    case = Case()

    async def go() -> None:
        case.world.will("inject", Reply(wait_s=5.0, late_s=5.0))
        one = await case.drive()
        with anyio.move_on_after(2):
            await one.inject()
        assert (await one.undo()).state == "WATCHING"
        await anyio.sleep(20)
        case.world.settle()

    virtually(go)
    assert not case.world.harm


def test_what_is_watched_is_not_closed_before_its_time() -> None:
    case = Case()

    async def go() -> list[str]:
        case.world.will("inject", LOST_REPLY)
        one = await case.drive()
        await one.inject()
        states = [(await one.undo()).state, (await one.undo()).state]
        begun = anyio.current_time()
        states.append((await one.undo(keep_on=True)).state)
        assert anyio.current_time() - begun >= lifecycle.WATCH_S
        return states

    assert virtually(go) == ["WATCHING", "WATCHING", "CLOSED"]
    assert not case.world.fences


def test_what_lands_before_the_fence_is_taken_back() -> None:
    case = Case()

    async def go() -> str:
        case.world.will("inject", late(0.0001))
        one = await case.drive()
        await one.inject()
        case.world.will("revert", Reply(wait_s=0.001))
        return (await one.undo(keep_on=True)).state

    assert virtually(go) == "CLOSED"
    assert not case.world.harm


@pytest.mark.parametrize("operation", ["inject", "observe", "revert", "fence"])
def test_a_bug_of_the_fault_is_doubt_and_is_kept(operation: str) -> None:
    case = Case()

    async def go() -> Drive:
        if operation == "fence":
            case.world.will("inject", LOST_REPLY)
        case.world.will(operation, Reply(error="bug", why="oh dear"))
        one = await case.drive()
        await one.inject()
        await one.undo()
        return one

    one = virtually(go)
    assert str(one.bug) == "oh dear"
    assert one.life.state in {"CLOSED", "WATCHING"}
    assert not case.world.harm


def test_stuck_is_said_once_and_tried_on_for_whoever_stays() -> None:
    case = Case()
    said: list[str] = []

    async def go() -> str:
        one = await case.drive()
        one._shout = said.append
        await one.inject()
        case.world.always("revert", LOST_REQUEST)
        async with anyio.create_task_group() as group:

            async def heal() -> None:
                await anyio.sleep(300)
                case.world.always("revert", Reply())

            group.start_soon(heal)
            return (await one.undo(patience_s=drive.PATIENCE_S, keep_on=True)).state

    assert virtually(go) == "CLOSED"
    assert said == ["not reverted: fake/one: no reply"]


def test_an_undo_that_nobody_can_read_back_is_not_called_verified() -> None:
    case = Case()

    async def go() -> Drive:
        drive = await case.drive()
        await drive.inject()
        able: Any = drive.fault
        drive.fault = Unread(able)
        await drive.undo(keep_on=True)
        drive.tell()
        return drive

    one = virtually(go)
    assert one.life.state == "CLOSED"
    [reverted] = [record for record in case.journal.records if isinstance(record, FaultReverted)]
    assert reverted.verified is False
    assert cleanup([one], left=False) == "UNVERIFIED"


class Unread:
    """A fault whose undo nothing can read back."""

    def __init__(self, fault: Any) -> None:
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fault, name)

    async def observe(self, env: Env, undo: Any) -> Absent:
        return Absent(verified=False)


def test_a_fault_may_take_longer_for_its_undo_than_a_request() -> None:
    case = Case()

    class Long(Unread):
        def undo_limit_s(self, undo: Any) -> float:
            return 3 * COMING_OUT_S

        async def revert(self, env: Env, undo: Any) -> None:
            await anyio.sleep(2 * COMING_OUT_S)

    async def go() -> tuple[str, float]:
        drive = await case.drive()
        await drive.inject()
        able: Any = drive.fault
        drive.fault = Long(able)
        await drive.undo(keep_on=True)
        return drive.life.state, anyio.current_time()

    assert virtually(go) == ("CLOSED", pytest.approx(2 * COMING_OUT_S))
