"""Where people's words enter a game day: the same for consoles, commands and the browser.

What stops harm comes first: `halt` and `incident` pull the lever before anything is read or written, so that they
work with a locked or lost store, too.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import msgspec

from chaos_runner.gameday import day as days
from chaos_runner.gameday import verbs
from chaos_runner.gameday.facts import AnyFact
from chaos_runner.gameday.typed import Speaker
from chaos_runner.store import Store, StoreError, levers

STOPS = frozenset({"halt", "incident"})


class Heard(msgspec.Struct, frozen=True):
    """What became of a line: the fact and its number; `lever` is the file of a lever that was pulled."""

    fact: AnyFact | None
    seq: int = 0
    lever: str = ""
    trouble: str = ""  # why it is not on record, though the lever is pulled


def speak(store: Store, state_dir: Path, day_id: str, line: str, who: str) -> Heard:
    """Puts a line on record. Raises ValueError for words that mean nothing here, StoreError where it cannot be kept.

    A `halt` is never refused: what else is wrong with it is told beside the pulled lever.
    """
    began = time.time()
    typed = verbs.take_apart(line)
    if typed.verb in STOPS:
        return _stop(store, state_dir, day_id, line, Speaker(who=typed.options.get("by", who), now=began))
    day = days.fold(store.facts(day_id))
    fact = verbs.parse(line, day, Speaker(who=who, now=began, token=secrets.token_hex(2)))
    return Heard(fact=fact, seq=store.say(day_id, fact))


def reason(day_id: str, line: str = "") -> str:
    """What a lever that was pulled at this day's desk gives as its reason; it begins with the day."""
    return f"game day {day_id}: {line:.400}"


def _stop(store: Store, state_dir: Path, day_id: str, line: str, speaker: Speaker) -> Heard:
    """Pulls the environment's lever; the global one where nobody can tell which environment it is."""
    scope, trouble = "global", ""
    try:
        row = store.day(day_id)
        scope = f"environment.{row.environment}" if row else scope
    except StoreError as why:
        trouble = str(why)
    path = levers.pull(state_dir, scope, speaker.who, reason(day_id, line))
    pulled = msgspec.structs.replace(speaker, now=time.time())
    try:
        fact = verbs.parse(line, days.fold(store.facts(day_id)), pulled)
        return Heard(fact=fact, seq=store.say(day_id, fact), lever=str(path))
    except (ValueError, StoreError) as why:
        return Heard(fact=None, lever=str(path), trouble=trouble or str(why))
