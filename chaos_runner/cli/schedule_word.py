"""What people tell schedules: arm, disarm, pause, resume, ack. Each takes a name, and is kept."""

from __future__ import annotations

import argparse
import time
from datetime import datetime

from chaos_runner import store
from chaos_runner.cli import common

UNTIL_MAX_S = 31 * 86400.0


def arm(args: argparse.Namespace) -> int:
    """Lets schedules run in an environment until then."""
    from chaos_runner.render import text

    _need(args, "arm ENV --by NAME --until TIME", args.by, args.until)
    environment = _environment(args)
    until = _until(args.until)
    with _ledger(args) as ledger:
        ledger.arm(environment, args.by, until)
    return _said(
        args, f"{environment} is armed until {text.utc(until)} by {args.by}", environment=environment, until=until
    )


def disarm(args: argparse.Namespace) -> int:
    """Takes it back: nothing starts there any more on its own; what runs goes on."""
    _need(args, "disarm ENV")
    environment = _environment(args)
    with _ledger(args) as ledger:
        was = ledger.disarm(environment)
    return _said(args, f"{environment} is {'not armed any more' if was else 'not armed'}", environment=environment)


def pause(args: argparse.Namespace) -> int:
    """Puts a schedule aside."""
    _need(args, "pause NAME --by YOU --reason WHY", args.by, args.reason)
    with _ledger(args) as ledger:
        ledger.pause(args.name, args.by, args.reason)
    return _said(args, f"{args.name} is paused by {args.by}: {args.reason}", schedule=args.name)


def resume(args: argparse.Namespace) -> int:
    """Takes it up again."""
    _need(args, "resume NAME")
    with _ledger(args) as ledger:
        was = ledger.unpause(args.name)
    return _said(args, f"{args.name} is {'not paused any more' if was else 'not paused'}", schedule=args.name)


def ack(args: argparse.Namespace) -> int:
    """Somebody looked at the failure: the schedule may run again."""
    _need(args, "ack NAME --by YOU --reason WHY", args.by, args.reason)
    with _ledger(args) as ledger:
        ledger.acknowledge(args.name, args.by, args.reason, args.ticket)
    return _said(args, f"{args.name} may run again: {args.by} says {args.reason}", schedule=args.name)


def _need(args: argparse.Namespace, usage: str, *given: str) -> None:
    if args.name and all(one.strip() for one in given):
        return
    from chaos_runner.cli.trouble import Usage

    msg = f"say: chaos-runner schedule {usage}"
    raise Usage(msg)


def _environment(args: argparse.Namespace) -> str:
    from chaos_runner import configure

    return configure.choose(common.configuration(args), args.name)


def _until(told: str) -> float:
    """A moment: a length from now, or a date with its zone. Raises Usage."""
    from chaos_runner.cli.trouble import Usage
    from chaos_runner.expect import quantity

    now = time.time()
    try:
        at = now + quantity("duration", told)
    except ValueError:
        try:
            moment = datetime.fromisoformat(told)
        except ValueError:
            msg = f"--until: '{told}' is neither a length such as 8h nor a time such as 2026-12-24T16:00+01:00"
            raise Usage(msg) from None
        if moment.tzinfo is None:
            msg = f"--until: '{told}' has no zone; write {told}Z or {told}+01:00"
            raise Usage(msg) from None
        at = moment.timestamp()
    if not now < at <= now + UNTIL_MAX_S:
        msg = f"--until: '{told}' is not within the next 31 days"
        raise Usage(msg)
    return at


def _ledger(args: argparse.Namespace) -> store.SqliteStore:
    return store.open_store(common.state_dir(args), allow_tmpfs=True)


def _said(args: argparse.Namespace, sentence: str, **words: object) -> int:
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "done": sentence, **words})
    else:
        print(sentence)
    return 0
