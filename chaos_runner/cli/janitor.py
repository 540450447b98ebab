"""Undoes what dead runs left behind, for timers: from the ledger, and from the marks on the targets themselves.

chaos-runner janitor                       once, in every environment
chaos-runner janitor --every 30s           for ever, until SIGTERM or Ctrl-C
chaos-runner janitor -e ENV --ledger-lost  also marks that no ledger accounts for, before they expire

A mark of a run that this ledger does not know is undone once it has expired, and told until then: its run may be alive
elsewhere. One whose lease is kept alive is left alone in any case. It never injects, and one at a time is at work in a
state folder. Exit codes: 0 nothing is left, 3 the ledger or a target could not be looked at, 5 something is left.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_runner.cli import common, recover
from chaos_runner.cli.main import NOTHING_LEARNED

if TYPE_CHECKING:
    import anyio

    from chaos_runner.cli.sweeping import Pass

EVERY_MIN_S = 1.0


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `janitor`."""
    recover.sweep(parser, patience="15s")
    parser.add_argument("--every", type=recover.duration, metavar="TIME", help="again and again, with this pause")
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """One pass, or many; the exit code of the last."""
    import anyio

    from chaos_runner.cli.trouble import Usage
    from chaos_runner.store.alone import alone

    recover.check(args)
    if args.every is not None and args.every < EVERY_MIN_S:
        msg = f"--every {args.every:g}s is too often; at least {EVERY_MIN_S:g}s"
        raise Usage(msg)
    args.watch = False
    state = common.state_dir(args)
    with alone(state, "janitor"):
        return anyio.run(_once if args.every is None else _again, args, state)


async def _once(args: argparse.Namespace, state: Path) -> int:
    from chaos_runner.cli import sweeping

    done = await sweeping.swept(args, marks=True)
    _tell(args, state, done, "nothing is left")
    return done.code


async def _again(args: argparse.Namespace, state: Path) -> int:
    """Passes until somebody asks to end; one under way is finished first, it is bounded."""
    import anyio

    from chaos_runner.clock import nursery

    over, code, said = anyio.Event(), 0, ""
    async with nursery() as group:
        group.start_soon(_listen, over)
        while not over.is_set():
            code, said = await _pass(args, state, said)
            with anyio.move_on_after(args.every):
                await over.wait()
        group.cancel_scope.cancel()
    return code


async def _listen(over: anyio.Event) -> None:
    import signal

    import anyio

    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async for _number in signals:
            over.set()


async def _pass(args: argparse.Namespace, state: Path, said: str) -> tuple[int, str]:
    """One pass of many: told where it differs from the one before. A ledger that cannot be used may be usable later."""
    from chaos_runner.cli import sweeping
    from chaos_runner.store import StoreError

    try:
        done = await sweeping.swept(args, marks=True, again=True)
    except StoreError as why:
        if str(why) != said:
            common.tell(str(why))
        return NOTHING_LEARNED, str(why)
    now = "\n".join(sweeping.lines(done, state))
    if now != said:
        _tell(args, state, done, "nothing is left any more")
    return done.code, now


def _tell(args: argparse.Namespace, state: Path, done: Pass, nothing: str) -> None:
    from chaos_runner.cli import sweeping

    if args.output == "json":
        common.write_json(sweeping.plain(done))
    else:
        print("\n".join(sweeping.lines(done, state) or [nothing]), flush=True)
