"""The trials of a module are under way from its first test on, four worlds at a time: they mostly wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests import again
from tests.demo import cases, trial

AT_ONCE = 4

Trials = dict[cases.Case, "Future[trial.Seen]"]


def _case(item: pytest.Item) -> cases.Case | None:
    case = item.callspec.params.get("case") if hasattr(item, "callspec") else None
    return case if isinstance(case, cases.Case) else None


@pytest.fixture(scope="module")
def trials(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    """Every case that the chosen tests of this module ask for."""
    chosen = (item for item in request.session.items if item.path == request.path)
    asked = {case for item in chosen if (case := _case(item)) is not None}
    shops, folder = cases.Shops(), tmp_path_factory.mktemp
    with ThreadPoolExecutor(AT_ONCE) as pool:
        coming = {case: pool.submit(cases.go, case, folder(str(case)), shops) for case in sorted(asked)}
        yield coming
        for one in coming.values():
            one.cancel()
    assert shops.end() == []


@pytest.fixture
def seen(trials: Trials, case: cases.Case, record_property: Callable[[str, object], None]) -> trial.Seen:
    """What came of the test's case."""
    seen = trials[case].result()
    if seen.again:
        record_property(again.NOTED, seen.again)
    return seen
