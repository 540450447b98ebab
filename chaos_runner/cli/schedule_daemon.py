"""`schedule run`: the daemon, with its two pages on loopback; and where schedules are read from."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.scheduler.daemon import Daemon, Setting
    from chaos_runner.store import Store


def run(args: argparse.Namespace) -> int:
    """Until SIGTERM or Ctrl-C."""
    import asyncio

    from chaos_runner import store
    from chaos_runner.scheduler import book

    setting = _setting(args)
    state = setting.command.state_dir
    with store.open_store(state, allow_tmpfs=True) as ledger:
        for warning in ledger.warnings:
            common.tell(f"warning: {warning}")
        first = book.read(setting.command.config, state)
        if not first.items:
            from chaos_runner.cli.trouble import Usage

            msg = f"{setting.command.config} has no `schedules:`"
            raise Usage(msg)
        return asyncio.run(_serve(setting, ledger, first, _port(args.listen)))


def places(args: argparse.Namespace) -> tuple[Path, Path]:
    """The configuration file and the state folder. Raises Usage."""
    from chaos_runner import project
    from chaos_runner.cli.trouble import Usage

    config = args.config or project.find(Path.cwd())
    if config is None:
        msg = "there is no chaos-runner.yaml here or above; schedules need one with `schedules:`"
        raise Usage(msg)
    return config.absolute(), common.state_dir(args).absolute()


@contextlib.contextmanager
def reading(args: argparse.Namespace) -> Iterator[Store | None]:
    """The ledger to look at; None where nothing has run."""
    from chaos_runner import store
    from chaos_runner.store import NoLedger

    try:
        ledger = store.open_store(common.state_dir(args), read_only=True)
    except NoLedger:
        yield None
        return
    with ledger:
        yield ledger


def _setting(args: argparse.Namespace) -> Setting:
    import functools
    import os
    import secrets

    from chaos_runner import conduct
    from chaos_runner.scheduler import book
    from chaos_runner.scheduler.children import Command
    from chaos_runner.scheduler.daemon import Setting

    config, state = places(args)
    command = Command(state, config, args.reports.absolute(), Path.cwd())
    return Setting(
        holder=f"{os.uname().nodename}/{os.getpid()}/{secrets.token_hex(4)}",
        command=command,
        read=functools.partial(book.read, command.config, state),
        new_run_id=conduct.new_run_id,
        on_stop=args.on_stop,
    )


def _port(told: str) -> int | None:
    from chaos_runner.cli.trouble import Usage

    if not told:
        return None
    if not told.isdecimal() or int(told) > 65535:
        msg = f"--listen: '{told}' is no port; 0 lets the system choose one"
        raise Usage(msg)
    return int(told)


async def _serve(setting: Setting, ledger: Store, first: object, port: int | None) -> int:
    from chaos_runner.scheduler import log, report
    from chaos_runner.scheduler.book import Book
    from chaos_runner.scheduler.daemon import Daemon
    from chaos_runner.scheduler.pages import Pages

    assert isinstance(first, Book)
    daemon: Daemon = Daemon(setting, ledger, first)
    pages = Pages({"/health": lambda: report.health(daemon), "/metrics": lambda: report.metrics(daemon, ledger)})
    if port is not None:
        log.say("listens", port=await pages.start("127.0.0.1", port))
    try:
        return await daemon.run()
    finally:
        await pages.stop()
