"""Undoes what dead runs left behind, in every environment. Safe to repeat; runs whose runner lives are not touched.

chaos-runner recover                                   undo, read back, tell
chaos-runner recover --watch                           stay until uncertain faults are closed too
chaos-runner recover --forget FAULT --reason WHY       give up on a fault that cannot be undone; reports will say so

Exit codes: 0 nothing is left, 5 something is.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaos_runner.cli import common
from chaos_runner.cli.main import NOT_REVERTED

if TYPE_CHECKING:
    from chaos_runner.recover import Recovered
    from chaos_runner.store import FaultRow, Store


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `recover`."""
    parser.add_argument("-e", "--environment", metavar="ENV", help="only this environment (default: all)")
    parser.add_argument("--watch", action="store_true", help="stay until uncertain faults are closed")
    parser.add_argument(
        "--patience", type=_duration, default=60.0, metavar="TIME", help="how long to try each undo (default: 60s)"
    )
    parser.add_argument("--forget", metavar="FAULT", help="a fault id; see `chaos-runner status`")
    parser.add_argument("--reason", default="", metavar="WHY", help="why it may be forgotten")
    parser.add_argument("--who", default="", help="who says so (default: you@this-host)")
    common.places(parser)
    common.output(parser)


def _duration(text: str) -> float:
    from chaos_runner.expect import quantity

    try:
        return quantity("duration", text)
    except ValueError as why:
        raise argparse.ArgumentTypeError(str(why)) from None


def run(args: argparse.Namespace) -> int:
    """Recovers, or forgets one fault."""
    from chaos_runner import store
    from chaos_runner.cli.trouble import Usage

    if bool(args.forget) != bool(args.reason.strip()):
        msg = "--forget FAULT and --reason WHY go together"
        raise Usage(msg)
    state = common.state_dir(args)
    if _empty(state):
        return _say(args, [], [], f"nothing has run with {state}, so there is nothing to recover")
    args.state_in_use = state
    with store.open_store(state, allow_tmpfs=True) as ledger:
        if args.forget:
            return _forget(args, ledger)
        return _recover(args, ledger)


def _empty(state: Path) -> bool:
    """Whether there is no ledger. Any other trouble shows when it is opened for writing."""
    from chaos_runner import store
    from chaos_runner.store import NoLedger, StoreError

    try:
        store.open_store(state, read_only=True).close()
    except NoLedger:
        return True
    except StoreError:
        return False
    return False


def _forget(args: argparse.Namespace, ledger: Store) -> int:
    who = args.who or common.actor()
    ledger.forget(args.forget, args.reason, who)
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "forgotten": args.forget, "who": who, "reason": args.reason})
    else:
        print(f"forgot {args.forget} ({who}: {args.reason}); it blocks nothing more, and its report says so")
    return 0


def _recover(args: argparse.Namespace, ledger: Store) -> int:
    import anyio

    from chaos_runner import recover

    async def recovered() -> list[Recovered]:
        return await recover.recover(ledger, args.environment, common.tell, patience_s=args.patience, watch=args.watch)

    found = anyio.run(recovered)
    done = {one.run for one in found}
    rows = ledger.open_faults(args.environment)
    held = [row for row in rows if row.run not in done and row.state == "STUCK"]
    for row in held:
        common.tell(
            f"{row.id} on {row.target.key} is stuck; a guardian goes on trying (its log is in {args.state_in_use})"
        )
    nothing = "nothing that is not already being undone" if held else "no dead run left anything behind"
    code = _say(args, found, [row for row in rows if row.run in done], f"nothing to recover: {nothing}")
    return NOT_REVERTED if held else code


def _say(args: argparse.Namespace, found: list[Recovered], still: list[FaultRow], nothing: str) -> int:
    left = any(one.left for one in found)
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "recovered": found, "open": [_plain(row) for row in still]})
        return NOT_REVERTED if left else 0
    print("\n".join([line for one in found for line in _lines(one)] or [nothing]))
    if left:
        print("\nnext: make the target reachable, then again: chaos-runner recover")
        print("  or give up on it: chaos-runner recover --forget FAULT --reason WHY")
    elif still:
        print(f"\n{len(still)} still fenced: a late request could land; to see it closed: chaos-runner recover --watch")
    return NOT_REVERTED if left else 0


def _lines(one: Recovered) -> list[str]:
    undone = f"{len(one.closed)} fault{'s' if len(one.closed) != 1 else ''} undone and read back"
    lines = [f"{one.run} ({one.environment}): {undone if one.closed or one.left else 'no fault was open'}"]
    return lines + [f"  NOT REVERTED: {left if left != '?' else one.why}" for left in one.left]


def _plain(row: FaultRow) -> dict[str, Any]:
    return {"fault": row.id, "run": row.run, "kind": row.kind, "target": row.target.key, "state": row.state}
