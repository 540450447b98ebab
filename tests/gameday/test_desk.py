"""Laws of the desk: words are kept, and what stops harm comes before all else."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from chaos_runner import desk
from chaos_runner.gameday.facts import DayStarted, Said
from chaos_runner.store import Owner, SqliteStore, StoreError, levers, open_store
from tests.gameday.kit import scenario

DAY = "day-1"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(state: Path) -> SqliteStore:
    store = open_store(state, allow_tmpfs=True)
    fact = DayStarted(scenario=msgspec.to_builtins(scenario()), file="x", files={}, versions={}, actor="fay")
    store.begin_day(DAY, scenario="payments-outage", environment="demo", owner=Owner.mine(), fact=fact)
    return store


def test_a_word_is_kept(store: SqliteStore, state: Path) -> None:
    heard = desk.speak(store, state, DAY, "note it is slow", "sue")
    assert heard == desk.Heard(fact=Said(who="sue", text="it is slow"), seq=2)
    assert store.facts(DAY)[-1].fact == heard.fact
    assert not levers.all(state)


def test_a_word_that_means_nothing_is_not_kept(store: SqliteStore, state: Path) -> None:
    with pytest.raises(ValueError, match="did you mean"):
        desk.speak(store, state, DAY, "nota it is slow", "sue")
    assert len(store.facts(DAY)) == 1


def test_halt_pulls_the_lever_of_the_environment(store: SqliteStore, state: Path) -> None:
    heard = desk.speak(store, state, DAY, "halt it smells", "abe")
    assert [one.scope for one in levers.all(state)] == ["environment.demo"]
    assert (heard.seq, heard.trouble) == (2, "")


def test_halt_needs_no_store(store: SqliteStore, state: Path) -> None:
    class Lost(SqliteStore):
        def day(self, day_id: str) -> None:
            raise StoreError("locked")

        def facts(self, day_id: str, after: int = 0) -> list[object]:  # type: ignore[override]
            raise StoreError("locked")

    store.__class__ = Lost
    heard = desk.speak(store, state, DAY, "halt", "abe")
    assert [one.scope for one in levers.all(state)] == ["global"]
    assert heard.trouble == "locked"


def test_a_misspelt_halt_halts_all_the_same(store: SqliteStore, state: Path) -> None:
    heard = desk.speak(store, state, DAY, "halt --at now", "abe")
    assert levers.all(state)
    assert "takes no --at" in heard.trouble


def test_an_incident_needs_its_words_but_never_waits_for_them(store: SqliteStore, state: Path) -> None:
    heard = desk.speak(store, state, DAY, "incident", "abe")
    assert levers.all(state)
    assert "say what happened" in heard.trouble
