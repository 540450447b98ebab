"""Seeds: whatever dies or goes wrong, in whatever order, no fault outlives its run, and nobody says otherwise."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.sim.simulation import simulate, told

SEEDS, BLOCK = 200, 25
# SIM_SEED=n replays that one and shows its story.
ASKED = os.environ.get("SIM_SEED", "")
BLOCKS = [range(int(ASKED), int(ASKED) + 1)] if ASKED else [range(n, n + BLOCK) for n in range(0, SEEDS, BLOCK)]


@pytest.mark.parametrize("seeds", BLOCKS, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_no_fault_outlives_its_run_whatever_dies(seeds: range) -> None:
    for seed in seeds:
        one = simulate(seed)
        if ASKED:
            print(told(one))
        assert not one.broken, told(one)


@pytest.mark.parametrize("seed", [3, 17, 52])
def test_a_seed_tells_the_same_story_twice(seed: int) -> None:
    first, again = simulate(seed), simulate(seed)

    assert first.story == again.story
    assert first.tally == again.tally


def test_what_is_rare_does_happen() -> None:
    tally: Counter[str] = Counter()
    for seed in range(60):
        tally += simulate(seed).tally

    for what in (
        "runner killed at an effect",
        "runner hung",
        "guardian took over",
        "late",
        "landed late",
        "taken over",
    ):
        assert tally[what], f"{what} never happened: {tally}"
