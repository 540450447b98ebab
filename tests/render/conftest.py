"""What the report tests share: made-up histories, and Chromium where it is installed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos_runner.api import Renderer
from chaos_runner.history import fold
from chaos_runner.render import html, json, junit, markdown
from tests.render.browser import Browser
from tools import sample_history
from tools.sample_history import History

RENDERERS: dict[str, Renderer] = {
    "html": html.render,
    "junit": junit.render,
    "markdown": markdown.render,
    "json": json.render,
}
SUFFIX = {"html": "html", "junit": "xml", "markdown": "md", "json": "json"}


def rendered(history: History, kind: str = "html") -> str:
    """A report as text."""
    return RENDERERS[kind](fold(history.entries), history.entries, history.samples).decode()


@pytest.fixture(scope="session", name="hour")
def _hour() -> History:
    return sample_history.hour()


@pytest.fixture(scope="session", name="browser")
def _browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        reason = "no Chromium on this machine"
        (pytest.fail if os.environ.get("REQUIRE_REAL") == "1" else pytest.skip)(reason)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, Browser(program, Path(folder)) as browser:
        yield browser
