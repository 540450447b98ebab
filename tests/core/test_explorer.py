"""Every interleaving of one fault with lost, late and refused requests, an undo at any moment, and one death."""

from __future__ import annotations

import pytest

from chaos_runner.lifecycle import OVER, Life, Save
from tests.core.explorer import Seen, World, explore, moves

FENCES = World(Life(fences=True))
PLAIN = World(Life(fences=False))
KILL = World(Life(reversible=False))


@pytest.fixture(scope="module")
def fenced() -> list[Seen]:
    return list(explore(FENCES))


@pytest.fixture(scope="module")
def plain() -> list[Seen]:
    return list(explore(PLAIN))


def test_it_visits_thousands_of_worlds_and_every_state(fenced: list[Seen]) -> None:
    states = {seen.world.life.state for seen in fenced}

    assert len(fenced) > 2000
    assert states >= {"PLANNED", "INTENT", "INJECTED", "UNKNOWN", "UNDOING", "WATCHING", "STUCK", "CLOSED"}


@pytest.mark.parametrize("start", [FENCES, PLAIN, KILL], ids=["fences", "plain", "kill"])
def test_nothing_is_on_a_target_without_a_row_and_an_armed_guardian_or_an_undo_under_way(start: World) -> None:
    for seen in explore(start):
        world = seen.world
        if world.sent or world.harmed or world.flying:
            assert world.row, seen.path
        if world.harmed and world.life.state in {"INTENT", "INJECTED", "UNKNOWN"}:
            assert world.armed, seen.path


@pytest.mark.parametrize("start", [FENCES, PLAIN, KILL], ids=["fences", "plain", "kill"])
def test_a_fault_is_sent_at_most_once(start: World) -> None:
    assert {seen.world.sent for seen in explore(start)} == {0, 1}


def test_closed_means_gone_and_that_nothing_can_land_any_more(fenced: list[Seen]) -> None:
    for seen in fenced:
        if seen.world.life.state == "CLOSED":
            assert not seen.world.harmed, seen.path
            assert not seen.world.flying, seen.path


def test_what_cannot_be_fenced_is_gone_when_closed_too_for_the_watch_outlasts_what_is_late(plain: list[Seen]) -> None:
    for seen in plain:
        if seen.world.life.state == "CLOSED":
            assert not seen.world.harmed, seen.path
            assert not seen.world.flying, seen.path


def test_while_it_is_watched_the_name_is_taken(fenced: list[Seen]) -> None:
    for seen in fenced:
        world = seen.world
        if world.life.state == "WATCHING" and Save("WATCHING") in world.todo:
            assert world.fenced, seen.path


def test_an_undo_that_was_asked_for_always_ends_however_it_went(fenced: list[Seen], plain: list[Seen]) -> None:
    for seen in fenced + plain:
        world = seen.world
        if world.asked and world.life.state not in OVER:
            assert list(moves(world)), seen.path


def test_from_every_world_a_clean_end_can_be_reached(fenced: list[Seen]) -> None:
    known = {seen.world for seen in fenced}
    good = {world for world in known if world.life.state in OVER or (not world.row and not world.harmed)}
    before: dict[World, list[World]] = {}
    for world in known:
        for _name, after in moves(world):
            before.setdefault(after, []).append(world)
    todo = list(good)
    while todo:
        for earlier in before.get(todo.pop(), []):
            if earlier not in good:
                good.add(earlier)
                todo.append(earlier)

    stranded = [seen for seen in fenced if seen.world not in good]
    assert not stranded, stranded[0]


def test_what_is_irreversible_ends_spent_or_was_never_done() -> None:
    ends = {seen.world.life.state for seen in explore(KILL) if not seen.world.life.open and seen.world.asked}

    assert ends <= {"SPENT", "CLOSED"}
    assert all(
        not seen.world.harmed for seen in explore(KILL) if seen.world.life.state == "CLOSED" and not seen.world.flying
    )
