"""`validate` knows Chaos Toolkit's files by their shape."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos_runner.cli.main import main

YAML = """\
title: a
description: b
dossier: 1
method: &m
- {type: action, name: x, provider: {type: process, path: "true"}}
rollbacks: *m
"""


def test_a_valid_one_is_valid_and_its_odd_keys_are_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ctk.yaml"
    file.write_text(YAML)
    assert main(["validate", str(file)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{file}: valid\n"
    assert said.err == f"note: {file}:3:1: dossier: unknown key 'dossier' is ignored\n"


def test_a_wrong_one_is_shown_with_line_and_caret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ctk.json"
    file.write_text('{"title": "a",\n\t"description": "b",\n\t"method": [{"ref": "x"}]}')
    assert main(["validate", str(file)]) == 2
    said = capsys.readouterr().err
    assert f"{file}:3:21: method[0].ref: unknown activity 'x'; none is known here" in said
    assert "^" in said
