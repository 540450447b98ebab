"""A trial of every row of the guardian matrix (`tools/guardian_matrix.py`), with room for a busy machine."""

from __future__ import annotations

import itertools
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests import slices
from tests.guardian.deaths import DEATHS, Death, Ground, Trial, has_cgroups, has_strace, tried

SLACK_S = 3.0
TRIALS = 1
AT_ONCE = 8  # most of a trial is waiting
MISSING = {
    "fdatasync takes an hour": "" if has_strace() else "there is no strace here",
    "out of memory (kernel)": "" if has_cgroups() else "no cgroup for memory can be made here",
}
# At every change the gates kill, stop and interrupt whole runs, and their guardians; the rest is much the same.
ELSEWHERE = {
    "SIGKILL runner, command line",
    "SIGKILL its process group",
    "SIGSTOP runner, command line",
    "SIGKILL guardian",
    "SIGKILL both",
    "Ctrl-C twice",
    "package and config gone, Ctrl-C twice",
}


@pytest.fixture(scope="module")
def trials(ground: Ground, request: pytest.FixtureRequest) -> dict[str, list[Future[Trial]]]:
    """All that are asked for, under way together."""
    wanted = {item.callspec.params["death"].name for item in request.session.items if _asks(item, request)}
    able = [death for death in DEATHS if death.name in wanted and not MISSING.get(death.name)]
    pool = ThreadPoolExecutor(AT_ONCE)
    request.addfinalizer(lambda: pool.shutdown(cancel_futures=True))
    # By turns, so that deaths that take long do not come last together.
    under_way: dict[str, list[Future[Trial]]] = {death.name: [] for death in able}
    for _, death in itertools.product(range(TRIALS), able):
        under_way[death.name].append(pool.submit(tried, death, ground))
    return under_way


def _asks(item: pytest.Item, request: pytest.FixtureRequest) -> bool:
    return getattr(item, "module", None) is request.module and hasattr(item, "callspec")


@pytest.mark.parametrize(
    "death", slices.thin(DEATHS, lambda death: death.name not in ELSEWHERE), ids=lambda death: death.name
)
def test_whatever_dies_the_fault_is_gone_in_time(death: Death, trials: dict[str, list[Future[Trial]]]) -> None:
    if why := MISSING.get(death.name):
        pytest.skip(why)
    for trial in (future.result() for future in trials[death.name]):
        assert not trial.leaked
        assert trial.took_s <= death.bound_s + SLACK_S
        assert trial.troubles == ()
