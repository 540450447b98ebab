"""Laws of the console that needs no terminal."""

from __future__ import annotations

import os
import queue
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos_runner.console import lines, plain
from chaos_runner.gameday import view
from chaos_runner.gameday.facts import (
    ActionAdded,
    Answered,
    Asked,
    ConsoleAttached,
    HaltAsked,
    Marked,
    Predicted,
    Present,
    Said,
    StepBegan,
)
from chaos_runner.store import levers
from tests.cli.kit import runner
from tests.console.kit import DAY, ESCAPE, LIMIT_S, RUN, World, until
from tests.gameday.kit import STARTED_AT, entries, scenario

READY = Asked(step=-1, question="is everybody ready?", of=("facilitator",), kind="ready")


class Console:
    """A plain console in a thread, typed at through a queue."""

    def __init__(self, world: World, who: str = "fay") -> None:
        self.out: list[str] = []
        self.words: queue.Queue[str | None] = queue.Queue()
        self.code: int | None = None
        self._console = plain.Plain(world.state, DAY, who, self.out.append)
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.code = self._console.run(self.words)

    def type(self, *words: str) -> None:
        for word in words:
            self.words.put(word)

    def has(self, text: str) -> bool:
        return any(text in line for line in self.out)

    def wait(self, text: str) -> None:
        until(lambda: self.has(text))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@contextmanager
def console(world: World, who: str = "fay") -> Iterator[Console]:
    opened = Console(world, who)
    opened.thread.start()
    try:
        yield opened
    finally:
        opened.type("leave")
        opened.thread.join(LIMIT_S)
    assert not opened.thread.is_alive()
    assert opened.code == 0


def test_the_day_is_told_and_what_is_typed_is_on_record(world: World) -> None:
    with console(world) as one:
        one.wait("#1 fay began the day")
        world.say(Said(who="sue", text="the board is red"))
        one.wait("sue noted: the board is red")
        one.type("note so it is", "mark detected --by rob", "predict holds 80%")
        one.wait("fay predicted that step 2 holds, 80% sure")
    facts = world.facts()[2:]
    assert facts[0] == Said(who="fay", text="so it is")
    assert isinstance(facts[1], Marked)
    assert (facts[1].who, facts[1].mark) == ("rob", "detected")
    assert facts[2] == Predicted(step=1, who="fay", believed="holds", confidence=0.8)


def test_what_is_waited_for_is_asked_once_with_the_words_to_type(world: World) -> None:
    with console(world) as one:
        world.say(READY)
        one.wait("? is everybody ready? (facilitator: fay)")
        one.type("tick 1", "approve anna")
        one.wait("anna approved")
        one.type("go let us")
        one.wait("fay (facilitator) said go: let us")
    asked = [line for line in one.out if line.startswith("?")]
    assert len(asked) == 1
    assert "first tick 1, tick 2, approve anna; type: go [REASON] or no-go REASON" in asked[0]


def test_a_word_that_means_nothing_is_answered_and_not_kept(world: World) -> None:
    with console(world) as one:
        one.type("nota bene", "go")
        one.wait("! not on record: unknown word 'nota'; did you mean 'note'?")
        one.wait("! not on record: nothing waits for an answer now")
    assert len(world.facts()) == 1


def test_the_end_of_stdin_is_no_answer(world: World) -> None:
    opened = Console(world)
    opened.thread.start()
    world.say(READY)
    opened.wait("? is everybody ready?")
    opened.words.put(None)
    world.say(Said(who="sue", text="later"))
    opened.wait("later")
    assert not any(isinstance(fact, Answered) for fact in world.facts())
    world.end()
    opened.thread.join(LIMIT_S)
    assert opened.code == 0
    assert opened.has("The day is over")


def test_what_was_typed_before_the_end_is_kept(world: World) -> None:
    opened = Console(world)
    world.end()
    opened.type("note it went well", "action set a timeout --owner sue")
    opened.thread.start()
    opened.thread.join(LIMIT_S)
    assert opened.code == 0
    assert isinstance(world.facts()[-1], ActionAdded)


def test_halt_pulls_the_lever_at_once_and_says_so(world: World) -> None:
    with console(world) as one:
        one.type("halt it smells")
        one.wait("! the lever is pulled:")
        one.wait("fay pulled the lever environment.demo: it smells")
    assert isinstance(world.facts()[-1], HaltAsked)
    assert [lever.scope for lever in levers.all(world.state)] == ["environment.demo"]


def test_halt_pulls_the_lever_without_a_ledger(world: World) -> None:
    with console(world) as one:
        one.wait("began the day")
        world.store.close()
        for file in world.state.glob("ledger.sqlite*"):
            file.write_bytes(b"no ledger")
        one.type("halt it smells")
        one.wait("! the lever is pulled:")
    assert [lever.scope for lever in levers.all(world.state)] == ["environment.demo"]


def test_a_responder_is_told_no_method(world: World) -> None:
    with console(world, "rob") as one:
        world.begin_run()
        world.say(Said(who="otto", text="the toxic is ready"), StepBegan(step=1, run=RUN))
        one.wait("Step 2 began: experiment 2")
        one.wait("An experiment: Under way; Shoppers can check out unknown")
        world.inject(1.0)
        world.say(Said(who="rob", text="slow?"))
        one.wait("rob noted: slow?")
    told = "\n".join(one.out)
    assert "otto noted: (withheld)" in told
    assert [word for word in ("toxic", "payments", RUN) if word in told] == []


def test_a_responder_may_come_in_by_first_name(tmp_path: Path) -> None:
    roles = {"facilitator": "Fay", "operator": "Otto", "abort_authority": "Abe", "responders": "Rob (shop)"}
    world = World(tmp_path, of=scenario(roles=roles))
    with console(world, "rob") as one:
        world.say(Said(who="Otto", text="the toxic is ready"))
        one.wait("Otto noted: (withheld)")


def test_a_run_is_told_when_something_changes(world: World) -> None:
    with console(world) as one:
        world.say(StepBegan(step=1, run=RUN))
        world.begin_run()
        one.wait("Checkout survives slow payments: Baseline")
        world.inject(1.0)
        one.wait("toxic on proxy/payments injected")
        for tick in range(1, 9):
            world.measure(tick, 0, 20)
        one.wait("Shoppers can check out violated")
        one.wait("100% of the way to an abort")


def test_no_control_byte_leaves_it_whatever_people_typed(world: World) -> None:
    world.say(Said(who=ESCAPE, text=ESCAPE * 50), Asked(step=0, question=ESCAPE, of=(ESCAPE,)))
    world.say(Present(name=ESCAPE, who=ESCAPE, absent=ESCAPE))
    with console(world, ESCAPE) as one:
        one.wait("noted")
        one.wait("? ")
        one.type(ESCAPE.replace("\n", ""), "note \x1b[2J" + "x" * 99_000)
        one.wait("unknown word")
        one.wait("xxx")
    assert [line for line in one.out if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u202e]", line)] == []
    assert max(map(len, one.out)) <= 2 + lines.WIDEST


def test_the_head_is_free_of_control_bytes_too() -> None:
    day = scenario(title=ESCAPE, severity_if_real=ESCAPE[:40], checklist=[ESCAPE], approvals=[ESCAPE])
    facts = (Present(name=ESCAPE, who="x"), Predicted(step=1, who=ESCAPE, believed="holds", confidence=0.5))
    head = lines.head(view.shown(entries(*facts, of=day), None, STARTED_AT))
    assert [line for line in head if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u202e]", line)] == []


def test_bytes_from_a_pipe_are_lines_within_a_limit() -> None:
    read, write = os.pipe()
    words = plain.typed(read)
    os.write(write, b"one\ntwo \xff\nthr")
    os.write(write, b"ee\nlast")
    os.close(write)
    got = [words.get(timeout=LIMIT_S) for _ in range(5)]
    assert got == ["one", "two \ufffd", "three", "last", None]
    os.close(read)


def test_a_killed_console_leaves_the_day_as_it_was(world: World, tmp_path: Path) -> None:
    child = runner("gameday", "attach", "--by", "fay", "--state", world.state, cwd=tmp_path)
    try:
        until(lambda: any(isinstance(fact, ConsoleAttached) for fact in world.facts()))
        world.say(READY)
        before = world.facts()
        child.send_signal(signal.SIGKILL)
        child.wait(LIMIT_S)
        assert world.facts() == before
    finally:
        child.kill()
        child.communicate()
    with console(world) as again:
        again.wait("? is everybody ready?")


def test_a_console_of_its_own_process_ends_with_the_day(world: World, tmp_path: Path) -> None:
    child = runner("gameday", "attach", DAY[:12], "--by", "fay", "--state", world.state, cwd=tmp_path)
    try:
        until(lambda: any(isinstance(fact, ConsoleAttached) for fact in world.facts()))
        world.end()
        out, err = child.communicate(timeout=LIMIT_S)
    finally:
        child.kill()
    assert child.returncode == 0, err
    assert "The day is over" in out
