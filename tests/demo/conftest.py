"""The trials begin with the first test of the session, whatever it tests, and those who wait for them come last."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.demo import beside, cases, trial

_TRIALS = pytest.StashKey[beside.Trials]()


def _case(item: pytest.Item) -> cases.Case | None:
    case = item.callspec.params.get("case") if hasattr(item, "callspec") else None
    return case if isinstance(case, cases.Case) else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _case(item) is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    asked = {case for item in session.items if (case := _case(item)) is not None}
    if not asked or session.config.option.collectonly:
        return (yield)
    with tempfile.TemporaryDirectory(prefix="chaos-runner-trials-") as folder:
        session.config.stash[_TRIALS] = trials = beside.Trials(asked, Path(folder))
        try:
            return (yield)
        finally:
            trials.close()


@pytest.fixture
def seen(request: pytest.FixtureRequest, case: cases.Case) -> trial.Seen:
    """What came of the test's case."""
    return request.config.stash[_TRIALS].seen(case)
