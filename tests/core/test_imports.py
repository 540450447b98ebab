"""Imports that leave out what is not used: the libraries work as ever, only later."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from chaos_runner._imports import absent, expressions_later


def test_an_expression_that_was_put_off_works_like_any_other() -> None:
    with expressions_later():
        later = re.compile(r"(\d+) ms", re.IGNORECASE)

    assert later.fullmatch("12 MS")[1] == "12"
    assert later.pattern == r"(\d+) ms"
    assert later.flags & re.IGNORECASE


def test_a_wrong_expression_is_an_error_when_used() -> None:
    with expressions_later():
        later = re.compile("(")

    with pytest.raises(re.error):
        later.search("x")


def test_after_the_block_expressions_are_compiled_at_once() -> None:
    with pytest.raises(ZeroDivisionError), expressions_later():
        raise ZeroDivisionError

    assert isinstance(re.compile("x"), re.Pattern)


def test_an_absent_package_is_not_found_and_then_is_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here_and_now.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    with absent("only_here_and_now"), pytest.raises(ImportError):
        importlib.import_module("only_here_and_now")

    assert importlib.import_module("only_here_and_now")


def test_a_package_that_is_in_use_stays() -> None:
    with absent("re"):
        assert importlib.import_module("re") is re
