"""`run --day DAY:STEP` runs what the day reserved for the step that goes on, and nothing else."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import pytest

from chaos_runner import store
from chaos_runner.cli import daywise
from chaos_runner.gameday.facts import (
    AnyFact,
    DayEnded,
    DayStarted,
    DrillBegan,
    DrillEnded,
    StepBegan,
    StepEnded,
)
from chaos_runner.plan import Refusal
from chaos_runner.store import Owner
from tests.gameday.kit import DAY, scenario

BEGAN = StepBegan(step=1, run="r1")
OVER = DayEnded(how="stopped")


@pytest.mark.parametrize(
    ("facts", "step", "run"),
    [
        ((BEGAN,), "1", "r1"),
        ((BEGAN,), "0", ""),
        ((BEGAN,), "drill", ""),
        ((BEGAN, StepEnded(step=1, run="r1")), "1", ""),
        ((BEGAN, StepEnded(step=1, run="r1"), StepBegan(step=1, run="r2", attempt=2)), "1", "r2"),
        ((BEGAN, OVER), "1", ""),
        ((DrillBegan("r3"),), "drill", "r3"),
        ((DrillBegan("r3"), DrillEnded(run="r3", who="abe")), "drill", ""),
        ((), "1", ""),
    ],
)
def test_only_what_goes_on_has_a_run(tmp_path: Path, facts: tuple[AnyFact, ...], step: str, run: str) -> None:
    with store.open_store(tmp_path, allow_tmpfs=True) as ledger:
        started = DayStarted(scenario=msgspec.to_builtins(scenario()), file="f", files={}, versions={}, actor="fay")
        epoch = ledger.begin_day(DAY, scenario="s", environment="demo", owner=Owner.mine(), fact=started)
        for fact in facts:
            if isinstance(fact, DayEnded):
                ledger.end_day(DAY, epoch, fact)
            else:
                ledger.say(DAY, fact)
    args = argparse.Namespace(day=f"{DAY}:{step}", state=tmp_path)

    if run:
        assert daywise.reserved(args) == (f"game day {DAY}", run)
    else:
        with pytest.raises(Refusal, match="not started"):
            daywise.reserved(args)
