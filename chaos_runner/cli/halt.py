"""Stops what runs and blocks what would start: pulls a lever, and waits until no fault is open.

chaos-runner halt                         everything (the global lever)
chaos-runner halt environment.staging     one environment; so also service.NAME and experiment.NAME
chaos-runner halt --run RUN               one run, now; pulls no lever
chaos-runner halt --drill                 pulls the lever, measures, and releases it again

The lever is a file and needs no database. A run that does not stop gets SIGTERM after 5 s and SIGKILL after 10 s; its
guardian undoes then. Exit codes: 0 no fault is open, 3 the ledger cannot be read, 5 something is left.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_runner.cli import common, scope
from chaos_runner.cli.main import NOT_REVERTED, NOTHING_LEARNED

if TYPE_CHECKING:
    from chaos_runner.cli.stopping import Halted, Stopping


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `halt`."""
    scope.options(parser, required=False)
    parser.add_argument("--reason", default="", metavar="WHY", help="kept with the lever")
    parser.add_argument("--who", default="", help="who pulls it (default: you@this-host)")
    parser.add_argument("--run", metavar="RUN", help="stop this run only; pulls no lever")
    parser.add_argument("--drill", action="store_true", help="practise: release the lever again afterwards")
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """Pulls, waits, tells."""
    state = common.state_dir(args)
    if args.run:
        if args.scope or args.drill:
            from chaos_runner.cli.trouble import Usage

            msg = "--run stops one run and pulls no lever; leave out SCOPE and --drill"
            raise Usage(msg)
        return _halt_run(args, state)
    return _halt_scope(args, state, scope.read(args.scope))


def _halt_scope(args: argparse.Namespace, state: Path, lever: str) -> int:
    from chaos_runner.store import levers

    was_there = state.is_dir()
    who = args.who or common.actor()
    if args.drill:
        _refuse_drill(state, lever)
    began, at = time.monotonic(), time.time()  # a quick run is clean before the rest of this is loaded
    path = levers.pull(state, lever, who, args.reason or ("drill" if args.drill else ""))
    took = time.monotonic() - began
    common.tell(f"pulled {lever}: {path}")
    if not was_there:
        common.tell(f"warning: nothing has run with {state} before; runs of another folder do not see this lever")

    from chaos_runner.cli.stopping import Stopping

    stopping = Stopping(
        state,
        lambda run, service: scope.concerns(lever, run.environment, service, run.experiment),
        common.tell,
        pulled_at=at,
    )
    halted = stopping.wait()
    if args.drill:
        levers.release(state, lever, who, "end of the drill")
    return _end(args, lever, path, stopping, halted, took)


def _refuse_drill(state: Path, lever: str) -> None:
    from chaos_runner.store import levers

    if lever in {one.scope for one in levers.all(state)}:
        from chaos_runner.cli.trouble import Usage

        msg = f"{lever} is pulled in earnest; a drill would release it. See: chaos-runner status"
        raise Usage(msg)


def _halt_run(args: argparse.Namespace, state: Path) -> int:
    from chaos_runner.cli import report
    from chaos_runner.cli.stopping import Patience, Stopping

    wanted = report.found(args.run, state)
    stopping = Stopping(state, lambda run, _service: run.id == wanted, common.tell, Patience(term_s=0.0, kill_s=5.0))
    halted = stopping.wait()
    if not halted and not stopping.trouble:
        common.tell(f"{wanted} is not running")
    return _end(args, "", None, stopping, halted, 0.0)


def _end(
    args: argparse.Namespace, lever: str, path: Path | None, stopping: Stopping, halted: list[Halted], took: float
) -> int:
    code = NOT_REVERTED if any(one.left for one in halted) else NOTHING_LEARNED if stopping.trouble else 0
    if args.output == "json":
        common.write_json(
            {
                "schemaVersion": 1,
                "scope": lever,
                "lever": str(path) if path else "",
                "drill": args.drill,
                "runs": halted,
                "trouble": stopping.trouble,
            }
        )
        return code
    for one in halted:
        print(line(one))
    if not halted and not stopping.trouble and not args.run:
        print("nothing that it concerns was running")
    if stopping.trouble:
        print(f"not watched: {stopping.trouble}", file=sys.stderr)
        print("  the lever holds all the same: a run sees it within a second", file=sys.stderr)
    print(_next(args, lever, code, took))
    return code


def line(one: Halted) -> str:
    """What became of one run."""
    about = f"{one.run}  {one.experiment} on {one.environment}"
    if one.left:
        return f"{about}: NOT REVERTED: {'; '.join(one.left)}"
    faults = f"{one.faults} fault{'s' if one.faults != 1 else ''}"
    gone = f"{faults} gone {one.gone_s:.2f} s after the pull" if one.gone_s is not None else "no fault was open"
    end = f"ended {one.headline}".rstrip() if one.state == "ENDED" else "it goes on measuring until it is steady again"
    return f"{about}: {gone}; {end}"


def _next(args: argparse.Namespace, lever: str, code: int, took: float) -> str:
    if code == NOT_REVERTED:
        return "\nnext: chaos-runner recover"
    if not lever:
        return "\nnext: chaos-runner status"
    if args.drill:
        return f"\nthe drill is over: the lever was in place after {took * 1000:.0f} ms and is released again"
    return f"\nnothing starts there until: chaos-runner resume {lever} --reason WHY"
