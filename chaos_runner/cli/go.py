"""Answers what a game day waits for: go on. The other answer is `chaos-runner gameday say no-go REASON`.

chaos-runner go --by fay
chaos-runner go --as facilitator all dashboards are green --by fay
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from chaos_runner.cli import desk_words


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `go`."""
    parser.add_argument("reason", nargs="*", metavar="REASON", help="kept with the answer")
    parser.add_argument("--as", dest="role", default="", metavar="ROLE", help="in which role, where you have several")
    desk_words.options(parser)


def run_words(words: Sequence[str]) -> int:
    """As `run`, with text and options in any order."""
    parser = argparse.ArgumentParser(
        prog="chaos-runner go", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options(parser)
    return run(parser.parse_intermixed_args(list(words)))


def run(args: argparse.Namespace) -> int:
    """0 when the day took it."""
    return desk_words.speak(args, desk_words.line("go", " ".join(args.reason), **{"as": args.role}))
