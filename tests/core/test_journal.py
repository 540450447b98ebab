"""Strict going in, patient coming out: what waits is written first, in order, and never without an end."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from chaos_runner.clock import Clock
from chaos_runner.drive import JournalError
from chaos_runner.journal import AGAIN_S, TRIES, RunJournal
from chaos_runner.records import Entry, FaultReverted, Noted, Outcome, RunEnded
from chaos_runner.store import Fenced, StoreError
from tests.engine.kit import virtually


class FakeStore:
    """Writes that succeed, or raise what is at hand."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.tried = 0
        self.trouble: dict[str, StoreError] = {}

    def _write(self, what: str) -> None:
        self.tried += 1
        for name, error in self.trouble.items():
            if name in what:
                raise error
        self.written.append(what)

    def append(self, run: str, record: Any, at: float, t: float, epoch: int) -> None:
        self._write(f"{record.text}@{t:g}" if isinstance(record, Noted) else type(record).__name__)

    def set_fault_state(self, fault: str, epoch: int, state: str, record: Any = None) -> None:
        self._write(f"{fault} {state}")

    def add_samples(self, run: str, samples: Any) -> None:
        self._write("samples")

    def commit_intent(self, row: Any, record: Any) -> None:
        self._write("intent")

    def end_run(self, run: str, epoch: int, word: str, *, record: Any, figures: Any) -> None:
        self._write(f"ended {word}")


def note(text: str) -> Noted:
    return Noted(who="me", text=text)


async def journal(store: FakeStore, heard: list[Entry] | None = None) -> RunJournal:
    return RunJournal(store, "r1", 1, Clock(), heard.append if heard is not None else None)  # type: ignore[arg-type]


FULL = {"": StoreError("full")}


def test_what_waits_is_written_first_and_with_its_own_time() -> None:
    store = FakeStore()

    async def go() -> None:
        one = await journal(store)
        store.trouble = FULL
        one.try_note(note("a"))
        await anyio.sleep(1)
        one.save_state("f", "UNDONE", FaultReverted(fault="f", gone_t=1.0), 1.0)
        store.trouble = {}
        await anyio.sleep(AGAIN_S)
        one.note(note("b"))
        assert one.trouble == []

    virtually(go)
    assert store.written == ["a@0", "f UNDONE", "b@3"]


@pytest.mark.parametrize("write", ["note", "save_intent", "add_samples"])
def test_nothing_new_is_begun_while_something_waits(write: str) -> None:
    store = FakeStore()

    async def go() -> None:
        one = await journal(store)
        store.trouble = {"a": StoreError("full")}
        one.try_note(note("a"))
        tried = store.tried
        arguments: dict[str, tuple[Any, ...]] = {
            "note": (note("b"),), "save_intent": (None, note("b")), "add_samples": ([],)
        }  # fmt: skip
        with pytest.raises(JournalError, match="full"):
            getattr(one, write)(*arguments[write])
        assert store.tried == tried, "a store that just failed is not asked again at once"

    virtually(go)
    assert store.written == []


def test_what_nobody_can_ever_write_does_not_hold_up_the_rest_for_ever() -> None:
    store = FakeStore()

    async def go() -> RunJournal:
        one = await journal(store)
        store.trouble = {"f UNDONE": StoreError("f is FORGOTTEN and cannot become UNDONE")}
        one.save_state("f", "UNDONE", None, 0.0)
        for _ in range(TRIES):
            await anyio.sleep(AGAIN_S)
            one.try_note(note("b"))
        return one

    assert virtually(go).trouble == ["not written: f UNDONE: f is FORGOTTEN and cannot become UNDONE"]
    assert len(store.written) == TRIES


def test_who_was_taken_over_waits_for_nothing() -> None:
    store = FakeStore()

    async def go() -> RunJournal:
        one = await journal(store)
        store.trouble = {"": Fenced("another owner")}
        one.try_note(note("a"))
        one.end(RunEnded(Outcome("UNKNOWN", "nothing", "CLEAN")), {})
        return one

    assert virtually(go).trouble == ["not written: Noted: another owner", "not written: RunEnded: another owner"]
    assert store.tried == 2


def test_the_end_is_tried_a_few_times_and_then_said_to_be_missing() -> None:
    store = FakeStore()

    async def go() -> RunJournal:
        one = await journal(store)
        store.trouble = FULL
        one.end(RunEnded(Outcome("HELD", "nothing", "CLEAN")), {})
        return one

    assert virtually(go).trouble == ["not written: RunEnded"]
    assert 2 <= store.tried <= TRIES


def test_the_run_is_under_its_headline_or_the_verdict_given() -> None:
    store = FakeStore()

    async def go() -> None:
        one = await journal(store)
        one.end(RunEnded(Outcome("HELD", "nothing", "CLEAN")), {})
        one.end(RunEnded(Outcome("UNKNOWN", "nothing", "CLEAN")), {}, verdict="NOT_STARTED")

    virtually(go)
    assert store.written == ["ended HELD", "ended NOT_STARTED"]


def test_listeners_hear_what_happened_also_when_it_cannot_be_written() -> None:
    store, heard = FakeStore(), list[Entry]()

    async def go() -> None:
        one = await journal(store, heard)
        store.trouble = FULL
        one.try_note(note("a"), 0.5)
        one.save_state("f", "UNDONE", FaultReverted(fault="f", gone_t=1.0), 1.0)

    virtually(go)
    assert [(entry.seq, entry.t) for entry in heard] == [(1, 0.5), (2, 1.0)]


def test_a_listener_that_fails_hears_no_more_and_is_kept_for_later() -> None:
    store = FakeStore()
    calls: list[int] = []

    def listen(_entry: Entry) -> None:
        calls.append(1)
        raise BrokenPipeError

    async def go() -> RunJournal:
        one = RunJournal(store, "r1", 1, Clock(), listen)  # type: ignore[arg-type]
        one.note(note("a"))
        one.note(note("b"))
        return one

    assert isinstance(virtually(go).bug, BrokenPipeError)
    assert (len(calls), store.written) == (1, ["a@0", "b@0"])
