"""Renders a game day from the store: a page, JSON, or the draft of a postmortem. The same facts give the same bytes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from chaos_runner.cli import common, gameday_told

FILES = {"html": "html", "json": "json", "postmortem": "postmortem.md"}  # formats, and the endings of their files


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `gameday report`."""
    parser.add_argument("day", nargs="?", metavar="DAY", help="a day's id or its beginning (default: the last day)")
    parser.add_argument("--format", choices=[*FILES], default="html", help="default: html")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write; - or nothing with --format: stdout")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="the folder of reports")
    common.places(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the report; 0."""
    state = common.state_dir(args)
    day = gameday_told.found(args.day, state)
    content = rendered(day, state, args.reports, args.format)
    if args.out is None and args.format == "html":
        args.out = args.reports / f"{day}.html"
    if args.out is None or str(args.out) == "-":
        sys.stdout.buffer.write(content)
        return 0
    common.written(args.out, content)
    print(args.out)
    return 0


def rendered(day_id: str, state: Path, folder: Path, kind: str) -> bytes:
    """The report of a day; `folder` is where the reports of its runs are."""
    from chaos_runner import store
    from chaos_runner.render.gameday import RENDERERS

    with store.open_store(state, read_only=True) as ledger:
        whole = gameday_told.told(ledger, day_id, folder)
    return RENDERERS[kind](whole)


def write(day_id: str, state_dir: Path, folder: Path) -> list[Path]:
    """The page, the JSON and the draft of a postmortem of a day. Raises Usage and StoreError."""
    from chaos_runner import store
    from chaos_runner.render.gameday import RENDERERS

    with store.open_store(state_dir, read_only=True) as ledger:
        whole = gameday_told.told(ledger, day_id, folder)
    written = []
    for kind, ending in FILES.items():
        path = folder / f"{day_id}.{ending}"
        common.written(path, RENDERERS[kind](whole))
        written.append(path)
    return written
