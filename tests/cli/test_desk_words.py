"""Laws of the commands that say a word on a game day: note, mark, go, gameday say and gameday list."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from chaos_runner.gameday.facts import Answered, Asked, Marked, Predicted, Said
from chaos_runner.records import Noted
from chaos_runner.store import levers
from tests.cli.conftest import Call
from tests.cli.kit import RUN, gone_owner, run_of
from tests.console.kit import DAY, ESCAPE, World

READY = Asked(step=-1, question="ready?", of=("facilitator",), kind="ready")


@pytest.fixture
def world(home: Path) -> World:
    return World(home)


def test_a_note_goes_to_the_open_day(world: World, call: Call) -> None:
    said = call("note", "it's", "slow --by", "--by", "Sue Fox")
    assert said.code == 0, said.err
    assert said.out == f"{DAY} #2 Sue Fox noted: it's slow --by\n"
    assert world.facts()[-1] == Said(who="Sue Fox", text="it's slow --by")


def test_a_note_without_a_day_goes_to_the_run_that_goes_on(home: Path, call: Call) -> None:
    with run_of(home / "state", gone_owner(), None) as ledger:
        assert call("note", "the", "fan", "is", "loud", "--by", "sue").code == 0
        last = ledger.records(RUN)[-1]
    assert last.record == Noted("sue", "the fan is loud")
    assert last.t >= 1.0


def test_a_note_that_belongs_to_nothing_is_refused_and_makes_no_ledger(home: Path, call: Call) -> None:
    said = call("note", "hello")
    assert said.code == 2
    assert "neither a game day nor a run goes on" in said.err
    assert not (home / "state").exists()


def test_a_mark_may_be_backdated_and_have_words_around_its_options(world: World, call: Call) -> None:
    time.sleep(1.1)  # a stamp is never from before the day
    before = time.time()
    said = call("mark", "detected", "the", "board", "--at", "-1s", "--by", "rob", "turned", "red")
    assert said.code == 0, said.err
    mark = world.facts()[-1]
    assert isinstance(mark, Marked)
    assert (mark.mark, mark.who, mark.text) == ("detected", "rob", "the board turned red")
    assert before - 1.5 <= mark.happened_at <= time.time() - 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("mark", "detected", "--at", "+5m"), "neither -90s nor a time of today"),
        (("mark", "detected", "--at", "-9h"), "before the game day began"),
        (("go", "--by", "rob"), "nothing waits"),
        (("gameday", "say", "predikt", "holds"), "did you mean 'predict'?"),
        (("gameday", "say"), "say one of"),
        (("gameday", "say", "--day", "day-9", "note", "x"), "no game day"),
    ],
)
def test_what_means_nothing_is_a_sentence_and_a_2(
    world: World, call: Call, words: tuple[str, ...], sentence: str
) -> None:
    said = call(*words)
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err
    assert len(world.facts()) == 1


def test_go_answers_by_name_and_role(world: World, call: Call) -> None:
    world.say(READY)
    assert call("go", "--by", "rob").code == 2
    assert call("go", "all", "is", "green", "--as", "facilitator", "--by", "fay").code == 0
    assert world.facts()[-1] == Answered(step=-1, who="fay", role="facilitator", answer="go", reason="all is green")


def test_anything_can_be_said(world: World, call: Call) -> None:
    assert call("gameday", "say", "predict", "holds", "80%", "why not", "--by", "Rita Ray").code == 0
    assert world.facts()[-1] == Predicted(step=1, who="Rita Ray", believed="holds", confidence=0.8, text="why not")
    said = call("gameday", "say", "halt", "it", "smells", "--by", "abe")
    assert said.code == 0
    assert "the lever is pulled" in said.err
    assert [one.scope for one in levers.all(world.state)] == ["environment.demo"]


def test_halt_is_said_without_an_open_day_too(home: Path, call: Call) -> None:
    assert call("gameday", "say", "halt").code == 2
    assert call("halt").code == 0


def test_after_the_end_a_day_has_to_be_named(world: World, call: Call) -> None:
    world.end()
    said = call("note", "thanks")
    assert said.code == 2
    said = call("mark", "restored")
    assert (said.code, f"--day {DAY}" in said.err) == (2, True)
    assert call("note", "thanks", "--day", "day-2026").code == 0
    assert call("go", "--day", DAY).code == 2


def test_json_says_what_became_of_it(world: World, call: Call) -> None:
    assert call("note", "x", "-o", "json", "--by", "sue").json == {
        "schemaVersion": 1,
        "day": DAY,
        "seq": 2,
        "told": "sue noted: x",
        "trouble": "",
        "lever": "",
        "lost": False,
    }


def test_days_are_listed_and_an_abandoned_one_says_so(world: World, home: Path, call: Call) -> None:
    assert call("gameday", "list").out.splitlines()[1].split()[:3] == [DAY, "payments-outage", "demo"]
    assert call("gameday", "list", "-o", "json").json["days"][0]["state"] == "open"
    world.store.take_day(DAY, gone_owner(), seen=1)
    assert call("gameday", "list", "-o", "json").json["days"][0]["state"] == "abandoned"
    assert call("gameday", "list", "--state", home / "none").out.startswith("there was no game day")


def test_no_control_byte_is_printed(world: World, call: Call) -> None:
    said = call("note", ESCAPE.replace("\x00", ""), "--by", ESCAPE.replace("\x00", ""))
    assert said.code == 0
    assert "\x1b" not in said.out
    assert "\x1b" not in call("gameday", "say", ESCAPE).err
