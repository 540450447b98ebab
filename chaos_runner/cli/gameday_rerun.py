"""Runs the experiment of an action item again, in the environment of its day. HELD is the proof that it is done.

Whatever else comes out, the action stays open, and the run is named with it. The exit code is the run's.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_runner.cli import common, gameday_told

if TYPE_CHECKING:
    from chaos_runner.gameday.day import ActionView, Day
    from chaos_runner.store import Store, Summary


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `gameday rerun`."""
    parser.add_argument("action", metavar="ACTION", help="its id, or the beginning of it")
    parser.add_argument("--by", metavar="NAME", help="who runs it (default: you@this-host)")
    parser.add_argument("--yes", action="store_true", help="do not ask for the environment's name")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="where reports go (default: ./reports)")
    common.places(parser)


def run(args: argparse.Namespace) -> int:
    """The exit code of the run; 2 where the action names no experiment."""
    from chaos_runner import store
    from chaos_runner.cli import run as one_run
    from chaos_runner.gameday.day import fold

    state = common.state_dir(args)
    with store.open_store(state, read_only=True) as ledger:
        view = gameday_told.action(ledger, args.action)
        day = fold(ledger.facts(view.day))
        before = {one.run for one in ledger.runs(limit=gameday_told.RUNS_MAX)}
    parser = argparse.ArgumentParser()
    one_run.options(parser)
    code = one_run.run(parser.parse_args(_words(view, day, args, state)))
    with store.open_store(state, allow_tmpfs=True) as ledger:
        mine = _ran(ledger, before)
        if mine is not None:
            _settle(ledger, view, mine, args.by or common.actor())
    return code


def _words(view: ActionView, day: Day, args: argparse.Namespace, state: Path) -> list[str]:
    words = [str(experiment(view, day)), "--reports", str(args.reports), "--state", str(state)]
    words += ["-e", day.scenario.environment] if day.scenario else []
    words += ["--config", str(args.config)] if args.config else []
    return [*words, *(["--yes"] if args.yes else [])]


def experiment(view: ActionView, day: Day) -> Path:
    """The experiment's file: as the scenario names it, from its folder; or from here. Raises Usage."""
    from chaos_runner.cli.trouble import Usage

    name = view.added.rerun
    if not name:
        msg = f"action {view.added.id} names no experiment to run again; settle it with: gameday actions done"
        raise Usage(msg)
    folder = Path(day.started.file).parent if day.started else Path()
    places = [Path(os.path.normpath(folder / name)), Path(name)]
    path = next((one for one in places if one.is_file()), None)
    if path is None:
        msg = f"the experiment of action {view.added.id} is neither {places[0]} nor {places[1]}"
        raise Usage(msg)
    return path


def _ran(ledger: Store, before: set[str]) -> Summary | None:
    """The run that this process began just now; None where it was refused before."""
    from chaos_runner.store import Owner

    mine = Owner.mine()
    for one in ledger.runs(limit=gameday_told.RUNS_MAX):
        row = ledger.run(one.run) if one.run not in before else None
        if row is not None and row.owner == mine:
            return one
    return None


def _settle(ledger: Store, view: ActionView, ran: Summary, who: str) -> None:
    """The action is done if its experiment held; else it stays open, and says which run showed that."""
    from chaos_runner.gameday.facts import ActionSettled

    held = ran.headline == "HELD"
    told = (ran.headline or "no outcome").replace("_", " ")
    fact = ActionSettled(view.added.id, "done" if held else "open", who, f"run again: {told}", ran.run)
    ledger.say(view.day, fact)
    state = "is done: its experiment held" if held else f"stays open: {told}"
    common.tell(f"action {view.added.id} {state} (run {ran.run})")
