"""One Chromium for all pages of a process, and an hour's run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import Browser
from tools import sample_history
from tools.sample_history import History


@pytest.fixture(scope="session", name="browser")
def _browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        reason = "no Chromium on this machine"
        (pytest.fail if os.environ.get("REQUIRE_REAL") == "1" else pytest.skip)(reason)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, Browser(program, Path(folder)) as browser:
        yield browser


@pytest.fixture(scope="session", name="hour")
def _hour() -> History:
    return sample_history.hour()
