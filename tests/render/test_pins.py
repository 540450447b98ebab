"""What was recorded once always renders, and the bytes of a page belong to its version.

After a change that is meant: raise VERSION in render/html/page.py, then UPDATE_GOLDEN=1 python -m pytest
tests/render/test_pins.py tests/render/test_golden.py, and read the diff.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from chaos_runner import store
from chaos_runner.cli import report
from chaos_runner.history import fold
from chaos_runner.render import html
from chaos_runner.render.html import page
from chaos_runner.store import schema
from tests.render.golden.ledgers.make import RUN
from tests.render.tree import Page
from tools.sample_history import HISTORIES

GOLDEN = Path(__file__).parent / "golden"
PINS = GOLDEN / "pins.json"
LEDGERS = sorted((GOLDEN / "ledgers").glob("v*.sqlite"))


def pinned(name: str, content: bytes) -> None:
    """The bytes are those that this version of the page had when it was made."""
    pins = json.loads(PINS.read_text("utf-8")) if PINS.exists() else {}
    told = hashlib.sha256(content).hexdigest()
    if os.environ.get("UPDATE_GOLDEN") == "1":
        pins.setdefault(str(page.VERSION), {})[name] = told
        PINS.write_text(json.dumps(pins, indent=1, sort_keys=True) + "\n", "utf-8")
    ours = pins.get(str(page.VERSION), {})

    assert ours.get(name) == told, (
        f"page {page.VERSION} of {name} has other bytes: raise VERSION in render/html/page.py"
    )


@pytest.mark.parametrize("name", HISTORIES)
def test_the_bytes_of_a_page_belong_to_its_version(name: str) -> None:
    history = HISTORIES[name]()

    pinned(name, html.render(fold(history.entries), history.entries, history.samples))


def test_a_page_says_its_version() -> None:
    history = HISTORIES["held"]()

    assert Page(html.render(fold(history.entries), history.entries, history.samples).decode()).says(
        f"The same records give the same bytes (page {page.VERSION})."
    )


def test_every_version_of_the_ledger_has_its_golden_run() -> None:
    """Who adds a migration keeps a ledger of the version before: golden/ledgers/make.py."""
    assert [path.stem for path in LEDGERS] == [f"v{n}" for n in range(1, len(schema.MIGRATIONS) + 1)]


@pytest.mark.parametrize("path", LEDGERS, ids=lambda path: path.stem)
def test_a_run_that_any_release_recorded_still_renders(path: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    shutil.copyfile(path, state / "ledger.sqlite")
    (state / "ledger.sqlite").chmod(0o600)
    store.open_store(state, allow_tmpfs=True).close()
    content = report.rendered(RUN, state, "html")
    told = Page(content.decode())

    pinned(f"ledger-{path.stem}", content)
    assert not told.unbalanced
    for words in ("ABORTED", "Yes: 578 requests in 18 seconds", "1 of 1 fault read back as gone", "stop decided"):
        assert told.says(words), words
