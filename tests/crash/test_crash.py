"""Killed at any system call, in any request, or with a ledger that cannot be written: nothing is left, nothing twice.

Some points, always the same; `make crash` plays them all.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests import slices
from tests.crash import points, scenes, tracer
from tests.crash.bench import Slot
from tests.crash.crew import Crew, drawn
from tests.crash.judge import Seen
from tests.crash.points import MARK, left
from tests.crash.scenes import Knock
from tests.crash.tracer import Where

pytestmark = pytest.mark.real

SEED = "4"
LEASE = "nobody but the lease"
SAMPLE = {
    "run": 4,
    "run: its start": 1,
    "run: quiet calls": 1,
    "guardian": 2,
    "recovery": 3,
    "recovery: quiet calls": 1,
    "recovery of an intent": 1,
    "recovery of what is undone": 1,
    "recovery after a watch": 1,
    "requests": 3,
    "runner and guardian": 1,
    "broken write": 2,
    "broken write: its start": 1,
    "broken disk from then on": 1,
    LEASE: 1,
}
MORE, OTHER_SEED = 3, "5"  # times as many, in a campaign

Found = dict[tuple[str, str], list[Seen]]


@pytest.fixture(scope="session")
def sections(crew: Crew) -> list[points.Section]:
    return [one for one in crew.sections() if one.name in SAMPLE]


@pytest.fixture(scope="session")
def found(crew: Crew, sections: list[points.Section]) -> Found:
    """Some points of each section, all played."""
    return played(crew, sections, 1, SEED)


@pytest.fixture(scope="module")
def more(crew: Crew, sections: list[points.Section], request: pytest.FixtureRequest) -> Found:
    """More of those sections that are asked for."""
    asked = set(slices.asked(request, "name"))
    return played(crew, [one for one in sections if one.name in asked], MORE, OTHER_SEED)


def played(crew: Crew, known: list[points.Section], times: int, seed: str) -> Found:
    jobs = [(one, job) for one in known for job in drawn(one, times * SAMPLE[one.name], seed)]
    seen: Found = {(one.name, one.kind): [] for one in known}
    for section, one in crew.play(jobs):
        seen[section.name, section.kind].append(one)
    print(Counter({f"{name} ({kind})": len(played) for (name, kind), played in seen.items()}))
    return seen


@pytest.mark.parametrize("name", [name for name in SAMPLE if name != LEASE])
def test_no_fault_is_left_and_nothing_done_twice_wherever_it_dies(found: Found, name: str, kind: str) -> None:
    assert len(found[name, kind]) == SAMPLE[name]
    assert [one for one in found[name, kind] if one.problems] == []


@pytest.mark.campaign
@pytest.mark.parametrize("name", [name for name in SAMPLE if name != LEASE])
def test_nor_is_it_at_more_points(more: Found, name: str, kind: str) -> None:
    assert len(more[name, kind]) > SAMPLE[name]
    assert [one for one in more[name, kind] if one.problems] == []


def test_where_nobody_is_left_the_lease_lapses(found: Found) -> None:
    """On the embedded proxy; the real one knows no leases."""
    assert [one.problems for one in found[LEASE, "embedded"]] == [()]


def test_most_points_are_reached_and_they_are_many(found: Found, crew: Crew) -> None:
    played = [one for section in found.values() for one in section]
    reached = sum(one.reached for one in played)

    assert reached >= 0.8 * len(played)
    assert reached >= 18 * len(crew.slots)


@pytest.fixture
def slot(crew: Crew, kind: str) -> Slot:
    return crew.slots[kind][0]


@pytest.fixture
def trace(found: Found, slot: Slot) -> Path:
    """Of an undisturbed run; the points were found in it."""
    return slot.folder / "run.trace"


def test_the_intent_is_on_disk_before_the_first_byte_of_the_fault_leaves(trace: Path) -> None:
    """What a killed process wrote outlives it even unsynced; what a host wrote that lost power does not."""
    steps = tracer.steps(trace)
    begins = next(n for n, step in enumerate(steps) if step.name == MARK)
    leaves = next(n for n, step in enumerate(steps) if step.name == "sendto" and _posts_a_toxic(step.rest))
    before = [step.name for step in steps[begins:leaves]]

    assert "pwrite64" in before
    assert before[::-1].index("fdatasync") < before[::-1].index("pwrite64"), "written, and not synced"


def _posts_a_toxic(rest: str) -> bool:
    return re.search(r'"POST /proxies/p/toxics', rest) is not None


def test_a_fault_that_arrives_after_its_undo_finds_its_place_taken(slot: Slot) -> None:
    """The runner is killed with the request on its way; the guardian is done before it lands."""
    number = {"embedded": 4, "real": 3}[slot.kind]  # the real one has no lease to make first
    seen = scenes.knocked(slot, Knock("runner", number, "received"))

    assert (seen.reached, seen.problems) == (True, ())
    assert [call.status for call in slot.relay.calls if call.injects] == [409]


def test_a_removal_that_was_only_answered_is_noticed_by_a_recovery(slot: Slot) -> None:
    slot.fresh(left(slot, "left"))
    slot.lay()
    slot.relay.lies = 1
    code, _ = slot.play("recovery")

    assert slot.relay.lies == 0
    assert (code, slot.harm(), slot.ledger.fault()) == (0, False, "WATCHING")


def test_a_removal_that_was_only_answered_is_noticed_by_a_guardian(slot: Slot) -> None:
    slot.fresh()
    with scenes.holding(slot) as (runner, _):
        slot.relay.lies = 1
        look = scenes.dead(slot, runner).until_settled()
    slot.clear()

    assert slot.relay.lies == 0
    assert look.problems == set()
    assert (slot.harm(), slot.ledger.fault()) == (False, "WATCHING")


def test_a_ledger_whose_first_writes_fail_is_never_left_half_made(slot: Slot, trace: Path) -> None:
    steps = tracer.steps(trace)
    linked = next(n for n, step in enumerate(steps) if step.name == "link")
    last = [step.n for step in steps[:linked] if step.name == "pwrite64"][-1]

    for n in (last - 8, last):
        assert scenes.disk_fails(slot, Where("pwrite64", n, "EIO")).problems == ()


def test_a_tracer_that_is_not_there_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert tracer.problem() == "no strace: `make real` installs it"


def test_quiet_calls_and_those_that_are_seen_are_all_there_are(trace: Path) -> None:
    known = points.calls(trace, MARK)
    every = {Where(step.name, step.n) for step in tracer.steps(trace)}

    assert {*known.start, *known.loud, *known.quiet} == every
    assert len(known.loud) > 150
