"""Laws of following a day: nothing twice, nothing lost, and no store that is away ends it."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import msgspec
import pytest

from chaos_runner import judge, planning, registry
from chaos_runner.console.following import Following
from chaos_runner.gameday.facts import DrillBegan, DrillEnded, Said, StepBegan, StepEnded
from chaos_runner.records import FaultReverted, PhaseBegan
from chaos_runner.store import Owner
from tests.console.kit import DAY, RUN, World, plan, sample


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_every_fact_is_fresh_once(world: World) -> None:
    following = Following(world.state, DAY)
    assert [one.seq for one in following.look(0.0).fresh] == [1]
    assert following.look(0.0).fresh == []
    world.say(Said(who="sue", text="one"), Said(who="sue", text="two"))
    seen = following.look(0.0)
    assert [one.seq for one in seen.fresh] == [2, 3]
    assert len(seen.entries) == 3
    assert len(seen.day.said) == 2


def test_only_the_going_run_is_shown(world: World) -> None:
    following = Following(world.state, DAY)
    world.begin_run()
    assert following.look(0.0).running is None
    world.say(StepBegan(step=1, run=RUN))
    running = following.look(0.0).running
    assert running is not None
    assert (running.run, running.phase) == (RUN, "baseline")
    world.say(StepEnded(step=1, run=RUN, headline="HELD"))
    assert following.look(0.0).running is None
    world.say(DrillBegan(run="a-drill-that-has-not-begun"))
    assert following.look(0.0).running is None
    world.say(DrillBegan(run=RUN))
    assert following.look(0.0).running is not None
    world.say(DrillEnded(run=RUN, who="abe"))
    assert following.look(0.0).running is None


def test_the_picture_is_the_same_for_who_came_late(world: World) -> None:
    early = Following(world.state, DAY)
    world.say(StepBegan(step=1, run=RUN))
    at = world.begin_run()
    for tick in range(20):
        world.measure(tick, 20, 0)
        early.look(at + tick)
    world.inject(20.5)
    for tick in range(20, 27):
        world.measure(tick, 10, 10)
        early.look(at + tick)
    late = Following(world.state, DAY).look(at + 28).running
    assert early.look(at + 28).running == late
    assert late is not None
    assert late.now == 28.0
    assert late.checks[0].word == "violated"
    assert late.left_s == late.faults[0].left_s == 22.5
    assert late.phase == "fault"


def test_the_margin_is_that_of_the_run_itself(world: World) -> None:
    world.say(StepBegan(step=1, run=RUN))
    at = world.begin_run()
    world.inject(20.5)
    readers = planning.readers_of(plan().experiment, registry.probes)
    watch = judge.AbortWatch(planning.rules_of(plan().experiment, readers), 21)
    following = Following(world.state, DAY)
    for tick in range(21, 29):
        world.measure(tick, 15, 5)
        watch.observe([sample(tick, 15, 5)])
        running = following.look(at).running
        assert running is not None
        assert running.checks[0].margin == watch.margin()["shoppers"]
    assert running.margin == 1.0
    assert watch.tripped(29) is not None
    world.store.append(RUN, FaultReverted(f"{RUN}.0", 29.0), at, 29.0)
    world.store.append(RUN, PhaseBegan("recovery"), at, 29.1)
    world.measure(30, 20, 0)
    running = following.look(at).running
    assert running is not None
    assert running.margin is None
    assert running.left_s == pytest.approx(29.1 + 40 - 31, abs=2)


def test_a_store_that_is_away_is_trouble_and_not_the_end(world: World) -> None:
    following = Following(world.state, DAY)
    following.look(0.0)
    aside = world.state.with_name("aside")
    world.state.rename(aside)
    began = time.monotonic()
    seen = following.look(0.0)
    assert seen.trouble
    assert len(seen.entries) == 1
    assert time.monotonic() - began < 20
    aside.rename(world.state)
    world.say(Said(who="sue", text="still there"))
    seen = following.look(0.0)
    assert (seen.trouble, [one.seq for one in seen.fresh]) == ("", [2])


def test_a_locked_store_is_trouble_and_not_the_end(world: World) -> None:
    following = Following(world.state, DAY)
    following.look(0.0)
    world.say(Said(who="sue", text="before"))
    world.store.close()
    following.close()
    with sqlite3.connect(world.state / "ledger.sqlite", isolation_level=None) as con:
        con.execute("PRAGMA locking_mode = EXCLUSIVE")
        con.execute("BEGIN EXCLUSIVE")
        con.execute("UPDATE day SET scenario = scenario")
        began = time.monotonic()
        locked = following.look(0.0)
        assert time.monotonic() - began < 30
        con.execute("ROLLBACK")
    con.close()
    seen = following.look(0.0)
    assert seen.trouble == ""
    assert locked.trouble
    assert [one.seq for one in seen.fresh] == [2]


def test_a_dead_conductor_is_noticed(tmp_path: Path) -> None:
    world = World(tmp_path, owner=msgspec.structs.replace(Owner.mine(), boot_id="an earlier boot"))
    following = Following(world.state, DAY)
    assert following.look(0.0).conductor_dead
    world.end()
    assert not following.look(0.0).conductor_dead


def test_a_plan_that_nobody_understands_has_no_picture(world: World) -> None:
    world.say(StepBegan(step=1, run=RUN))
    world.begin_run()
    with sqlite3.connect(world.state / "ledger.sqlite") as con:
        con.execute("DELETE FROM record")
        con.execute("UPDATE run SET records = 0")
    con.close()
    seen = Following(world.state, DAY).look(0.0)
    assert (seen.running, seen.trouble) == (None, "")
