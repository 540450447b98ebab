"""A whole game day on the demo shop, told by a script: a console, a second process beside it, and two deaths.

Used by these tests and by tools/gameday_demo.py; asks nothing of pytest.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from chaos_runner import files, history, store
from chaos_runner.console.textual import DayConsole
from chaos_runner.gameday import day as days
from chaos_runner.gameday.day import Day
from chaos_runner.gameday.facts import ConductorBegan, ConsoleAttached, Entry, Said
from tests.console.seat import Seat
from tests.schedule_daemon.shop import _harm as harm

CLI = (sys.executable, "-m", "chaos_runner")
SCENARIO = "payment-provider-outage.yaml"
FAY = "Fay (site reliability)"
WITHIN_S = 240.0
TOLD = ("the queue of support grows", "somebody asks in the chat whether this is us", "the board is yellow")
LATER = ("partly detect seen by a shopper first --by Sue", "met shoppers --by Sue", "trust 60% --by Rob")
Tell = Callable[[str], None]


class Afternoon(NamedTuple):
    """What came of it. `misses` is what is not as promised."""

    day: Day
    entries: list[Entry]
    headlines: list[str]
    reports: list[Path]
    took_s: float
    beside: int  # words that other processes said
    lines: list[str]
    misses: list[str]


class Played(NamedTuple):
    """How a day went on the stage: words that other processes said, and what the console showed."""

    beside: int
    lines: list[str]


class Console:
    """A plain console in a process of its own, read by a thread."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.lines: list[str] = []
        self.child = subprocess.Popen(
            [*CLI, *words],
            cwd=folder,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            self.lines.append(line.rstrip("\n"))

    def type(self, line: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(f"{line}\n")
        self.child.stdin.flush()

    @property
    def over(self) -> bool:
        return self.child.poll() is not None and not self._thread.is_alive()

    def kill(self) -> None:
        self.child.send_signal(signal.SIGKILL)
        self.child.wait(10)
        self._thread.join(10)

    def close(self) -> None:
        self.child.kill()
        self.child.wait(10)
        for stream in (self.child.stdin, self.child.stdout):
            if stream is not None:
                stream.close()


class Script:
    """Who says what when. Everything is read off the console's lines, as a person would."""

    def __init__(self, folder: Path, reports: Path, tell: Tell, *, deaths: bool) -> None:
        self.state = folder / ".chaos-runner"
        self.beside: list[threading.Thread] = []
        self.said = 0
        self.lines: list[str] = []
        self._folder = folder
        self._reports = reports
        self._tell = tell
        self._deaths = deaths
        self._console = Console(
            folder, "gameday", "run", str(files.bundled("scenarios") / SCENARIO), "--plain", "--yes",
            "--who", FAY, "--reports", str(reports),
        )  # fmt: skip
        self._injected: set[str] = set()
        self._known: set[str] = set()
        self._step = ""
        self._day = ""

    def play(self) -> None:
        """Until the day is over."""
        ends = time.monotonic() + WITHIN_S
        read = 0
        try:
            while not (self._console.over and read >= len(self._console.lines)):
                assert time.monotonic() < ends, "the afternoon did not end:\n" + "\n".join(self.lines[-30:])
                if read < len(self._console.lines):
                    line, read = self._console.lines[read], read + 1
                    if self._react(line):
                        read = 0
                else:
                    time.sleep(0.05)
        finally:
            self._console.close()
            for thread in self.beside:
                thread.join(30)

    def _react(self, line: str) -> bool:
        """Does what the line asks for; True where another console came in its place."""
        number = re.match(r"\d\d:\d\d:\d\d (#\d+) ", line)
        if number and number[1] in self._known:
            return False
        self._known.add(number[1] if number else "")
        self.lines.append(line)
        self._tell(line)
        if begun := re.fullmatch(r"game day (day-\S+)", line):
            self._day = begun[1]
        if line.startswith("? "):
            for words in answers(line):
                self._console.type(words)
        if began := re.search(r"Step (\d) began: payments", line):
            self._step = began[1]
            self._speak_beside(("note", TOLD[len(self._injected)], "--by", "Sue"))
        if "payments injected" in line and self._step and self._step not in self._injected:
            self._injected.add(self._step)
            return self._in_the_middle()
        return False

    def _in_the_middle(self) -> bool:
        """A fault is open: stamps from another process, and somebody dies."""
        self._speak_beside(
            ("mark", "detected", "--at", "-1s", "the board turned red", "--by", "Rob"),
            ("mark", "acknowledged", "--by", "Rob"),
            ("mark", "mitigated", "the orders are taken for later", "--by", "Rita"),
        )
        if not self._deaths:
            return False
        if len(self._injected) == 1:
            self._tell("== kill -9 of the console, in the middle of a fault")
            self._console.kill()
            self._come_back("attach")
        else:
            self._tell("== kill -9 of the conductor, in the middle of a fault")
            with store.open_store(self.state, read_only=True) as ledger:
                row = ledger.open_day()
            assert row is not None
            os.kill(row.owner.pid, signal.SIGKILL)
            self._console.kill()
            self._come_back("resume")
        return True

    def _come_back(self, how: str) -> None:
        self._console.close()
        self._console = Console(self._folder, "gameday", how, "--plain", "--who", FAY)

    def _speak_beside(self, *said: tuple[str, ...]) -> None:
        def speak() -> None:
            for words in said:
                done = cli(self._folder, *words, "--day", self._day)
                assert done.returncode == 0, done.stderr

        self.said += len(said)
        thread = threading.Thread(target=speak)
        self.beside.append(thread)
        thread.start()


def answers(question: str) -> list[str]:
    """What people say to a question."""
    if "is everybody ready? `here`" in question:
        here = [f"here --by {name}" for name in ("Fay", "Otto", "Abe", "Sue", "Rob", "Rita")]
        ready = [*here, "absent Ines is at the dentist's", "trust 80%", "approve Ada (owner of the shop) --by Fay"]
        return [*ready, *(f"tick {n}" for n in range(1, 5)), "go all is quiet"]
    if "Pull the lever now" in question:
        return ["halt the drill --by Abe"]
    if "what will come out" in question:
        return [
            "predict deviates 70% the pool of connections is small --by Rob",
            "predict holds 60% the timeouts were set in May --by Otto",
            "go",
        ]
    if "when all is written down" in question:
        return ["surprise nobody was paged", "well everybody knew how to halt", "go"]
    if " ended " in question:
        return [
            "cause there is no timeout on the call of payments",
            'action set a timeout of 300 ms on payments --owner "Rob (shop)" --priority P1 --due 2027-01-15',
            "go seen",
        ]
    return ["go"]


def spend(folder: Path, reports: Path, tell: Tell, *, deaths: bool = True) -> Afternoon:
    """The whole of it by plain lines; the shops are gone when it returns."""

    def play() -> Played:
        script = Script(folder, reports, tell, deaths=deaths)
        script.play()
        return Played(script.said, script.lines)

    return _spent(folder, reports, play)


def spend_with_pilot(folder: Path, reports: Path) -> Afternoon:
    """The same day from the full console, driven by Textual's pilot."""

    def play() -> Played:
        file = str(files.bundled("scenarios") / SCENARIO)
        begun = checked(folder, "gameday", "run", file, "--yes", "--detach", "--who", FAY, "--reports", str(reports))
        return asyncio.run(_piloted(folder, begun.split()[2]))

    return _spent(folder, reports, play)


async def _piloted(folder: Path, day: str) -> Played:
    state = folder / ".chaos-runner"
    app = DayConsole(state, day, FAY)
    said, answered, injected = 0, "", 0
    async with app.run_test(size=(150, 50)) as pilot:
        seat = Seat(app, pilot, list)
        ends = time.monotonic() + WITHIN_S
        while "The day " not in seat.part("head"):
            assert time.monotonic() < ends, f"the afternoon did not end:\n{seat.text()}"
            await pilot.pause(0.1)
            question = seat.part("waiting")
            if question != answered and question.startswith("? "):
                for words in answers(question):
                    await seat.say(words)
            answered = question
            going = app.seen.day.step if app.seen is not None else None
            if going is not None and going.step > injected and "payments  injected" in seat.run():
                await seat.press("d", "a", "m")
                done = await asyncio.to_thread(cli, folder, "note", TOLD[said], "--by", "Sue", "--day", day)
                assert done.returncode == 0, done.stderr
                injected, said = going.step, said + 1
        await seat.press("q")
        return Played(said, seat.text().splitlines())


def _spent(folder: Path, reports: Path, play: Callable[[], Played]) -> Afternoon:
    began = time.monotonic()
    worlds: dict[str, Any] = json.loads(checked(folder, "demo", "up", "-o", "json"))["worlds"]
    try:
        played = play()
        left = harm([one["toxiproxy"]["url"] for one in worlds.values()])
        day = _afterwards(folder, reports)
    finally:
        cli(folder, "demo", "down")
    return _told(folder / ".chaos-runner", day, played, reports, left, time.monotonic() - began)


def _afterwards(folder: Path, reports: Path) -> str:
    """What is said after the day; the reports have it, too."""
    with store.open_store(folder / ".chaos-runner", read_only=True) as ledger:
        (row,) = ledger.days(1)
    for words in LATER:
        checked(folder, "gameday", "say", "--day", row.id, *words.split())
    for kind, ending in (("html", "html"), ("json", "json"), ("postmortem", "postmortem.md")):
        path = str(reports / f"{row.id}.{ending}")
        checked(folder, "gameday", "report", row.id, "--format", kind, "--out", path, "--reports", str(reports))
    return row.id


def _told(state: Path, day_id: str, played: Played, reports: Path, left: list[str], took_s: float) -> Afternoon:
    with store.open_store(state, read_only=True) as ledger:
        entries = ledger.facts(day_id)
        day = days.fold(entries)
        runs = [run for view in day.steps for run in view.runs]
        ended = {run: history.fold(ledger.records(run)).outcome for run in runs}
        left += [f"{fault.id} is open" for fault in ledger.open_faults()]
        row = ledger.day(day_id)
    written = [reports / f"{day_id}.{ending}" for ending in ("html", "json", "postmortem.md")]
    misses = [f"left: {one}" for one in left]
    misses += [f"run {run} has no end" for run, outcome in ended.items() if outcome is None]
    misses += [f"{path.name} was not written" for path in written if not path.is_file() or not path.stat().st_size]
    headlines = [view.headline for view in day.steps if view.runs]
    if not runs or headlines[0] not in {"DEVIATED", "ABORTED"}:
        misses.append(f"the fragile shop: {headlines}")
    if row is None or row.state != "ENDED" or day.ended is None:
        misses.append("the day has no end")
    misses += _unheard(entries, day)
    return Afternoon(day, entries, headlines, written, took_s, played.beside + len(LATER), played.lines, misses)


def _unheard(entries: list[Entry], day: Day) -> list[str]:
    """What people said and is not on record."""
    misses = []
    notes = {entry.fact.text for entry in entries if isinstance(entry.fact, Said)}
    steps = [view for view in day.steps if view.runs]
    if len(notes & set(TOLD)) != len(steps):
        misses.append(f"notes of the second process: {sorted(notes & set(TOLD))}")
    if len(day.marks) != 3 * len(steps):
        misses.append(f"{len(day.marks)} stamps of {3 * len(steps)}")
    if day.drill is None or day.drill.halt_s is None or day.drill.halt_s > 5:
        misses.append(f"the drill: {day.drill}")
    predicted = {one.step for _, one in day.predictions}
    misses += [f"nobody predicted step {view.step + 1}" for view in steps if view.step not in predicted]
    if [entry.seq for entry in entries] != list(range(1, len(entries) + 1)):
        misses.append("facts are missing")
    return misses


def attached(entries: list[Entry]) -> int:
    """How many consoles there were."""
    return sum(isinstance(entry.fact, ConsoleAttached) for entry in entries)


def conductors(entries: list[Entry]) -> int:
    """How many conductors there were."""
    return sum(isinstance(entry.fact, ConductorBegan) for entry in entries)


def cli(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command as a pipeline gives it: no terminal anywhere."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("CHAOS_RUNNER_")}
    return subprocess.run(
        [*CLI, *words], cwd=folder, env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120,
        check=False,
    )  # fmt: skip


def checked(folder: Path, *words: str) -> str:
    """Its output. Raises AssertionError where it failed."""
    done = cli(folder, *words)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout
