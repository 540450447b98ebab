"""A line that somebody typed on a game day, and the checks that all verbs share. No IO, no clock."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chaos_runner import spelling
from chaos_runner.gameday.day import Day

NAME_MAX = 200


class Speaker(msgspec.Struct, frozen=True):
    """Who speaks, when (Unix time), and a few random letters for what needs a name of its own."""

    who: str
    now: float
    token: str = ""


class Line(msgspec.Struct, frozen=True):
    """What was typed, taken apart; `text` is all that is no option, `usage` how the verb is written."""

    verb: str
    text: str
    options: dict[str, str]
    usage: str = ""

    def first(self) -> tuple[str, str]:
        """The first word, and the rest."""
        head, _, rest = self.text.partition(" ")
        return head, rest.strip()


def now(day: Day) -> int:
    """The step that words belong to: the one that goes on, else the last that was."""
    if day.step is not None:
        return day.step.step
    return max((view.step for view in day.steps if view.state == "ended"), default=-1)


def step(line: Line, day: Day) -> int:
    """The step that `--step` names, from 0. Raises ValueError."""
    told = line.options["step"]
    if told.isascii() and told.isdigit() and 1 <= int(told) <= len(day.steps):
        return int(told) - 1
    msg = f"--step: '{short(told)}' is no step; there are {len(day.steps)}"
    raise ValueError(msg)


def one_of(word: str, known: Iterable[str], what: str) -> str:
    """The word. Raises ValueError with the nearest where it is none of those known."""
    words = list(known)
    if word in words:
        return word
    if not words:
        msg = f"this game day has no {what}"
        raise ValueError(msg)
    raise ValueError(spelling.unknown(what, short(word), words))


def wanted(text: str, line: Line, what: str) -> str:
    """The text. Raises ValueError where there is none."""
    if not text.strip():
        msg = f"say {what}: {line.usage}"
        raise ValueError(msg)
    return text


def name(told: str, what: str) -> str:
    """A name without blanks around it. Raises ValueError."""
    if not told.strip() or len(told) > NAME_MAX:
        msg = f"{what} has to be of 1 to {NAME_MAX} characters"
        raise ValueError(msg)
    return told.strip()


def person(day: Day, told: str) -> str:
    """Whom a name means: the one person of the day who is called so, or whose name begins with these words.

    `Fay` is `Fay (site reliability)` where no other Fay plays a part; a guest keeps the name that was said.
    """
    known = list(dict.fromkeys(one for people in day.roles.values() for one in people))
    wanted = told.casefold()
    if told in known:
        return told
    meant = [
        one for one in known if one.casefold() == wanted or one.casefold().startswith((f"{wanted} ", f"{wanted}@"))
    ]
    return meant[0] if len(meant) == 1 else told


def short(text: str) -> str:
    """What a sentence quotes of it."""
    return text if len(text) <= 60 else f"{text[:59]}…"
