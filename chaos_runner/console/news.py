"""What of a day has not been said yet, as lines; and what becomes of a line that somebody types."""

from __future__ import annotations

from pathlib import Path

from chaos_runner.console import lines, speaking
from chaos_runner.console.following import Seen
from chaos_runner.gameday import typed, view
from chaos_runner.gameday.verbs import VERBS
from chaos_runner.gameday.view import Screen
from chaos_runner.render import text

LEAVE = frozenset({"leave", "quit", "exit"})
HELP = frozenset({"help", "?"})
STATUS_S = 1.0
LOST = "the conductor is dead; what runs goes on under its own aborts. Take the day up: chaos-runner gameday resume"


def said(state_dir: Path, day_id: str, line: str, who: str, scope: str) -> list[str]:
    """Says the line; what is answered to whoever typed it. What went on record is in the timeline."""
    if line.strip().lower() in HELP:
        return [f"  {verb.usage}: {verb.help}" for verb in VERBS.values()]
    answer = speaking.say(state_dir, day_id, line, who, scope)
    return [text.one_line(f"! {answer.sentence}", lines.WIDEST)] if answer.sentence else []


class News:
    """What of a day has not been said yet, as lines. No IO."""

    def __init__(self) -> None:
        self.scope = "global"
        self._asked: object = None
        self._gist: object = None
        self._trouble = ""
        self._dead = False
        self._status_t = float("-inf")

    def of(self, seen: Seen, who: str, now: float) -> list[str]:
        """The lines that tell what is new since the last call; `now` is any clock that only goes on."""
        if seen.day.scenario is not None:
            self.scope = f"environment.{seen.day.scenario.environment}"
        screen = shown(seen, who)
        out = [lines.told(one) for one in screen.timeline[len(screen.timeline) - len(seen.fresh) :] if seen.fresh]
        return out + self._run(screen, now) + self._wait(screen) + self._worry(seen)

    def _wait(self, screen: Screen) -> list[str]:
        wanted = screen.waiting
        before, self._asked = self._asked, (wanted.question, wanted.people) if wanted is not None else None
        return [lines.waiting(wanted)] if wanted is not None and self._asked != before else []

    def _run(self, screen: Screen, now: float) -> list[str]:
        if screen.running is None or now - self._status_t < STATUS_S:
            return []
        gist = lines.gist(screen.running)
        if gist == self._gist:
            return []
        self._gist, self._status_t = gist, now
        return [f"  {lines.running(screen.running)}"]

    def _worry(self, seen: Seen) -> list[str]:
        out = []
        if seen.trouble != self._trouble and seen.trouble:
            out.append(text.one_line(f"! cannot look now, trying again: {seen.trouble}", lines.WIDEST))
        if seen.conductor_dead and not self._dead:
            out.append(f"! {LOST}")
        self._trouble, self._dead = seen.trouble, seen.conductor_dead
        return out


def shown(seen: Seen, who: str) -> Screen:
    """The screen for this person."""
    role = view.role_for(seen.day, typed.person(seen.day, who))
    return view.shown(seen.entries, seen.running, seen.at, role)
