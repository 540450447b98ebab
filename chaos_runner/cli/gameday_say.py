"""Says anything on a game day that a console takes: the same words, with the same options.

chaos-runner gameday say no-go an incident is on --by abe
chaos-runner gameday say predict deviates 70% --by rita
chaos-runner gameday say --day day-2026 retract 17 it was another alert

`chaos-runner gameday say help` lists the words.
"""

from __future__ import annotations

import argparse

from chaos_runner.cli import desk_words


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `gameday say`."""
    desk_words.options(parser)
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="WORDS", help="a verb, its text and its options")


def run(args: argparse.Namespace) -> int:
    """0 when it is on record."""
    if args.words == ["help"]:
        from chaos_runner.gameday.verbs import VERBS

        for verb in VERBS.values():
            print(f"{verb.usage}\n    {verb.help}")
        return 0
    return desk_words.speak(args, desk_words.joined(args.words))
