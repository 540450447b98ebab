"""One mistake is one problem, told where the mistake is."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.load.kit import GOOD, problems_of
from tests.load.mutate import mutations


def test_the_good_file_has_no_problem():
    assert problems_of(GOOD) == []


@pytest.mark.parametrize("seed", range(5))
def test_one_mistake_is_one_problem_at_its_place(seed):
    astray = []
    for made in mutations(GOOD, seed, 100):
        found = problems_of(made.text)
        if len(found) > 1 or any(problem.line not in made.lines for problem in found):
            astray.append((made.what, list(map(str, found)), made.lines))

    assert astray == []


def test_most_mistakes_are_noticed():
    noticed = Counter(bool(problems_of(made.text)) for made in mutations(GOOD, 7, 300))

    assert noticed[True] > 200
