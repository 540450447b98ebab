"""What the commands share that say a word on a game day: which day is meant, who speaks, and what became of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_runner.cli import common
from chaos_runner.cli.main import NOTHING_LEARNED, USAGE

if TYPE_CHECKING:
    from chaos_runner.store import DayRow


def options(parser: argparse.ArgumentParser) -> None:
    """--by, --day, and where the state is"""
    parser.add_argument("--by", default="", metavar="NAME", help="who speaks (default: you@this-host)")
    parser.add_argument("--day", default="", metavar="DAY", help="a game day or its beginning (default: the open one)")
    common.places(parser)
    common.output(parser)


def line(verb: str, text: str = "", **given: str) -> str:
    """The words as they are said at the desk."""
    told = "".join(f' --{name} "{value}"' for name, value in given.items() if value)
    return f"{verb}{told} {text}".strip()


def joined(words: list[str]) -> str:
    """What a shell took apart, as one line: only the value of an option keeps its blanks together."""
    out: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        out.append(f'"{word}"' if before.startswith("--") and "=" not in before and " " in word else word)
    return " ".join(out)


def open_day(state: Path) -> DayRow | None:
    """The game day that is not over."""
    from chaos_runner import store
    from chaos_runner.store import NoLedger

    try:
        with store.open_store(state, read_only=True) as ledger:
            return ledger.open_day()
    except NoLedger:
        return None


def meant(state: Path, prefix: str) -> str:
    """The one day that is meant. Raises Usage."""
    from chaos_runner import store
    from chaos_runner.cli.trouble import Usage

    if not prefix:
        row = open_day(state)
        if row is not None:
            return row.id
        raise Usage(_none_open(state))
    with store.open_store(state, read_only=True) as ledger:
        found = ledger.find_day(prefix)
    if len(found) == 1:
        return found[0]
    which = f"several game days: {', '.join(found[:5])}" if found else "no game day; see: chaos-runner gameday list"
    msg = f"'{prefix}' names {which}"
    raise Usage(msg)


def _none_open(state: Path) -> str:
    from chaos_runner import store
    from chaos_runner.store import NoLedger

    try:
        with store.open_store(state, read_only=True) as ledger:
            last = ledger.days(1)
    except NoLedger:
        last = []
    after = f"; for the last one say: --day {last[0].id}" if last else ""
    return f"no game day is open in {state}{after}"


def speak(args: argparse.Namespace, said: str) -> int:
    """Says the line and tells what became of it: 0 on record, 2 where it means nothing, 3 where it cannot be kept."""
    from chaos_runner.console import speaking

    state = common.state_dir(args)
    day = meant(state, args.day)
    answer = speaking.say(state, day, said, args.by or common.actor())
    code = 0 if answer.seq or answer.lever else NOTHING_LEARNED if answer.lost else USAGE
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "day": day, **_fields(answer)})
        return code
    _tell(answer, day)
    return code


def _fields(answer: object) -> dict[str, object]:
    import msgspec

    fields: dict[str, object] = msgspec.to_builtins(answer)
    return fields


def _tell(answer: object, day: str) -> None:
    from chaos_runner.console.speaking import Answer
    from chaos_runner.render import text

    assert isinstance(answer, Answer)
    if answer.seq:
        print(text.one_line(f"{day} #{answer.seq} {answer.told}", 600))
    if answer.sentence:
        print(text.one_line(f"chaos-runner: {answer.sentence}", 600), file=sys.stderr)
