"""Says a line at the desk, wherever it was typed. What is wrong with it comes back as a sentence, never as an error.

A `halt` or an `incident` pulls its lever although the ledger cannot be opened.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from chaos_runner import desk, store
from chaos_runner.gameday import sentences, verbs
from chaos_runner.gameday.facts import ConsoleAttached
from chaos_runner.store import StoreError, levers


class Answer(msgspec.Struct, frozen=True):
    """What became of a line: the fact's number, or why there is none; `lever` is one that was pulled."""

    seq: int = 0
    told: str = ""
    trouble: str = ""
    lever: str = ""
    lost: bool = False  # the words were right, and the ledger did not take them

    @property
    def sentence(self) -> str:
        """For whoever typed it."""
        pulled = f"the lever is pulled: {self.lever}" if self.lever else ""
        lost = f"not on record: {self.trouble}" if self.trouble else ""
        return "; ".join(part for part in (pulled, lost) if part)


def say(state_dir: Path, day_id: str, line: str, who: str, scope: str = "global") -> Answer:
    """Puts a line on record. `scope` is the lever that a halt pulls where the ledger cannot even be opened."""
    try:
        with store.open_store(state_dir) as ledger:
            heard = desk.speak(ledger, state_dir, day_id, line, who)
        told = sentences.tell(heard.fact) if heard.fact is not None else ""
        return Answer(heard.seq, told, heard.trouble, heard.lever)
    except ValueError as why:
        return Answer(trouble=str(why))
    except StoreError as why:
        return _stopped(state_dir, day_id, line, who, scope, str(why))


def _stopped(state_dir: Path, day_id: str, line: str, who: str, scope: str, why: str) -> Answer:
    """The lever of a line that could not be kept, where it is one that stops."""
    try:
        if verbs.take_apart(line).verb not in desk.STOPS:
            return Answer(trouble=why, lost=True)
        pulled = levers.pull(state_dir, scope, who, desk.reason(day_id, line))
        return Answer(trouble=why, lever=str(pulled), lost=True)
    except (ValueError, StoreError) as also:
        return Answer(trouble=f"{why}; {also}", lost=True)


def come_in(state_dir: Path, day_id: str, who: str, where: str) -> None:
    """Writes down that somebody looks, if that can be written."""
    with contextlib.suppress(StoreError), store.open_store(state_dir) as ledger:
        ledger.say(day_id, ConsoleAttached(who=who, where=where))
