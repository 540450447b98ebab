"""Only the drill's own lever is released; one that is meant in earnest stays."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from chaos_runner import desk
from chaos_runner.conductor import drill, told
from chaos_runner.gameday.facts import Asked, DayStarted, DrillBegan
from chaos_runner.store import Owner, levers, open_store
from tests.gameday.kit import scenario

DAY = "day-1"
PULL = Asked(step=-1, question="pull the lever", of=("abort_authority",), kind="ready")
FULL = scenario(roles={"facilitator": "Fay (sre)", "operator": "Otto (chaos)", "abort_authority": "Abe (shop)"})


@pytest.mark.parametrize(("who", "line"), [("Abe", "halt"), ("ann@host", "halt drill --by Abe")])
def test_a_lever_pulled_at_the_desk_is_released_whatever_the_name_is_short_for(
    who: str, line: str, tmp_path: Path
) -> None:
    with open_store(tmp_path / "state", allow_tmpfs=True) as store:
        fact = DayStarted(scenario=msgspec.to_builtins(FULL), file="x", files={}, versions={}, actor="fay")
        store.begin_day(DAY, scenario="x", environment="demo", owner=Owner.mine(), fact=fact)
        store.say(DAY, DrillBegan(run="r1"))
        store.say(DAY, PULL)
        desk.speak(store, tmp_path / "state", DAY, line, who)
        known = told.read(store.facts(DAY))
        lever = drill.own(known, tmp_path / "state")
        assert drill.release(known, tmp_path / "state", lever) == ""
    assert not levers.all(tmp_path / "state")


def test_a_lever_pulled_elsewhere_stays(tmp_path: Path) -> None:
    with open_store(tmp_path / "state", allow_tmpfs=True) as store:
        fact = DayStarted(scenario=msgspec.to_builtins(FULL), file="x", files={}, versions={}, actor="fay")
        store.begin_day(DAY, scenario="x", environment="demo", owner=Owner.mine(), fact=fact)
        store.say(DAY, DrillBegan(run="r1"))
        store.say(DAY, PULL)
        levers.pull(tmp_path / "state", "environment.demo", "Abe", "orders are lost")
        desk.speak(store, tmp_path / "state", DAY, "halt", "Abe")
        known = told.read(store.facts(DAY))
        assert drill.own(known, tmp_path / "state") is None
        assert "stays" in drill.release(known, tmp_path / "state", None)
    assert [one.reason for one in levers.all(tmp_path / "state")] == ["orders are lost"]
