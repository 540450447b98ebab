"""One crew for all crash points; skipped with a reason where nothing can be traced."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.crash import tracer
from tests.crash.crew import Crew
from tests.crash.points import KINDS
from tests.proxy.toxi import REAL


def _required() -> bool:
    return os.environ.get("REQUIRE_REAL") == "1"


@pytest.fixture(scope="session")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """Two slots for each kind of server that is there."""
    if reason := tracer.problem():
        (pytest.fail if _required() else pytest.skip)(reason)
    kinds = KINDS if REAL.exists() or _required() else ("embedded",)
    crew = Crew(tmp_path_factory.mktemp("crash"), kinds, 2)
    yield crew
    crew.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, crew: Crew) -> str:
    if request.param not in crew.slots:
        pytest.skip(f"no Toxiproxy server at {REAL}: build it with `make real`")
    return str(request.param)
