"""Finds the command and turns exceptions into exit codes. Imports nothing heavy: commands are loaded when called.

Exit codes are API: 0 HELD (or done), 1 DEVIATED, 2 usage or file, 3 nothing learned, 4 ABORTED, 5 NOT_REVERTED,
70 our bug.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from chaos_runner import spelling
from chaos_runner._imports import absent, expressions_later
from chaos_runner._version import __version__

USAGE, NOTHING_LEARNED, NOT_REVERTED, BUG = 2, 3, 5, 70
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

# command -> what `--help` says; the module of the same name holds `options(parser)` and `run(args) -> exit code`
COMMANDS = {
    "init": "write a chaos-runner.yaml and a first experiment",
    "new": "write an experiment from a template for one failure class",
    "validate": "check files and print every problem with its place",
    "plan": "show exactly what a run would do; changes nothing",
    "run": "run an experiment",
    "halt": "stop what runs and block what would start",
    "resume": "release a lever that `halt` pulled",
    "recover": "undo what dead runs left behind",
    "janitor": "the same for timers, and also from the marks on targets",
    "status": "what runs now, which levers are pulled, what is left over",
    "history": "past runs",
    "gameday": "a scenario's experiments in order, with people and checkpoints",
    "schedule": "run experiments on their own; what was decided, and why",
    "note": "write something down on the open game day, else with the run that goes on",
    "mark": "stamp a moment on the open game day: detected, acknowledged, mitigated, restored",
    "go": "answer what the open game day waits for",
    "serve": "runs and game days in a browser, live, with a halt button",
    "report": "render a run, the site of all runs, or two runs side by side",
    "explain": "print the fields of a fault, a probe or a file",
    "schema": "print the JSON Schema of a file kind",
    "doctor": "check this machine and the environments",
    "demo": "the same experiment on a fragile and a resilient shop",
    "pocket": "a small Kubernetes cluster whose pods are processes of this machine",
    "proxy": "the embedded proxy: Toxiproxy's API, with leases and counters",
    "completion": "print a completion script for bash, zsh or fish",
}


def program() -> int:
    """`main`, as all that this process does: it ends without looking for garbage once more, which took 20 of 170 ms."""
    code = main()
    gc.freeze()
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code."""
    _have_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    if not words:
        parser.print_help()
        return USAGE
    if words[0] in COMMANDS:
        return _guarded(words[0], words[1:])
    if not words[0].startswith("-"):
        return _unknown(words[0])
    parser.parse_args(words)
    return USAGE


def _have_streams() -> None:
    """Closed standard streams would lend their numbers, and whatever is written to them, to the ledger."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - a number, and for good
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _unknown(word: str) -> int:
    near = spelling.nearest(word, COMMANDS)
    hint = f"did you mean '{near}'?" if near else "see: chaos-runner --help"
    print(f"chaos-runner: unknown command {word!r:.60}; {hint}", file=sys.stderr)
    return USAGE


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:<11} {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="chaos-runner",
        usage="chaos-runner COMMAND [ARGUMENTS]",
        description="Runs chaos engineering experiments from files: bounded, aborted in time, always undone.",
        epilog=f"commands:\n{listed}\n\nStart here: chaos-runner demo",
        formatter_class=_formatter,
        add_help=True,
    )
    parser.add_argument("--version", action="version", version=f"chaos-runner {__version__}")
    parser.add_argument("command", choices=list(COMMANDS), metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Argparse's own, told the width: finding it out by itself would load shutil and what that needs."""
    return argparse.RawDescriptionHelpFormatter(prog, width=_columns() - 2)


def _columns() -> int:
    given = os.environ.get("COLUMNS", "")
    try:
        return int(given) if given.isdigit() and int(given) else os.get_terminal_size(1).columns
    except OSError:
        return 80


def _guarded(name: str, words: list[str]) -> int:
    """One command, with every foreseen trouble as a sentence."""
    try:
        code = _called(name, words)
        sys.stdout.flush()  # here, where a reader that left is no error
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _quiet()
    except Exception as error:  # the one place where an exception becomes an exit code
        full = isinstance(error, OSError) and error.errno in FULL and error.filename is None
        return _lost(error) if full else _told(error)


def _called(name: str, words: list[str]) -> int:
    module = _imported(f"chaos_runner.cli.{name}")
    if hasattr(module, "run_words"):  # its flags are another program's
        return int(module.run_words(words))
    parser = argparse.ArgumentParser(
        prog=f"chaos-runner {name}",
        description=module.__doc__,
        formatter_class=_formatter,
    )
    module.options(parser)
    code: int = module.run(parser.parse_args(words))
    return code


def _imported(module: str) -> ModuleType:
    """The module of a command, imported in two thirds of the time that it would take.

    Nothing of it is garbage, so the collector rests; and msgspec looks in typing_extensions, where that is installed,
    for what `typing` has had since Python 3.11: for 18 of 140 ms it is not found there.
    """
    gc.disable()
    try:
        with absent("typing_extensions"), expressions_later():
            importlib.import_module("msgspec")
        return importlib.import_module(module)
    finally:
        gc.enable()


def _lost(why: Exception) -> int:
    """A result that did not get where it was sent is no success."""
    _quiet()
    with contextlib.suppress(OSError):
        print(f"chaos-runner: the output could not be written: {why}", file=sys.stderr, flush=True)
    return USAGE


def _quiet() -> int:
    """The reader of our output left; that is not an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _told(error: Exception) -> int:
    from chaos_runner.cli import trouble

    try:
        return trouble.tell(error)
    except OSError:  # a stderr that is full must not turn one exit code into another
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        return trouble.tell(error)
