"""What `run --day DAY:STEP` does besides running: it runs what the day reserved, and nothing that is not its turn."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.gameday.facts import Entry


def reserved(args: argparse.Namespace) -> tuple[str, str]:
    """Who starts this run, and its reserved id. Raises Refusal where the day is over or this is not the going step."""
    from chaos_runner import store
    from chaos_runner.cli.trouble import Usage
    from chaos_runner.plan import Refusal

    day, _, step = args.day.rpartition(":")
    if not day or not (step == "drill" or step.isdecimal()):
        msg = f"--day: '{args.day}' is not DAY:STEP, such as day-20261122-141500-a1b2:0"
        raise Usage(msg)
    with store.open_store(common.state_dir(args), read_only=True) as ledger:
        row = ledger.day(day)
        entries = ledger.facts(day) if row is not None and row.state == "OPEN" else []
    if not entries:
        msg = f"not started: game day {day} is over, or was never begun"
        raise Refusal(msg)
    run = _drill(entries) if step == "drill" else _step(entries, int(step))
    if not run:
        msg = f"not started: step {step} is not the one that goes on in game day {day}"
        raise Refusal(msg)
    return f"game day {day}", run


def _step(entries: list[Entry], step: int) -> str:
    """The run id of the step's attempt that goes on; empty where none does."""
    from chaos_runner.gameday.facts import StepBegan, StepEnded

    run = ""
    for entry in entries:
        if isinstance(entry.fact, StepBegan) and entry.fact.step == step:
            run = entry.fact.run
        elif isinstance(entry.fact, StepEnded) and entry.fact.step == step:
            run = ""
    return run


def _drill(entries: list[Entry]) -> str:
    from chaos_runner.gameday.facts import DrillBegan, DrillEnded

    run = ""
    for entry in entries:
        if isinstance(entry.fact, DrillBegan):
            run = entry.fact.run
        elif isinstance(entry.fact, DrillEnded):
            run = ""
    return run
