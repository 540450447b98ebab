"""Every interleaving of runner, guardian, recovery, second runner, network and deaths; and the mistakes it must see."""

from __future__ import annotations

import functools

import pytest

from tests import slices
from tests.explore import story
from tests.explore.explorer import Found, explore
from tests.explore.mistakes import MISTAKES
from tests.explore.scenes import SMALL
from tests.explore.world import Scene

explored = functools.cache(explore)


@pytest.mark.parametrize(
    "scene", slices.thin(SMALL, lambda scene: scene is not SMALL[0]), ids=lambda scene: scene.title.replace(" ", "-")
)
def test_in_every_state_the_invariants_hold_and_a_clean_end_can_be_reached(scene: Scene) -> None:
    found = explored(scene)

    assert not found.wrong, story.told(found)
    assert found.finished > 0


@pytest.mark.campaign
def test_two_faults_two_processes_and_a_late_request_are_tens_of_thousands_of_states() -> None:
    assert explored(SMALL[0]).states > 20_000


@pytest.fixture(scope="module")
def planted() -> dict[str, Found]:
    return {name: explore(mistake.scene, mistake.rules) for name, mistake in MISTAKES.items()}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_found_and_told_as_a_story(name: str, planted: dict[str, Found]) -> None:
    found, mistake = planted[name], MISTAKES[name]
    lines = story.told(found).splitlines()

    assert found.wrong.startswith(mistake.breaks), story.told(found)
    assert lines[0] == f"{mistake.scene.title}:"
    assert all(": " in line for line in lines[1:-1])
    assert lines[-1] == f"  => {found.wrong}"


@pytest.mark.parametrize(
    "scene", sorted({mistake.scene for mistake in MISTAKES.values()}), ids=lambda scene: scene.title
)
def test_without_a_mistake_nothing_is_wrong_in_the_same_scene(scene: Scene) -> None:
    found = explore(scene)

    assert not found.wrong, story.told(found)


def test_a_story_is_a_shortest_one() -> None:
    mistake = MISTAKES["recovery-resumes"]
    found = explore(mistake.scene, mistake.rules)

    assert found.story == (
        "runner: begins f1",
        "runner: commits INTENT of f1",
        "runner: dies",
        "recovery: takes run A over (f1)",
        "recovery: sends f1; the target accepts it",
    )
