"""Renders a run from the store: html, junit, markdown or json. The same records give the same bytes.

chaos-runner report [RUN]        one run; the last one without a name
chaos-runner report index        a static site of all runs: filters, trends, coverage, open actions, skips
chaos-runner report diff A B     two runs side by side: text, html or json
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_runner import registry
from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.history import Run
    from chaos_runner.store import Store

CONCLUSIVE = ("HELD", "DEVIATED", "ABORTED", "NOT_REVERTED")
EARLIER_MAX = 200  # how far back an earlier run is looked for
FILES = {"html": "html", "junit": "xml"}  # the reports of every run, with the endings of their names


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `report`."""
    parser.add_argument(
        "words", nargs="*", metavar="RUN", help="a run id or its beginning (default: the last run); index; diff A B"
    )
    parser.add_argument("--format", choices=[*registry.reports, "text"], help="default: html; of diff: text")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write; - or nothing with --format: stdout")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="the folder of reports")
    common.places(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the report, the site or the difference; 0."""
    from chaos_runner.cli.trouble import Usage

    match args.words:
        case ["index"]:
            from chaos_runner.cli import report_index

            return report_index.run(args)
        case ["diff", first, second]:
            from chaos_runner.cli import report_diff

            _allowed(args.format, report_diff.FORMATS, "the difference of two runs")
            return report_diff.run(args, first, second)
        case [] | [_]:
            return _one(args, args.words[0] if args.words else None)
    msg = "name one run, or: chaos-runner report index, chaos-runner report diff A B"
    raise Usage(msg)


def _allowed(kind: str | None, known: Iterable[str], what: str) -> None:
    from chaos_runner.cli.trouble import Usage

    if kind is not None and kind not in known:
        msg = f"there is no {kind} of {what}; take --format {', '.join(known)}"
        raise Usage(msg)


def _one(args: argparse.Namespace, prefix: str | None) -> int:
    kind = args.format or "html"
    _allowed(kind, registry.reports, "one run")
    state = common.state_dir(args)
    run_id = found(prefix, state)
    content = rendered(run_id, state, kind)
    if args.out is None and kind == "html":
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
        run = fold(entries)
        more = {"earlier": _earlier(ledger, run_id)} if kind == "html" else {}
    content: bytes = registry.reports[kind](run, entries, samples, **more)
    return content


def _earlier(ledger: Store, run_id: str) -> Run | None:
    """The last conclusive run of the same experiment in the same environment before this one, if it can be read."""
    from chaos_runner.history import fold
    from chaos_runner.store import StoreError

    own = ledger.run(run_id)
    if own is None:
        return None
    known = ledger.runs(EARLIER_MAX, own.environment, own.experiment)  # newest first
    before = itertools.dropwhile(lambda one: one.run != run_id, known)
    found = next((one.run for one in before if one.run != run_id and one.headline in CONCLUSIVE), None)
    try:
        return fold(ledger.records(found)) if found else None
    except StoreError:  # a damaged earlier run costs the comparison, not the report
        return None


def write(run_id: str, state: Path, folder: Path) -> list[Path]:
    """The HTML report and the JUnit file of a finished run; the site of all runs is brought up to date."""
    written = []
    for kind, ending in FILES.items():
        path = folder / f"{run_id}.{ending}"
        common.written(path, rendered(run_id, state, kind))
        written.append(path)
    _listed(run_id, state, folder)
    return written


def _listed(run_id: str, state: Path, folder: Path) -> None:
    """The site is worth a warning, and not the report of the run."""
    from chaos_runner.cli import site
    from chaos_runner.store import StoreError

    try:
        site.build(state, folder, run=run_id, most=site.AFTER_A_RUN)
    except (StoreError, OSError) as why:
        common.tell(f"warning: the list of all runs is as it was: {why}; write it with: chaos-runner report index")


def rehearse() -> None:
    """Loads all that `write` needs, by rendering the reports of a run that never was."""
    from chaos_runner import store  # noqa: F401 -- loaded
    from chaos_runner.cli import site
    from chaos_runner.history import fold

    for kind in FILES:
        registry.reports[kind](fold([]), [], [])
    site.rehearse()
