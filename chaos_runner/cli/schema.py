"""Prints the JSON Schema (draft-07) of a file kind, for editors and pipelines.

chaos-runner schema experiment > experiment.json     and in the file:  # yaml-language-server: $schema=experiment.json
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from chaos_runner.cli.writing import KINDS


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `schema`."""
    parser.add_argument(
        "kind", nargs="?", choices=KINDS, default="experiment", help="which files (default: experiment)"
    )


def run(args: argparse.Namespace) -> int:
    """Prints it, with the kinds of every installed package; 0."""
    from chaos_runner import registry
    from chaos_runner.cli import writing

    registry.faults.find_all()
    registry.probes.find_all()
    registry.notifiers.find_all()
    sys.stdout.write(writing.schema_text(args.kind))
    return 0


def of(kind: str) -> dict[str, Any]:
    """The schema of one file kind, as plain JSON values."""
    from chaos_runner import configure, files
    from chaos_runner.load import schema

    return schema.schema(types()[kind], kinds=files.kinds(), parsed=configure.parsers())


def types() -> dict[str, Any]:
    """File kind -> the type of such a file."""
    from chaos_runner.config import Checks, Config
    from chaos_runner.gameday.scenario import Scenario
    from chaos_runner.model import Experiment

    return {"experiment": Experiment, "scenario": Scenario, "config": Config, "checks": Checks}
