"""Laws of files that may do more than ours: aliases with a limit, merge keys, the scalars of YAML 1.1."""

from __future__ import annotations

import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chaos_runner.load import Dialect, guard, older, plain
from chaos_runner.load.guard import DEPTH_MAX

OLDER = Dialect(resolve=older.resolve, aliased_max=10_000)


def value(source: str) -> object:
    tree = guard(source, "x", OLDER)
    assert tree.problems == ()
    assert tree.root is not None
    return plain(tree.root)


def told(source: str) -> list[str]:
    return [problem.message for problem in guard(source, "x", OLDER).problems]


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "No",
        "on",
        "OFF",
        "y",
        "010",
        "0o10",
        "0b11",
        "0x1F",
        "1_000",
        "1:30",
        "1e3",
        "1.5e+3",
        "~",
        "null",
        "",
        "a",
    ],
)
def test_plain_scalars_mean_what_the_safe_loader_makes_of_them(text: str) -> None:
    assert value(f"k: {text}") == yaml.safe_load(f"k: {text}")


@given(st.text(string.ascii_letters + string.digits + "._-+:e", min_size=1, max_size=8))
def test_every_plain_scalar_means_what_the_safe_loader_makes_of_it(text: str) -> None:
    try:
        wanted = yaml.safe_load(f"k: {text}")["k"]
    except (yaml.YAMLError, ValueError, TypeError, KeyError):
        return
    tree = guard(f"k: {text}", "x", OLDER)
    if isinstance(wanted, str | int | float | bool | None) and not tree.problems:
        assert tree.root is not None
        assert plain(tree.root) == {"k": wanted}


def test_a_date_stays_what_was_written() -> None:
    assert value("k: 2026-11-22") == {"k": "2026-11-22"}


@pytest.mark.parametrize("text", [".inf", ".nan", "9" * 50, "99999999999999999999"])
def test_a_number_that_nobody_can_mean_is_a_problem(text: str) -> None:
    assert told(f"k: {text}")


def test_an_alias_is_the_value_and_a_merge_key_fills_what_is_missing() -> None:
    source = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [*a, *a]\nd: {<<: [*a, {x: 9, z: 9}]}"
    assert value(source) == yaml.safe_load(source)


def test_our_own_files_know_neither() -> None:
    messages = [problem.message for problem in guard("a: &a {x: 1}\nb: {<<: *a}", "x").problems]
    assert any("alias" in one for one in messages)
    assert any("anchor" in one for one in messages)
    assert any("merge key" in one for one in messages)


def test_aliases_that_multiply_are_refused_in_time_that_does_not_multiply() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "more than 10000 values" in told("\n".join(lines))[0]


def test_aliases_cannot_nest_deeper_than_brackets() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 200)]
    assert f"nested deeper than {DEPTH_MAX}" in told("\n".join(lines))[0]


def test_an_alias_inside_of_what_it_names_is_a_problem() -> None:
    assert "stands inside of what it names" in told("a: &a [*a]")[0]
    assert "or for nothing" in told("a: *b")[0]
