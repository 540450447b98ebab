"""One suite for both servers: each law says which one it ran on, for the table in docs/parity.md."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture(autouse=True)
def on_which_server(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    callspec = getattr(request.node, "callspec", None)
    record_property("server", callspec.params.get("api", "embedded") if callspec else "embedded")


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for two sockets of each of a thousand connections; skipped where the system gives none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"at most {hard} files are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
