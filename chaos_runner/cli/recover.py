"""Undoes what dead runs left behind, in every environment. Safe to repeat; runs whose runner lives are not touched.

chaos-runner recover                                   undo, read back, tell
chaos-runner recover --watch                           stay until uncertain faults are closed too
chaos-runner recover --forget FAULT --reason WHY       give up on a fault that cannot be undone; reports will say so
chaos-runner recover -e ENV --ledger-lost              undo by the marks on targets, whosever they are

Exit codes: 0 nothing is left, 3 the ledger or a target could not be looked at, 5 something is left.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.cli.sweeping import Pass


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `recover`."""
    sweep(parser, patience="60s")
    parser.add_argument("--watch", action="store_true", help="stay until uncertain faults are closed")
    parser.add_argument("--forget", metavar="FAULT", help="a fault id; see `chaos-runner status`")
    parser.add_argument("--reason", default="", metavar="WHY", help="why it may be forgotten")
    parser.add_argument("--who", default="", help="who says so (default: you@this-host)")
    common.places(parser)
    common.output(parser)


def sweep(parser: argparse.ArgumentParser, *, patience: str) -> None:
    """What `janitor` takes too."""
    parser.add_argument("-e", "--environment", metavar="ENV", help="only this environment (default: all)")
    parser.add_argument(
        "--patience",
        type=duration,
        default=patience,
        metavar="TIME",
        help=f"how long to try each undo (default: {patience})",
    )
    parser.add_argument(
        "--ledger-lost",
        action="store_true",
        help="you know that no other ledger knows of the marks on ENV's targets: undo them all, but what lives",
    )


def duration(text: str) -> float:
    """Seconds."""
    from chaos_runner.expect import quantity

    try:
        return quantity("duration", text)
    except ValueError as why:
        raise argparse.ArgumentTypeError(str(why)) from None


def run(args: argparse.Namespace) -> int:
    """Recovers, or forgets one fault."""
    from chaos_runner.cli.trouble import Usage

    if bool(args.forget) != bool(args.reason.strip()):
        msg = "--forget FAULT and --reason WHY go together"
        raise Usage(msg)
    check(args)
    state = common.state_dir(args)
    if args.forget:
        return _forget(args, state)
    return _recover(args, state)


def check(args: argparse.Namespace) -> None:
    """Raises Usage."""
    from chaos_runner.cli.trouble import Usage

    if args.ledger_lost and not args.environment:
        msg = "--ledger-lost undoes what others may still want: name the environment with -e ENV"
        raise Usage(msg)


def _forget(args: argparse.Namespace, state: Path) -> int:
    from chaos_runner import store

    who = args.who or common.actor()
    with store.open_store(state, allow_tmpfs=True) as ledger:
        ledger.forget(args.forget, args.reason, who)
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "forgotten": args.forget, "who": who, "reason": args.reason})
    else:
        print(f"forgot {args.forget} ({who}: {args.reason}); it blocks nothing more, and its report says so")
    return 0


def _recover(args: argparse.Namespace, state: Path) -> int:
    import anyio

    from chaos_runner.cli import sweeping

    nothing = "nothing to recover: no dead run left anything behind"
    if not args.ledger_lost and sweeping.empty(state):
        nothing = f"nothing has run with {state}, so there is nothing to recover"

    async def swept() -> Pass:
        return await sweeping.swept(args, marks=args.ledger_lost)

    done = anyio.run(swept)
    if args.output == "json":
        common.write_json(sweeping.plain(done))
    else:
        print("\n".join(sweeping.lines(done, state) or [nothing]))
    return done.code
