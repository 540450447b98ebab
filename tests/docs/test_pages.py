"""What the pages say about the repository is so."""

from __future__ import annotations

import re
from pathlib import Path

import anyio
import pytest

from chaos_runner import judge, registry
from chaos_runner.verdict import EXIT_CODES
from tests.docs.pages import ROOT, blocks, pages

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_MODULE = re.compile(r"`([a-z_/]+\.py)`")
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = [link.partition("#")[0] for link in _LINK.findall(page.read_text("utf-8"))]
    inside = [link for link in links if link and not link.startswith("https://")]
    assert [link for link in inside if not (page.parent / link).resolve().exists()] == []


def test_the_architecture_is_short_and_names_modules_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    named = {name.removeprefix("chaos_runner/") for name in _MODULE.findall(text)}

    assert len(text.splitlines()) < 80
    assert [name for name in sorted(named) if not (ROOT / "chaos_runner" / name).is_file()] == []


def test_a_picture_is_small() -> None:
    pictures = list((ROOT / "docs" / "images").iterdir())
    assert pictures
    assert all(picture.stat().st_size < 200_000 for picture in pictures)


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_says_why_what_and_what_follows(decision: Path) -> None:
    text = decision.read_text("utf-8")
    assert text.startswith(f"# {decision.name[:3]}: ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [path.name[:3] for path in DECISIONS] == [f"{n:03}" for n in range(1, len(DECISIONS) + 1)]


def test_the_readme_names_every_fault_and_every_exit_code() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert [kind for kind in registry.faults.names() if f"`{kind}`" not in text] == []
    for word, code in EXIT_CODES.items():
        assert re.search(rf"^\| {code} \| {word} \|", text, re.MULTILINE)
        assert judge.exit_code(word) == code


def test_the_test_file_of_the_guide_passes_as_it_is_written(tmp_path: Path) -> None:
    (guide,) = blocks("python")
    written: dict[str, object] = {}
    exec(compile(guide.text, str(guide), "exec"), written)
    (law,) = (value for name, value in written.items() if name.startswith("test_"))
    anyio.run(law, tmp_path)
