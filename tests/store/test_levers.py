"""The laws of halt switches: in doubt, halt."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import pytest

from chaos_runner.store import StoreError, levers

ALL = ("demo", "checkout", "slow-payments")


def test_a_pulled_lever_says_who_and_why(state: Path) -> None:
    path = levers.pull(state, "service.checkout", "ops", "sale today")

    lever = levers.pulled(state, *ALL)
    assert (lever.scope, lever.who, lever.reason, lever.garbled) == ("service.checkout", "ops", "sale today", False)
    assert lever.path == str(path) == str(state / "levers" / "service.checkout")
    assert abs(lever.at - time.time()) < 60
    assert (state.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("scope", ["global", "environment.demo", "service.checkout", "experiment.slow-payments"])
def test_each_scope_stops_what_it_names_and_only_that(state: Path, scope: str) -> None:
    assert levers.pulled(state, *ALL) is None
    levers.pull(state, scope, "ops", "x")

    assert levers.pulled(state, *ALL).scope == scope
    stopped = levers.pulled(state, "other", "other", "other")
    assert (stopped is not None) == (scope == "global")


def test_the_widest_lever_is_named_and_all_are_listed(state: Path) -> None:
    for scope in ("experiment.slow-payments", "environment.demo", "global"):
        levers.pull(state, scope, "ops", "x")
    (state / "levers" / "README").write_text("no lever")

    assert levers.pulled(state, *ALL).scope == "global"
    assert [lever.scope for lever in levers.all(state)] == ["global", "environment.demo", "experiment.slow-payments"]


def test_the_first_to_pull_stays_on_the_lever(state: Path) -> None:
    levers.pull(state, "global", "first", "a")
    levers.pull(state, "global", "second", "b")

    assert levers.pulled(state, *ALL).who == "first"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text(""),
        lambda path: path.write_text("{]"),
        lambda path: path.write_text('{"who": 1}'),
        lambda path: path.symlink_to("/dev/null"),
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.mkdir(),
        os.mkfifo,
    ],
)
def test_a_lever_that_cannot_be_understood_counts_as_pulled(state: Path, spoil: object) -> None:
    (state / "levers").mkdir(parents=True)
    spoil(state / "levers" / "global")

    lever = levers.pulled(state, *ALL)
    assert lever.garbled
    assert "cannot be understood" in lever.reason


def test_levers_that_cannot_be_read_at_all_count_as_pulled(state: Path) -> None:
    state.mkdir()
    (state / "levers").write_text("a file where the folder should be")

    lever = levers.pulled(state, *ALL)
    assert (lever.scope, lever.garbled) == ("global", True)
    with pytest.raises(StoreError, match="cannot read the levers"):
        levers.all(state)
    with pytest.raises(StoreError, match="cannot pull the lever"):
        levers.pull(state, "global", "ops", "x")


@pytest.mark.parametrize(
    "scope", ["", "Global", "service.", "service.a/b", "service...", "team.x", "global.x", "service.A"]
)
def test_odd_names_are_refused(state: Path, scope: str) -> None:
    with pytest.raises(StoreError, match="is no lever"):
        levers.pull(state, scope, "ops", "x")
    with pytest.raises(StoreError, match="is no lever"):
        levers.release(state, scope, "ops", "x")
    assert not state.exists()


def test_a_released_lever_no_longer_stops_and_its_story_is_kept(state: Path) -> None:
    levers.pull(state, "global", "ops", "sale")
    kept = levers.release(state, "global", "lead", "sale is over")

    assert levers.pulled(state, *ALL) is None
    assert kept.parent == state / "levers" / "released"
    assert kept.name.endswith("Z.global.json")
    story = msgspec.json.decode(kept.read_bytes())
    assert (story["pulled"]["who"], story["released"]["who"], story["released"]["reason"]) == (
        "ops",
        "lead",
        "sale is over",
    )
    with pytest.raises(StoreError, match="is not pulled"):
        levers.release(state, "global", "lead", "again")


@pytest.mark.parametrize(("who", "reason"), [("", "fixed"), ("lead", ""), (" ", "fixed"), ("lead", "\n")])
def test_anybody_pulls_but_releasing_takes_a_name_and_a_reason(state: Path, who: str, reason: str) -> None:
    levers.pull(state, "global", "", "")
    with pytest.raises(StoreError, match="takes a name and a reason"):
        levers.release(state, "global", who, reason)

    assert levers.pulled(state, *ALL) is not None


def test_pulling_makes_a_lever_and_nothing_else(state: Path) -> None:
    levers.pull(state, "environment.demo", "ops", "x")

    assert [path.name for path in state.iterdir()] == ["levers"]


def test_a_garbled_lever_can_be_released(state: Path) -> None:
    levers.pull(state, "global", "ops", "sale").write_text("")
    levers.release(state, "global", "lead", "ok")

    assert levers.pulled(state, *ALL) is None


def test_without_room_for_words_an_empty_file_halts(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    levers.pull(state, "environment.demo", "ops", "x")
    real, calls = os.fsync, []
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append(fd) or (full(fd) if len(calls) == 1 else real(fd)))
    path = levers.pull(state, "global", "ops", "x")

    assert path.read_bytes() == b""
    assert levers.pulled(state, *ALL).garbled
    assert sorted(file.name for file in (state / "levers").iterdir()) == ["environment.demo", "global"]


def test_asking_every_tick_is_cheap(state: Path) -> None:
    levers.pull(state, "service.other", "ops", "x")
    began = time.process_time()
    for _ in range(200):
        levers.pulled(state, *ALL)

    assert time.process_time() - began < 1.0  # 20 microseconds each on an idle machine
