"""Begins a game day: checks its file, starts its conductor, and attaches a console to it.

The conductor is a process of its own: closing the console, or killing it, stops nothing. Without a terminal the
console is the plain one: it reads words from stdin (none: it only watches), and ends when the day does.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.conductor.folder import Folder
    from chaos_runner.gameday.facts import DayStarted
    from chaos_runner.scenarios import Script


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `gameday run`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a scenario")
    parser.add_argument("-e", "--environment", metavar="ENV", help="where it takes place (default: what the file says)")
    parser.add_argument("--yes", action="store_true", help="do not ask for the environment's name")
    parser.add_argument("--who", default="", metavar="NAME", help="who speaks at this console (default: you@this-host)")
    parser.add_argument("--plain", action="store_true", help="the plain console, on a terminal too")
    parser.add_argument("--detach", action="store_true", help="attach no console")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="where reports go (default: ./reports)")
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """0 when the console ended, or the day was begun with --detach; 3 when nothing was begun."""
    from chaos_runner import scenarios
    from chaos_runner.cli import gameday_begin

    script = scenarios.elsewhere(scenarios.read(args.file), args.environment)
    _confirm(script, args)
    state = common.state_dir(args)
    day, folder = _begin(script, args, state)
    process = gameday_begin.start(folder, day, 1, args)
    _say(day, folder, process.pid, args)
    if args.detach or args.output == "json":
        return 0
    code = gameday_begin.attach(state, day, args)
    with common.perhaps_unheard():
        gameday_begin.say_end(state, day, folder, process)
    return code


def _confirm(script: Script, args: argparse.Namespace) -> None:
    """The environment is known, and whoever begins meant this one. Raises Refusal or Usage."""
    from chaos_runner import configure
    from chaos_runner.cli import run as one_run

    name = configure.choose(common.configuration(args), script.scenario.environment)
    one_run.confirm(name, common.configuration(args).config.environments[name].confirm, yes=args.yes)


def _begin(script: Script, args: argparse.Namespace, state: Path) -> tuple[str, Folder]:
    """The day is durable before anything happens on it."""
    from chaos_runner import project, store
    from chaos_runner.conduct import new_run_id
    from chaos_runner.conductor.folder import Folder, Setting
    from chaos_runner.store import Owner, StoreError

    config = args.config or project.find(Path.cwd())
    day = f"day-{new_run_id()}"
    folder = Folder(state.absolute(), day)
    with store.open_store(state, allow_tmpfs=True) as ledger:
        for warning in ledger.warnings:
            common.tell(f"warning: {warning}")
        setting = Setting(
            file=str(args.file.absolute()),
            config=str(config.absolute()) if config else "",
            reports=str(args.reports.absolute()),
            cwd=str(Path.cwd()),
        )
        folder.make(setting)
        scenario = script.scenario
        try:
            ledger.begin_day(
                day,
                scenario=scenario.name,
                environment=scenario.environment,
                owner=Owner.mine(),
                fact=_started(script, args),
            )
        except StoreError:
            folder.remove()
            raise
    return day, folder


def _started(script: Script, args: argparse.Namespace) -> DayStarted:
    import platform

    import msgspec

    from chaos_runner._version import __version__
    from chaos_runner.gameday.facts import DayStarted
    from chaos_runner.gameday.scenario import RunStep

    document = script.loaded.document
    files = {document.file: document.sha256}
    for one in script.played:
        step = script.scenario.steps[one.step]
        if isinstance(step, RunStep):
            files[step.run] = one.loaded.document.sha256
    return DayStarted(
        scenario=msgspec.to_builtins(script.scenario),
        file=str(args.file),
        files=files,
        versions={"chaos-runner": __version__, "python": platform.python_version()},
        actor=args.who or common.actor(),
        command=tuple(sys.argv[1:]),
    )


def _say(day: str, folder: Folder, pid: int, args: argparse.Namespace) -> None:
    if args.output == "json":
        common.write_json(
            {"schemaVersion": 1, "day": day, "conductor": pid, "log": str(folder.log), "folder": str(folder.path)}
        )
        return
    with common.perhaps_unheard():
        print(f"game day {day}")
        print(f"  conductor: process {pid}, log {folder.log}")
        print(f"  attach:    chaos-runner gameday attach {day}")
        print("  speak:     chaos-runner gameday say WORDS (`halt` stops what runs, at once)", flush=True)
