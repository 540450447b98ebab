"""Past runs, newest first: when, what, where, how it ended, how long it took, where its report is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.store import Summary


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `history`."""
    parser.add_argument("-n", "--number", type=_number, default=20, metavar="N", help="how many (default: 20)")
    parser.add_argument("--experiment", metavar="NAME", help="only runs of this experiment")
    parser.add_argument("-e", "--environment", metavar="ENV", help="only runs in this environment")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="the folder of reports")
    common.places(parser)
    common.output(parser)


def _number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        msg = f"'{text}' is no number from 1 to 10000"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Prints the table; 0 also when there are none."""
    from chaos_runner import store
    from chaos_runner.store import NoLedger

    state = common.state_dir(args)
    found: list[Summary] = []
    try:
        with store.open_store(state, read_only=True) as ledger:
            found = ledger.runs(args.number, args.environment, args.experiment)
    except NoLedger as why:
        common.tell(str(why))
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "runs": [_plain(one, args.reports) for one in found]})
        return 0
    if not found:
        print("no runs; start one with: chaos-runner run FILE")
        return 0
    head = ("started", "experiment", "environment", "verdict", "took", "run", "report")
    print("\n".join(common.table([head, *(_row(one, args.reports) for one in found)])))
    return 0


def _row(one: Summary, reports: Path) -> tuple[str, ...]:
    from chaos_runner.render import text

    took = text.duration(round(one.ended_at - one.started_at)) if one.ended_at is not None else ""
    verdict = one.headline or "UNFINISHED"
    return text.utc(one.started_at), one.experiment, one.environment, verdict, took, one.run, _report(one, reports)


def _report(one: Summary, reports: Path) -> str:
    path = reports / f"{one.run}.html"
    return str(path) if path.is_file() else ""


def _plain(one: Summary, reports: Path) -> dict[str, Any]:
    import msgspec

    return {**msgspec.to_builtins(one), "report": _report(one, reports)}
