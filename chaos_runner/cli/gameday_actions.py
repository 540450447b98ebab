"""Action items of all game days: the open ones, overdue first; or settles one.

chaos-runner gameday actions                                    what is open, overdue first
chaos-runner gameday actions --all                              also what is settled
chaos-runner gameday actions done ACTION --by YOU --reason WHY  it is done; accept, drop and reopen likewise
"""

from __future__ import annotations

import argparse
import datetime as dt
from typing import TYPE_CHECKING, Any

from chaos_runner.cli import common, gameday_told

if TYPE_CHECKING:
    from chaos_runner.gameday.day import ActionView

SETTLES = {"done": "done", "accept": "accepted", "drop": "dropped", "reopen": "open"}
WORDS = {"done": "is done", "accepted": "is an accepted risk", "dropped": "was dropped", "open": "is open again"}


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `gameday actions`."""
    parser.add_argument("verb", nargs="?", choices=["list", *SETTLES], default="list", metavar="VERB",
                        help=f"list (the default), {', '.join(SETTLES)}")  # fmt: skip
    parser.add_argument("action", nargs="?", default="", metavar="ACTION", help="its id, or the beginning of it")
    parser.add_argument("--by", metavar="NAME", help="who says so (default: you@this-host)")
    parser.add_argument("--reason", default="", metavar="WHY", help="why it is settled")
    parser.add_argument("--all", action="store_true", help="also those that are settled")
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """0; also when there are none."""
    return _list(args) if args.verb == "list" else _settle(args)


def _settle(args: argparse.Namespace) -> int:
    from chaos_runner import store
    from chaos_runner.cli.trouble import Usage
    from chaos_runner.gameday.facts import ActionSettled

    if not args.action or not args.reason.strip():
        msg = f"say which action and why: chaos-runner gameday actions {args.verb} ACTION --reason WHY"
        raise Usage(msg)
    state = SETTLES[args.verb]
    with store.open_store(common.state_dir(args)) as ledger:
        view = gameday_told.action(ledger, args.action)
        fact = ActionSettled(view.added.id, state, args.by or common.actor(), args.reason)  # type: ignore[arg-type]
        seq = ledger.say(view.day, fact)
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "day": view.day, "action": view.added.id, "state": state, "seq": seq})
        return 0
    print(common.table([(f"{view.added.id} {WORDS[state]}: {view.added.finding}",)])[0])
    return 0


def _list(args: argparse.Namespace) -> int:
    from chaos_runner import store

    today = dt.datetime.now(dt.UTC).date().isoformat()
    with store.open_store(common.state_dir(args), read_only=True) as ledger:
        every = [one for one in gameday_told.actions(ledger) if args.all or one.state == "open"]
    ordered = sorted(every, key=lambda one: _urgency(one, today))
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "today": today, "actions": [_plain(one, today) for one in ordered]})
        return 0
    if not ordered:
        print("no open action items" if not args.all else "no action items")
        return 0
    head = ("due", "priority", "state", "owner", "action", "what", "run again")
    print("\n".join(common.table([head, *(_row(one, today) for one in ordered)])))
    return 0


def _urgency(view: ActionView, today: str) -> tuple[Any, ...]:
    """Open before settled, overdue first, then by date and priority; without a date comes last."""
    return view.state != "open", not overdue(view, today), view.added.due or "9999", view.added.priority, view.added.id


def overdue(view: ActionView, today: str) -> bool:
    """Whether it should have been done by yesterday."""
    return view.state == "open" and bool(view.added.due) and view.added.due < today


def _row(view: ActionView, today: str) -> tuple[str, ...]:
    one = view.added
    state = "OVERDUE" if overdue(view, today) else view.state
    return one.due or "no date", one.priority, state, one.owner or "nobody", one.id, one.finding, one.rerun


def _plain(view: ActionView, today: str) -> dict[str, Any]:
    import msgspec

    settled = msgspec.to_builtins(view.settled) if view.settled is not None else None
    return {
        **msgspec.to_builtins(view.added),
        "day": view.day,
        "state": view.state,
        "overdue": overdue(view, today),
        "settled": settled,
    }
