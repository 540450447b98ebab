"""The full console, drawn by Textual: agenda, people, the run, the timeline, and a line to type in.

One key stamps a moment or begins a line; Enter says it, Escape does not. Reading and speaking have threads of their
own, so that a store that is locked never freezes the screen.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.css.query import NoMatches
from textual.widgets import Input, RichLog, Static

from chaos_runner.console import drawing, lines, speaking
from chaos_runner.console.following import EVERY_S, Following, Seen
from chaos_runner.console.news import HELP, LEAVE, LOST, shown
from chaos_runner.gameday.verbs import VERBS
from chaos_runner.gameday.view import Key, Screen
from chaos_runner.render import text

SPEAKING_MAX = 100
CLOSE_S = 3.0
TONES = {"": "", "ask": "bold yellow", "people": "cyan", "bad": "bold red"}
AT_ONCE = frozenset({"d", "a", "m", "r"})  # the moment counts
IDLE = "a key, or : for any words, ? for all of them, q leaves the console"


def attach(state_dir: Path, day_id: str, who: str) -> int:
    """Shows the day until somebody leaves; 0."""
    speaking.come_in(state_dir, day_id, who, "textual")
    DayConsole(state_dir, day_id, who).run()
    return 0


class DayConsole(App[None]):
    """One console of one day."""

    CSS = """
    #head { height: auto; background: $primary-background; padding: 0 1; }
    #left { width: 46; padding: 0 1; }
    #run { height: auto; max-height: 50%; padding: 0 1; }
    #timeline { padding: 0 1; }
    #waiting, #keys { height: auto; padding: 0 1; }
    #waiting { color: $text-warning; }
    #answer { height: auto; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "idle", "leave the line")]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, state_dir: Path, day_id: str, who: str) -> None:
        super().__init__()
        self.seen: Seen | None = None
        self.picture: Screen | None = None
        self._state_dir = state_dir
        self._day_id = day_id
        self._who = who
        self._incident = False
        self._leaving = threading.Event()
        self._words: queue.Queue[str] = queue.Queue(SPEAKING_MAX)
        self._threads = [
            threading.Thread(target=work, daemon=True, name=f"console-{work.__name__}")
            for work in (self._follow, self._speak)
        ]

    # --- threads -------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        following = Following(self._state_dir, self._day_id)
        while not self._leaving.is_set():
            self._hand(self.show, following.look(time.time()))
            self._leaving.wait(EVERY_S)
        following.close()

    def _speak(self) -> None:
        while not self._leaving.is_set():
            try:
                line = self._words.get(timeout=EVERY_S)
            except queue.Empty:
                continue
            self._hand(self.answer, speaking.say(self._state_dir, self._day_id, line, self._who, self._scope()))

    def _hand(self, take: Callable[[Any], None], what: object) -> None:
        """Gives something to the screen; nothing, where that is closing."""
        if not self._leaving.is_set():
            self.call_later(self._taken, take, what)

    def _taken(self, take: Callable[[Any], None], what: object) -> None:
        with contextlib.suppress(NoMatches):  # the screen is being taken down
            take(what)

    def _scope(self) -> str:
        screen = self.picture
        return f"environment.{screen.environment}" if screen is not None and screen.environment else "global"

    # --- the screen ----------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """The parts, from the top."""
        yield Static(id="head")
        yield Static(id="run")
        with Horizontal():
            with VerticalScroll(id="left"):
                yield Static(id="agenda")
                yield Static(id="people")
            yield RichLog(id="timeline", wrap=True, max_lines=5000)
        yield Static(id="waiting")
        yield Static(id="answer")
        yield Input(id="line", placeholder=IDLE, max_length=10_000)
        yield Static(id="keys")

    def on_mount(self) -> None:
        """Begins to follow; keys are keys until a line is begun."""
        self.query_one("#timeline").focus()
        for thread in self._threads:
            thread.start()

    def on_unmount(self) -> None:
        """Ends the threads; each is bounded by the store's own patience."""
        self._leaving.set()

    def show(self, seen: Seen) -> None:
        """Draws what was seen."""
        before, self.seen, self.picture = self.picture, seen, shown(seen, self._who)
        screen = self.picture
        head, *rest = lines.head(screen)
        self._put("head", [head, rest[0] if rest else ""], "bold")
        self._put("agenda", [lines.row(one) for one in screen.agenda])
        self._put("people", _beside(screen))
        self._put("waiting", [lines.waiting(screen.waiting)] if screen.waiting is not None else [])
        self._put("keys", [_bar(screen.keys)])
        run = self.query_one("#run", Static)
        run.update(drawing.picture(screen.running, self.size.width - 2) if screen.running is not None else "")
        self._tell(screen, before)
        self._worry(seen)

    def _tell(self, screen: Screen, before: Screen | None) -> None:
        log = self.query_one("#timeline", RichLog)
        for one in screen.timeline[len(before.timeline) if before is not None else 0 :]:
            log.write(Text(lines.told(one), TONES[one.tone]))

    def _worry(self, seen: Seen) -> None:
        if seen.trouble:
            self._put("answer", [f"cannot look now, trying again: {seen.trouble}"], "bold red")
        elif seen.conductor_dead:
            self._put("answer", [LOST], "bold red")

    def _put(self, name: str, rows: list[str], style: str = "") -> None:
        """Words as words: nothing that anybody typed is markup, or commands a terminal."""
        shown = "\n".join(lines.flat(row) for row in rows)
        self.query_one(f"#{name}", Static).update(Text(shown, style))

    # --- typing --------------------------------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        """A key that means something now."""
        if self.focused is self.query_one("#line") or event.character is None:
            return
        event.stop()
        if event.character in {":", "?", "q"}:
            self._other(event.character)
            return
        keys = self.picture.keys if self.picture is not None else ()
        key = next((one for one in keys if one.key == event.character), None)
        if key is None:
            return
        if key.key in AT_ONCE:
            self.say(key.line)
        else:
            self._begin(key)

    def _other(self, char: str) -> None:
        if char == "q":
            self.exit()
        elif char == "?":
            self._put("answer", [f"{verb.usage}: {verb.help}" for verb in VERBS.values()])
        else:
            self._line("", IDLE)

    def _begin(self, key: Key) -> None:
        self._incident = key.key == "I"
        if self._incident:
            environment = self.picture.environment if self.picture is not None else ""
            self._line("", f"REAL INCIDENT: type {environment}, the environment's name, then what happened")
        else:
            self._line(f"{key.line} ", f"{key.line}: {key.asks}")
            self._put("answer", [f"{key.line}: {key.asks}; Enter says it, Escape does not"])

    def _line(self, value: str, hint: str) -> None:
        line = self.query_one("#line", Input)
        line.placeholder = text.one_line(hint, lines.WIDEST)
        line.value = value
        line.select_on_focus = False
        line.focus()
        line.cursor_position = len(value)

    def action_idle(self) -> None:
        """Forgets the line; keys are keys again."""
        line = self.query_one("#line", Input)
        line.value, line.placeholder, self._incident = "", IDLE, False
        self._put("answer", [])
        self.query_one("#timeline").focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Says the line."""
        told, incident = event.value.strip(), self._incident
        self.action_idle()
        if incident:
            self._declare(told)
        elif told.lower() in LEAVE:
            self.exit()
        elif told.lower() in HELP:
            self._other("?")
        elif told:
            self.say(told)

    def _declare(self, told: str) -> None:
        """A real incident takes the environment's name, so that no slip of a finger declares one."""
        name, _, what = told.partition(" ")
        environment = self.picture.environment if self.picture is not None else ""
        if name != environment or not what.strip():
            self._put("answer", [f"nothing declared: that was not '{environment}' and what happened"], "bold red")
            return
        self.say(f"incident {what.strip()}")

    def say(self, line: str) -> None:
        """Hands a line to the desk; what becomes of it is shown."""
        try:
            self._words.put_nowait(line)
        except queue.Full:
            self._put("answer", ["not said: too many words wait already"], "bold red")

    def answer(self, answer: speaking.Answer) -> None:
        """Shows what became of a line."""
        self._put("answer", [answer.sentence or f"#{answer.seq} {answer.told}"], "bold red" if answer.sentence else "")


def _beside(screen: Screen) -> list[str]:
    """What stands below the agenda."""
    rows = ["", "here"]
    rows += [f"{one.state or '?':8}{one.name}  {', '.join(one.roles)}" for one in screen.roll_call]
    if screen.checklist or screen.approvals:
        rows += ["", "ready"]
    rows += [f"[{'x' if one.by else ' '}] {n}. {one.what}" for n, one in enumerate(screen.checklist, start=1)]
    rows += [f"[{'x' if one.by else ' '}] approval of {one.what}" for one in screen.approvals]
    if screen.predictions:
        rows += ["", "predicted"]
    rows += [f"{one.who}: {one.believed}, {one.confidence:.0%} sure" for one in screen.predictions]
    if screen.alerts:
        rows += ["", "alerts", *screen.alerts]
    if screen.actions:
        rows += ["", "open actions", *screen.actions]
    return rows


def _bar(keys: tuple[Key, ...]) -> str:
    return "  ".join(f"{one.key} {one.help}" for one in keys)
