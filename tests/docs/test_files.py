"""The YAML in the documentation is what the program accepts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from chaos_runner import files
from chaos_runner.load import Invalid
from chaos_runner.model import Experiment, FaultStep
from tests.docs.pages import ROOT, Block, blocks

REST = """\
kind: experiment/v1
name: from-the-docs
hypothesis: When nothing happens, everything stays as it is.
steady_state:
  shoppers: {probe: http, with: {service: shop, rate: 40/s}, expect: [success >= 99%]}
blast_radius: {at_once: 1, in_total: 1, max_duration: 60s}
method: []
"""
STEP = """\
method:
  - fault: toxic
    target: {proxy: redis}
    with: {type: latency, latency: 100ms}
    """
CACHE = "  cache: {probe: tcp, with: {service: redis, rate: 20/s}, expect: [success >= 99%]}\n"
KEYS = set(Experiment.__struct_fields__)
STEP_KEYS = {name.rstrip("_") for name in FaultStep.__struct_fields__}
YAML = list(blocks("yaml"))


def _is_whole(block: Block) -> bool:
    return "\nenvironments:" in block.text or "\nchecks:" in block.text or "\nclosed:" in block.text


def _is_scenario(block: Block) -> bool:
    return block.text.startswith("kind: scenario/v1\n")


def _top(block: Block) -> set[str]:
    return set(yaml.safe_load(block.text))


def _problems(text: str, folder: Path) -> str:
    file = folder / "file.yaml"
    file.write_text(text)
    try:
        files.read_any(file)
    except Invalid as invalid:
        return invalid.text()
    return ""


@pytest.mark.parametrize("block", [block for block in YAML if _is_whole(block)], ids=str)
def test_every_whole_file_in_the_docs_is_valid(block: Block, tmp_path: Path) -> None:
    assert _problems(block.text, tmp_path) == ""


@pytest.mark.parametrize("block", [block for block in YAML if _is_scenario(block)], ids=str)
def test_every_scenario_in_the_docs_is_valid(block: Block, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    (tmp_path / "scenarios").mkdir()
    assert _problems(block.text, tmp_path / "scenarios") == ""


@pytest.mark.parametrize("block", [block for block in YAML if not _is_whole(block) and _top(block) <= KEYS], ids=str)
def test_every_part_of_an_experiment_in_the_docs_is_valid(block: Block, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "experiments" / "checks", tmp_path / "checks")
    mine = {key: value for key, value in yaml.safe_load(REST).items() if key not in _top(block)}
    assert _problems(yaml.safe_dump(mine, sort_keys=False) + block.text, tmp_path) == ""


@pytest.mark.parametrize("block", [b for b in YAML if not _is_whole(b) and _top(b) <= STEP_KEYS], ids=str)
def test_every_part_of_a_step_in_the_docs_is_valid(block: Block, tmp_path: Path) -> None:
    head = REST.replace("method: []\n", "").replace("blast_radius", CACHE + "blast_radius", 1)
    assert _problems(head + STEP + block.text, tmp_path) == ""


def test_no_yaml_in_the_docs_is_left_untried() -> None:
    known = [_is_whole(b) or _is_scenario(b) or _top(b) <= KEYS or _top(b) <= STEP_KEYS for b in YAML]
    assert [str(b) for b, tried in zip(YAML, known, strict=True) if not tried and "docs/ci.md" not in b.page] == []


def test_the_experiment_of_the_readme_is_the_bundled_one(tmp_path: Path) -> None:
    parts = [b.text for b in YAML if b.page == "README.md" and not _is_whole(b)]
    (tmp_path / "readme.yaml").write_text("".join(parts))

    told = files.read_experiment(tmp_path / "readme.yaml").value
    assert told == files.read_experiment(ROOT / "experiments" / "slow-payments.yaml").value
