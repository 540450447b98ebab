"""Shows a game day and takes words for it, until it ends or you leave. Leaving, or dying, changes nothing.

On a terminal it is the Textual console where that is installed (`pip install 'chaos-runner[console]'`), else lines
below a head; without a terminal the day's lines go to stdout, and verbs come from stdin.
"""

from __future__ import annotations

import argparse

from chaos_runner.cli import common, desk_words


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `gameday attach`."""
    parser.add_argument("day", nargs="?", default="", metavar="DAY", help="a day or its beginning (default: the open)")
    parser.add_argument("--by", "--who", default="", metavar="NAME", help="who you are")
    parser.add_argument("--plain", action="store_true", help="lines, also on a terminal")
    common.places(parser)


def run(args: argparse.Namespace) -> int:
    """0 at the day's end, or when you leave."""
    from chaos_runner.console import entrance

    state = common.state_dir(args)
    return entrance.attach(state, desk_words.meant(state, args.day), args.by or common.actor(), lines=args.plain)
