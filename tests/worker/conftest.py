from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def port() -> Iterator[int]:
    """A fixed 10 ms service in its own process."""
    argv = [sys.executable, str(Path(__file__).with_name("servers.py")), "0.01"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        yield int(server.stdout.readline())
        server.kill()
