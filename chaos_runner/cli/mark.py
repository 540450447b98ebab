"""Stamps a moment on the game day that is open: the metrics are made of stamps.

chaos-runner mark detected --by rob
chaos-runner mark detected --at -90s --by rob the board turned red
chaos-runner mark mitigated --at 14:05:30           (a time of today in UTC)

A stamp that was wrong is taken back with `chaos-runner gameday say retract N WHY`; N is in the timeline.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from chaos_runner.cli import desk_words

MARKS = ("detected", "evidence", "acknowledged", "mitigated", "restored")


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `mark`."""
    parser._negative_number_matcher = re.compile(r"^-\d")  # noqa: SLF001 -- -90s is no flag
    parser.add_argument("mark", choices=MARKS, help=", ".join(MARKS))
    parser.add_argument("text", nargs="*", metavar="TEXT", help="what you saw")
    parser.add_argument("--at", default="", metavar="WHEN", help="-90s, or a time of today in UTC such as 14:05:30")
    parser.add_argument("--step", default="", metavar="N", help="the step it belongs to (default: the going one)")
    desk_words.options(parser)


def run_words(words: Sequence[str]) -> int:
    """As `run`, with text and options in any order."""
    parser = argparse.ArgumentParser(
        prog="chaos-runner mark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options(parser)
    return run(parser.parse_intermixed_args(list(words)))


def run(args: argparse.Namespace) -> int:
    """0 when it is on record."""
    said = " ".join([args.mark, *args.text])
    return desk_words.speak(args, desk_words.line("mark", said, at=args.at, step=args.step))
