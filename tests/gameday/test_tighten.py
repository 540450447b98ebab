"""A game day only tightens an experiment: whatever would allow more is refused with both values."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_runner import files
from chaos_runner.gameday.scenario import Tighten
from chaos_runner.gameday.tighten import BOUNDS, misfits, tightened
from chaos_runner.model import Abort, CheckAbort, Experiment, FaultStep, ParallelStep, PauseStep

SITE = files.read_experiment(files.bundled() / "site-lost.yaml").value
STORM = files.read_experiment(files.bundled() / "payments-retry-storm.yaml").value


def allowed(experiment: Experiment) -> dict[str, Any]:
    """Everything of an experiment that says how much harm it may do, and for how long."""
    radius, abort = experiment.blast_radius, experiment.abort
    return {
        "holds": [step.for_ for step in experiment.faults()],
        "radius": [radius.at_once, radius.in_total, radius.percent_of_selector, radius.max_duration],
        "patience": [abort.violated_for, *(abort.patience(check) for check in experiment.steady_state)],
        "recovery": experiment.recovery.within,
        "less baseline": -experiment.baseline,
    }


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"for": 241}, "for: the experiment's longest fault stays 4m; 241s is more, and a game day only tightens"),
        ({"baseline": 10}, "baseline: the experiment's baseline is 30s; 10s is less"),
        ({"at_once": 3}, "at_once: the experiment's blast_radius.at_once is 2; 3 is more"),
        ({"in_total": 4}, "in_total: the experiment's blast_radius.in_total is 2; 4 is more"),
        ({"max_duration": 600}, "max_duration: the experiment's blast_radius.max_duration is 5m; 10m is more"),
        ({"violated_for": 181}, "violated_for: the experiment's abort.violated_for is 3m; 181s is more"),
        ({"recovery": 301}, "recovery: the experiment's recovery.within is 5m; 301s is more"),
    ],
    ids=lambda asked: next(iter(asked)) if isinstance(asked, dict) else "",
)
def test_what_loosens_is_refused_with_both_values(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="and a game day only tightens") as refused:
        tightened(SITE, msgspec.convert(asked, Tighten))
    assert str(refused.value).startswith(words)


def test_a_smaller_share_is_refused_where_the_file_has_a_smaller_one_still() -> None:
    radius = msgspec.structs.replace(SITE.blast_radius, percent_of_selector=25)
    small = msgspec.structs.replace(SITE, blast_radius=radius)

    with pytest.raises(ValueError, match=r"percent_of_selector is 25; 50 is more"):
        tightened(small, Tighten(percent_of_selector=50))
    assert tightened(small, Tighten(percent_of_selector=10)).blast_radius.percent_of_selector == 10


def test_everything_that_loosens_is_told_at_once() -> None:
    found = dict(misfits(SITE, Tighten(for_=300.0, at_once=9, baseline=31.0)))
    assert set(found) == {("for",), ("at_once",)}


def test_every_field_of_tighten_has_a_bound() -> None:
    assert set(BOUNDS) == set(Tighten.__struct_fields__)


def test_nothing_asked_is_nothing_changed() -> None:
    assert tightened(SITE, Tighten()) == SITE


def test_each_fault_stays_at_most_so_long_and_a_shorter_one_as_it_is() -> None:
    first, pause, last = STORM.method
    assert isinstance(first, FaultStep)
    mixed = msgspec.structs.replace(STORM, method=(msgspec.structs.replace(first, for_=4.0), pause, last))

    small = tightened(mixed, Tighten(for_=10.0))

    assert [step.for_ for step in small.faults()] == [4.0, 10.0]
    assert small.method[1] == PauseStep(pause=5.0)


def test_faults_that_overlap_are_shortened_too() -> None:
    (both,) = tightened(SITE, Tighten(for_=20.0)).method
    assert isinstance(both, ParallelStep)
    assert [step.for_ for step in both.parallel] == [20.0, 20.0]


def test_a_shorter_life_of_faults_shortens_them() -> None:
    small = tightened(SITE, Tighten(max_duration=60.0))
    assert small.blast_radius.max_duration == 60.0
    assert max(step.for_ for step in small.faults()) == 60.0


def test_fewer_in_total_are_fewer_at_once() -> None:
    assert tightened(SITE, Tighten(in_total=1)).blast_radius.at_once == 1


def test_no_check_is_more_patient_than_the_day() -> None:
    own = Abort(
        violated_for=5.0,
        per_check=(CheckAbort(check="shoppers", violated_for=20.0), CheckAbort(check="visitors", violated_for=2.0)),
    )
    small = tightened(msgspec.structs.replace(SITE, abort=own), Tighten(violated_for=4.0))
    assert (small.abort.patience("shoppers"), small.abort.patience("visitors")) == (4.0, 2.0)


def test_an_experiment_without_faults_has_none_to_shorten() -> None:
    with pytest.raises(ValueError, match="the experiment's method has no fault"):
        tightened(msgspec.structs.replace(SITE, method=()), Tighten(for_=5.0))


seconds = st.floats(1, 1000).map(lambda value: round(value, 3))


@given(
    st.builds(
        Tighten,
        for_=st.none() | seconds,
        baseline=st.none() | seconds,
        at_once=st.none() | st.integers(1, 5),
        in_total=st.none() | st.integers(1, 5),
        percent_of_selector=st.none() | st.integers(1, 100),
        max_duration=st.none() | seconds,
        violated_for=st.none() | seconds,
        recovery=st.none() | seconds,
    ),
    st.sampled_from([SITE, STORM]),
)
def test_whatever_is_asked_nothing_ever_grows(asked: Tighten, experiment: Experiment) -> None:
    try:
        small = tightened(experiment, asked)
    except ValueError:
        assert list(misfits(experiment, asked))
        return
    before, after = allowed(experiment), allowed(small)
    for what, most in before.items():
        pairs = zip(after[what], most, strict=True) if isinstance(most, list) else [(after[what], most)]
        assert all(mine <= limit for mine, limit in pairs), what
    assert list(small.problems()) == []
