"""All trials of these tests, four worlds at a time: they begin with the first test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.demo import cases, trial

AT_ONCE = 4


@pytest.fixture(scope="session")
def trials(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[cases.Case, Future[trial.Seen]]]:
    """The trials that the chosen tests need, under way."""
    specs = [getattr(item, "callspec", None) for item in request.session.items]
    asked = {spec.params["case"] for spec in specs if spec and isinstance(spec.params.get("case"), cases.Case)}
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield {case: pool.submit(cases.go, case, tmp_path_factory.mktemp(case.name)) for case in sorted(asked)}
    finally:
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def seen(case: cases.Case, trials: Mapping[cases.Case, Future[trial.Seen]]) -> trial.Seen:
    """What came of the test's case."""
    return trials[case].result()
