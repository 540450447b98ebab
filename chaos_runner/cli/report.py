"""Renders a run from the store: html, junit, markdown or json. The same records give the same bytes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from chaos_runner import registry
from chaos_runner.cli import common

FILES = {"html": "html", "junit": "xml"}  # the reports of every run, with the endings of their names


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `report`."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run id or its beginning (default: the last run)")
    parser.add_argument("--format", choices=registry.reports, default="html", help="default: html")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write; - or nothing with --format: stdout")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="the folder of reports")
    common.places(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the report; 0."""
    state = common.state_dir(args)
    run_id = found(args.run, state)
    content = rendered(run_id, state, args.format)
    if args.out is None and args.format == "html":
        args.out = args.reports / f"{run_id}.html"
    if args.out is None or str(args.out) == "-":
        sys.stdout.buffer.write(content)
        return 0
    common.written(args.out, content)
    print(args.out)
    return 0


def found(prefix: str | None, state: Path) -> str:
    """The one run that is meant. Raises Usage."""
    from chaos_runner import store
    from chaos_runner.cli.trouble import Usage

    with store.open_store(state, read_only=True) as ledger:
        if prefix is None:
            latest = ledger.latest_run()
            if latest is None:
                msg = f"there are no runs in {state}; start one with: chaos-runner run FILE"
                raise Usage(msg)
            return latest
        matches = ledger.find_run(prefix)
    if len(matches) != 1:
        which = f"several runs: {', '.join(matches[:5])}" if matches else "no run; see: chaos-runner history"
        msg = f"'{prefix}' names {which}"
        raise Usage(msg)
    return matches[0]


def rendered(run_id: str, state: Path, kind: str) -> bytes:
    """The report of a run."""
    from chaos_runner import store
    from chaos_runner.history import fold

    with store.open_store(state, read_only=True) as ledger:
        entries, samples = ledger.records(run_id), ledger.samples(run_id)
    content: bytes = registry.reports[kind](fold(entries), entries, samples)
    return content


def write(run_id: str, state: Path, folder: Path) -> list[Path]:
    """The HTML report, the JUnit file and the index of a finished run."""
    written = []
    for kind, ending in FILES.items():
        path = folder / f"{run_id}.{ending}"
        common.written(path, rendered(run_id, state, kind))
        written.append(path)
    _index(state, folder)
    return written


def rehearse() -> None:
    """Loads all that `write` needs, by rendering the reports of a run that never was."""
    from chaos_runner import store  # noqa: F401 -- loaded
    from chaos_runner.history import fold
    from chaos_runner.render.html import index

    for kind in FILES:
        registry.reports[kind](fold([]), [], [])
    index.render([])


def _index(state: Path, folder: Path) -> None:
    from chaos_runner import store
    from chaos_runner.render.html import index

    with store.open_store(state, read_only=True) as ledger:
        runs = ledger.runs(limit=500)
    known = [
        index.Summary(
            run=run.run,
            verdict=verdict(run.headline),
            experiment=run.experiment,
            environment=run.environment,
            started_at=run.started_at,
            link=f"{run.run}.html",
        )
        for run in runs
        if (folder / f"{run.run}.html").is_file()
    ]
    common.written(folder / "index.html", index.render(known))


def verdict(headline: str) -> Any:
    """The word for a run that may not have ended."""
    return headline or "UNFINISHED"
