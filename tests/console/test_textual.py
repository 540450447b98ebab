"""Laws of the full console, driven by Textual's own pilot over a real store."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.widgets import Input

from chaos_runner.console.textual import DayConsole
from chaos_runner.gameday.facts import (
    ActionAdded,
    Answered,
    Asked,
    HaltAsked,
    IncidentDeclared,
    Marked,
    Predicted,
    Said,
    StepBegan,
)
from chaos_runner.store import levers
from tests.console.kit import DAY, ESCAPE, LIMIT_S, RUN, World
from tests.console.seat import Seat

READY = Asked(step=-1, question="is everybody ready?", of=("facilitator",), kind="ready")
Drive = Callable[[Seat], Awaitable[None]]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def driven(world: World, drive: Drive, who: str = "fay", size: tuple[int, int] = (140, 45)) -> None:
    async def run() -> None:
        app = DayConsole(world.state, DAY, who)
        async with app.run_test(size=size) as pilot:
            seat = Seat(app, pilot, world.facts)
            await seat.shows("#1 fay began the day")
            await drive(seat)

    asyncio.run(run())


def test_a_day_is_shown_and_a_second_process_speaks_meanwhile(world: World) -> None:
    async def drive(seat: Seat) -> None:
        await seat.shows("#1 fay began the day")
        world.say(Said(who="sue", text="the board is red"))
        await seat.shows("sue noted: the board is red")
        await seat.shows("[ ] 1. stakeholders told")
        await seat.shows("now: next: step 1 of 3: go or no-go")

    driven(world, drive)


@pytest.mark.parametrize(
    ("key", "mark"), [("d", "detected"), ("a", "acknowledged"), ("m", "mitigated"), ("r", "restored")]
)
def test_one_key_stamps_a_moment_at_once(world: World, key: str, mark: str) -> None:
    async def drive(seat: Seat) -> None:
        before = time.time()
        await seat.press(key)
        after = time.time()
        await seat.kept(Marked)
        fact = world.facts()[-1]
        assert isinstance(fact, Marked)
        assert (fact.mark, fact.who) == (mark, "fay")
        assert before <= fact.happened_at <= after + 5

    driven(world, drive)


@pytest.mark.parametrize(
    ("key", "typed", "fact"),
    [
        ("n", "it is slow", Said(who="fay", text="it is slow")),
        ("s", "nobody was paged", Said(who="fay", text="nobody was paged", kind="surprise")),
        ("p", "aborts 60% the pool", Predicted(step=1, who="fay", believed="aborts", confidence=0.6, text="the pool")),
    ],
)
def test_one_key_begins_a_line(world: World, key: str, typed: str, fact: object) -> None:
    async def drive(seat: Seat) -> None:
        await seat.press(key)
        await seat.type(typed)
        await seat.kept(type(fact))
        assert world.facts()[-1] == fact
        await seat.press("d")
        await seat.kept(Marked)

    driven(world, drive)


def test_an_action_item_is_a_line(world: World) -> None:
    async def drive(seat: Seat) -> None:
        await seat.press("t")
        await seat.type("set a timeout --owner sue")
        await seat.kept(ActionAdded)
        await seat.shows("open actions set a timeout")

    driven(world, drive)


def test_go_and_no_go_answer_only_what_is_asked(world: World) -> None:
    async def drive(seat: Seat) -> None:
        await seat.press("g")
        assert not seat.app.query_one("#line", Input).has_focus
        world.say(READY)
        await seat.shows("? is everybody ready? (facilitator: fay)")
        await seat.press("g", "enter")
        await seat.kept(Answered)
        await seat.until(lambda: "is everybody ready" not in seat.part("waiting"))
        world.say(READY)
        await seat.shows("x no-go")
        await seat.press("x")
        await seat.type("the phones ring")
        await seat.shows("fay (facilitator) said no-go: the phones ring")

    driven(world, drive)


def test_halt_is_asked_once_and_escape_takes_it_back(world: World) -> None:
    async def drive(seat: Seat) -> None:
        await seat.press("h")
        await seat.shows("Enter says it, Escape does not")
        await seat.press("escape")
        await seat.pilot.pause(0.5)
        assert levers.all(world.state) == ()
        await seat.press("h", "enter")
        await seat.kept(HaltAsked)
        assert [one.scope for one in levers.all(world.state)] == ["environment.demo"]
        await seat.shows("the lever is pulled")

    driven(world, drive)


def test_a_real_incident_takes_the_environments_name(world: World) -> None:
    async def drive(seat: Seat) -> None:
        await seat.press("I")
        await seat.type("yes really")
        await seat.shows("nothing declared")
        assert levers.all(world.state) == ()
        await seat.press("I")
        await seat.type("demo the real shop is down")
        await seat.kept(IncidentDeclared)
        assert world.facts()[-1] == IncidentDeclared(who="fay", text="the real shop is down")
        assert [one.scope for one in levers.all(world.state)] == ["environment.demo"]

    driven(world, drive)


def test_the_run_is_drawn_with_its_margin_and_countdown(world: World) -> None:
    async def drive(seat: Seat) -> None:
        world.say(StepBegan(step=1, run=RUN))
        world.begin_run()
        world.inject(1.0)
        for tick in range(1, 9):
            world.measure(tick, 0, 20)
        await seat.until(lambda: "100 %" in seat.run())
        assert "toxic on proxy/payments" in seat.run()
        assert "s left" in seat.run()
        assert "█" * 8 in seat.run().partition("100 %")[0], "the curve, before the way to an abort"
        assert "Shoppers can check out" in seat.run()

    driven(world, drive)


def test_a_responder_sees_no_method_anywhere(world: World) -> None:
    async def drive(seat: Seat) -> None:
        world.begin_run()
        world.say(Said(who="otto", text="the toxic is ready"), StepBegan(step=1, run=RUN))
        world.inject(1.0)
        await seat.shows("otto noted: (withheld)")
        await seat.until(lambda: "An experiment" in seat.run())
        shown = seat.text()
        assert [word for word in ("toxic", "payments", RUN, "fault") if word in shown] == []

    driven(world, drive, who="rob")


def test_what_people_typed_is_text_and_nothing_else(world: World) -> None:
    async def drive(seat: Seat) -> None:
        world.say(Said(who=ESCAPE, text=ESCAPE), Asked(step=0, question=ESCAPE, of=(ESCAPE,)))
        await seat.until(lambda: "[bold]x[/bold]" in seat.part("waiting"))
        await seat.until(lambda: "[bold]x[/bold]" in seat.timeline())
        await seat.press(":")
        await seat.type("nota [bold]bene")
        await seat.shows("unknown word 'nota'")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", seat.text())

    driven(world, drive)


def test_a_small_terminal_and_a_lost_store_do_not_end_it(world: World) -> None:
    async def drive(seat: Seat) -> None:
        aside = world.state.with_name("aside")
        world.state.rename(aside)
        await seat.shows("cannot look now, trying again")
        aside.rename(world.state)
        world.say(Said(who="sue", text="back"))
        await seat.shows("sue noted: back")

    driven(world, drive, size=(60, 18))


def test_after_the_end_only_what_is_still_heard_is_offered(world: World) -> None:
    async def drive(seat: Seat) -> None:
        world.end()
        await seat.shows("The day is over")
        await seat.until(lambda: "halt" not in seat.part("keys"))
        await seat.press("n")
        await seat.type("thanks, all")
        await seat.shows("fay noted: thanks, all")
        await seat.press("q")

    driven(world, drive)


def test_without_textual_a_terminal_gets_lines_and_is_told_why() -> None:
    code = (
        "import sys; sys.modules['textual'] = None\n"
        "from chaos_runner.console import entrance\n"
        "assert not entrance.has_textual()\n"
        "print(entrance.MISSING)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    assert "pip install 'chaos-runner[console]'" in done.stdout
