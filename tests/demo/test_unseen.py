"""A fault that the checks' own traffic never meets proves nothing, whatever else passes the proxy."""

from __future__ import annotations

import pytest

from tests.demo import cases, trial
from tests.demo.test_experiments import unharmed, whole

pytestmark = pytest.mark.world
WHY = {
    "bypass": "nothing that passed the target was affected",
    "health": "what was hit is somebody else's traffic",
}


@pytest.mark.parametrize("case", cases.UNSEEN, ids=lambda case: case.kind)
def test_traffic_that_bypasses_the_proxy_is_unknown(case: cases.Case, seen: trial.Seen) -> None:
    assert (seen.headline, seen.code) == ("UNKNOWN", 3), whole(seen)
    assert WHY[case.kind] in seen.why
    assert seen.harmed_s > 5.0, "the toxic was there all the time"
    unharmed(seen)
