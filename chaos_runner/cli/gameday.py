"""Game days: a scenario's experiments in order, with people, checkpoints and an abort authority."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from chaos_runner import spelling

USAGE = 2

# verb -> what `--help` says; the module `gameday_<verb>` has `options(parser)` and `run(args) -> exit code`
VERBS: dict[str, str] = {
    "check": "days before: what is still to be done; changes nothing",
    "run": "begin a game day: its conductor, and a console",
    "resume": "take up a day whose conductor died",
    "status": "how it stands, and whose answer it waits for",
    "end": "end it: what runs is stopped and undone first",
    "attach": "show a day and take words for it, in this terminal",
    "say": "say anything that a console takes, from any terminal",
    "list": "game days, newest first",
    "report": "the page of a day, its JSON, or the draft of a postmortem",
    "actions": "action items of all days, overdue first; settle one",
    "rerun": "run the experiment of an action item again",
}
HIDDEN = {"conduct"}  # started by us


def run_words(words: Sequence[str]) -> int:
    """Does what the verb says; the exit code."""
    if not words or words[0] in {"-h", "--help"}:
        print(_help())
        return 0 if words else USAGE
    verb = words[0]
    if verb not in VERBS and verb not in HIDDEN:
        near = spelling.nearest(verb, VERBS)
        hint = f"did you mean '{near}'?" if near else "see: chaos-runner gameday --help"
        print(f"chaos-runner gameday: unknown verb {verb!r:.60}; {hint}", file=sys.stderr)
        return USAGE
    module = importlib.import_module(f"chaos_runner.cli.gameday_{verb}")
    parser = argparse.ArgumentParser(
        prog=f"chaos-runner gameday {verb}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.options(parser)
    code: int = module.run(parser.parse_args(list(words[1:])))
    return code


def _help() -> str:
    listed = "\n".join(f"  {verb:<11} {text}" for verb, text in VERBS.items())
    return f"usage: chaos-runner gameday VERB [ARGUMENTS]\n\n{__doc__}\n\nverbs:\n{listed}"
