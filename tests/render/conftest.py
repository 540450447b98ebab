"""What the report tests share: made-up histories."""

from __future__ import annotations

import pytest

from chaos_runner.api import Renderer
from chaos_runner.history import fold
from chaos_runner.render import html, json, junit, markdown
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
