"""Consoles and a real conductor: who looks and speaks can go away at any moment, and nobody goes on by himself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from chaos_runner.console.textual import DayConsole
from chaos_runner.gameday.facts import Answered, Asked, ConsoleAttached, Marked, Predicted, StepBegan
from tests.conductor.conftest import address, rigged  # noqa: F401 -- fixtures
from tests.conductor.rig import Rig
from tests.console.afternoon import Console
from tests.console.kit import until
from tests.console.seat import Seat

Rigged = Callable[..., Rig]


def _began(rig: Rig, step: int) -> bool:
    return any(isinstance(fact, StepBegan) and fact.step == step for fact in rig.facts())


def _asked(console: Console, text: str) -> None:
    until(lambda: any(line.startswith("?") and text in line for line in console.lines), 90)


def test_a_killed_consoles_step_goes_on_and_the_next_one_waits_for_go(rigged: Rigged) -> None:  # noqa: F811
    rig = rigged(hold_s=6)
    console = Console(rig.folder, "gameday", "attach", "--plain", "--by", "fay")
    try:
        _asked(console, "is everybody ready?")
        for line in ("tick 1", "go"):
            console.type(line)
        _asked(console, "go or no-go?")
        console.type("go")
        _asked(console, "what will come out")
        for line in ("predict holds 80% --by otto", "go"):
            console.type(line)
        rig.until(rig.faults["one"].exists)
        before = rig.facts()
        console.kill()
    finally:
        console.close()
    assert rig.faults["one"].exists(), "a console's death ends no fault"
    rig.until(lambda: rig.day().steps[1].state == "ended")
    rig.until(lambda: rig.day().asked)
    assert rig.facts()[: len(before)] == before
    assert not rig.faults["one"].exists()
    time.sleep(2)
    assert not _began(rig, 2), "nobody said go"

    again = Console(rig.folder, "gameday", "attach", "--plain", "--by", "fay")
    try:
        until(lambda: any(line.startswith("?") for line in again.lines), 60)
        said = len(rig.facts())
        assert rig.cli("gameday", "say", "end", "that was enough", "--by", "fay").returncode == 0
        rig.until_over()
        until(lambda: again.over, 60)
        assert again.child.returncode == 0
        assert any("The day was stopped, by fay: that was enough" in line for line in again.lines)
        assert len(rig.facts()) > said
    finally:
        again.close()
    assert sum(isinstance(fact, ConsoleAttached) for fact in rig.facts()) == 2


def test_a_day_is_led_from_the_full_console(rigged: Rigged, tmp_path: Path) -> None:  # noqa: F811
    rig = rigged(hold_s=3)

    async def drive() -> None:
        app = DayConsole(rig.state, rig.id, "fay")
        async with app.run_test(size=(140, 45)) as pilot:
            seat = Seat(app, pilot, rig.facts)
            await seat.shows("? is everybody ready?", 90)
            await seat.say("tick 1")
            await seat.shows("fay ticked: stakeholders told")
            await seat.press("g", "enter")
            await seat.shows("? go or no-go?", 90)
            await seat.press("g", "enter")
            await seat.shows("? what will come out", 90)
            await seat.press("p")
            await seat.type("holds 80% nothing needs that file")
            await seat.kept(Predicted)
            await seat.press("g", "enter")
            await seat.shows("noop on noop/thing", 90)
            await seat.press("d")
            await seat.kept(Marked)
            await seat.until(lambda: rig.day().steps[1].state == "ended", 120)
            await seat.until(lambda: "?" in seat.part("waiting"), 90)
            await seat.say("end that was enough")
            await seat.shows("The day was stopped", 90)

    asyncio.run(drive())
    assert rig.until_over().steps[1].headline in {"HELD", "UNKNOWN"}
    answers = [fact for fact in rig.facts() if isinstance(fact, Answered)]
    assert [(fact.who, fact.role, fact.answer) for fact in answers[:3]] == [("fay", "facilitator", "go")] * 3
    assert any(isinstance(fact, Asked) for fact in rig.facts())
