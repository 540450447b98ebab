"""Every bundled experiment in the demo environment: the resilient shop holds, the fragile fails, nothing is left.

And a fault that the checks' own traffic never meets proves nothing, whatever else passes the proxy.
"""

from __future__ import annotations

from typing import Any

import pytest

from chaos_runner import files
from chaos_runner.pocket import topology
from tests import slices
from tests.demo import cases, trial

pytestmark = pytest.mark.world

WHY_UNSEEN = {
    "bypass": "nothing that passed the target was affected",
    "health": "what was hit is somebody else's traffic",
}
POD_FAULTS = {"pod_kill", "pod_evict", "node_drain", "scale"}
FEWER_PODS = "confirm: payments-pods ready went from 2 to 1"
WARM_UP_S = float(topology.CAPACITY["WARM_UP"])
BETWEEN_S = 15.0  # a pause of five seconds, undo, verify, and five ticks of health
SEEN_LATE_S = 4.0  # an observer that looks three times a second, undo, verify, and a busy machine


def whole(seen: trial.Seen) -> str:
    """The run in full, for a failure's message."""
    return f"{seen.headline} ({seen.code}): {seen.why}\n{seen.proofs()}\n{seen.orders}\n{seen.said}"


def unharmed(seen: trial.Seen) -> None:
    """Nothing of the run, its faults or its world is there any more, and no order is lost on the way."""
    assert seen.left == (), whole(seen)
    assert seen.orders["waiting"] == 0, whole(seen)


def harmed(seen: trial.Seen) -> None:
    """The harm was real: seen by the observer, for as long as the file says and no longer, and it hit somebody."""
    assert seen.processes >= 3, "the observer saw no runner, guardian and load worker"
    assert seen.run is not None
    assert seen.harmed_s > 1.0, whole(seen)
    assert seen.proofs(), whole(seen)
    assert all(proof.startswith(("counters: ", "exchange: ", FEWER_PODS)) for proof in seen.proofs()), whole(seen)
    if _kinds(seen) & POD_FAULTS:
        lost_a_pod(seen)
        return
    assert seen.harmed_s < _longest_s(seen.run.plan["faults"]) + SEEN_LATE_S, whole(seen)
    # A frozen process has no streams to count; the kernel's word, or the cluster's, is its proof.
    assert seen.affected() > 0 or all("is stopped" in one or FEWER_PODS in one for one in seen.proofs()), whole(seen)


def _longest_s(faults: list[dict[str, Any]]) -> float:
    """From the first harm to the last: the steps one after the other, with what is between them."""
    holds = {fault["step"]: float(fault["hold_s"]) for fault in faults}
    return sum(holds.values()) + (len(holds) - 1) * BETWEEN_S


def lost_a_pod(seen: trial.Seen) -> None:
    """One of the two pods was gone for a while, never both, and a new one is there in the end."""
    assert (seen.payments.before, seen.payments.after, seen.payments.new) == (2, 2, 1), whole(seen)
    assert seen.payments.least >= 1, whole(seen)
    assert seen.run is not None
    for fault in seen.run.faults.values():
        if not fault.reversible:
            assert fault.replaced.startswith("pod/shop/payments-"), whole(seen)
            assert fault.replaced_s > WARM_UP_S, "a new pod is of no use before it has warmed up"


def _kinds(seen: trial.Seen) -> set[str]:
    return {fault.kind for fault in seen.run.faults.values()} if seen.run else set()


@pytest.mark.parametrize("case", cases.RESILIENT, ids=str)
def test_the_resilient_shop_holds_and_completes_every_order_it_took_for_later(seen: trial.Seen) -> None:
    assert (seen.headline, seen.code) == ("HELD", 0), whole(seen)
    harmed(seen)
    unharmed(seen)
    assert seen.orders["failed"] == 0, whole(seen)
    assert seen.orders["later"] == seen.orders["completed_later"], whole(seen)


@pytest.mark.parametrize("case", cases.FRAGILE, ids=str)
def test_the_fragile_shop_fails(seen: trial.Seen) -> None:
    assert (seen.headline, seen.code) in {("DEVIATED", 1), ("ABORTED", 4)}, whole(seen)
    assert seen.run is not None
    assert seen.run.outcome is not None
    assert (seen.run.outcome.finding, seen.run.outcome.cleanup) == ("DEVIATED", "CLEAN")
    harmed(seen)
    unharmed(seen)
    assert seen.orders["later"] == 0


@pytest.mark.parametrize("case", cases.BOTH_HOLD, ids=str)
def test_where_there_is_no_contrast_the_file_says_so(case: cases.Case, seen: trial.Seen) -> None:
    assert (seen.headline, seen.code) == ("HELD", 0), whole(seen)
    harmed(seen)
    unharmed(seen)
    assert "Both demo shops hold" in (files.bundled() / f"{case.name}.yaml").read_text()


@pytest.mark.parametrize("case", cases.HARMLESS, ids=str)
def test_with_the_fault_taken_out_of_the_file_both_shops_hold(seen: trial.Seen) -> None:
    assert (seen.headline, seen.code) == ("HELD", 0), whole(seen)
    assert seen.harmed_s == 0
    assert seen.proofs() == []
    unharmed(seen)


def test_at_least_eight_experiments_are_ready() -> None:
    assert len(cases.BUNDLED) >= 8


@pytest.mark.parametrize(
    "case", slices.thin(cases.UNSEEN, lambda case: case.kind == "health"), ids=lambda case: case.kind
)
def test_traffic_that_bypasses_the_proxy_is_unknown(case: cases.Case, seen: trial.Seen) -> None:
    assert (seen.headline, seen.code) == ("UNKNOWN", 3), whole(seen)
    assert WHY_UNSEEN[case.kind] in seen.why
    assert seen.harmed_s > 5.0, "the toxic was there all the time"
    unharmed(seen)
