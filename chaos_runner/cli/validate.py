"""Checks files and prints every problem with file:line:col, the line, a caret and what was probably meant.

Of chaos-runner.yaml also what its schedules name: files of schedules, experiments, holidays and freezes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from chaos_runner import files
from chaos_runner.config import Config
from chaos_runner.load import Invalid


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `validate`."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="experiments, scenarios, checks or chaos-runner.yaml"
    )
    parser.add_argument(
        "-o", "--output", choices=["text", "json", "github"], default="text", help="github: annotations for a pipeline"
    )


def run(args: argparse.Namespace) -> int:
    """0 when every file is valid, 2 otherwise."""
    found = [(file, *_read(file)) for file in args.files]
    if args.output == "json":
        from chaos_runner.load import to_json

        problems = [problem for _file, invalid, _notes in found if invalid for problem in invalid.problems]
        sys.stdout.write(to_json(problems) + "\n")
    else:
        for file, invalid, notes in found:
            _print(file, invalid, notes, args.output)
    return 2 if any(invalid for _file, invalid, _notes in found) else 0


def _read(file: Path) -> tuple[Invalid | None, tuple[Any, ...]]:
    """What is wrong with a file, and what was noted of it."""
    try:
        loaded = files.read_any(file)
        if isinstance(loaded.value, Config):
            from chaos_runner import timetable  # only where there may be schedules

            timetable.check(loaded, file)
        return None, loaded.notes
    except Invalid as invalid:
        return invalid, ()


def _print(file: Path, invalid: Any, notes: tuple[Any, ...], output: str) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if invalid is None:
        print(f"{file}: valid")
    elif output == "github":
        from chaos_runner.load import to_github

        print(to_github(invalid.problems))
    else:
        print(invalid.text(), file=sys.stderr)
        many = len(invalid.problems)
        print(f"{file}: {many} problem{'s' if many > 1 else ''}", file=sys.stderr)
