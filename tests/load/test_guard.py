"""What the guard lets through, and that it refuses the rest with a place and a sentence."""

from __future__ import annotations

import math

import pytest

from chaos_runner.load import guard, plain
from chaos_runner.load.guard import BYTES_MAX, DEPTH_MAX, NODES_MAX, SCALAR_MAX


def told(source: str | bytes) -> list[str]:
    return [str(problem).removeprefix("x:") for problem in guard(source, "x").problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("2001-01-01", "2001-01-01"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-7", -7),
        ("+7", 7),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-.INF", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("~", None),
        ("Null", None),
        ("", None),
        ("'1'", "1"),
        ('"true"', "true"),
        ("-", None),
        ("1.2.3", "1.2.3"),
        ("0b1", "0b1"),
        ("=", "="),
    ],
)
def test_plain_scalars_follow_yaml_1_2(text, value):
    tree = guard(f"k: {text}\n" if text != "-" else "k:\n", "x")

    assert tree.problems == ()
    assert tree.root is not None
    assert plain(tree.root) == {"k": value}
    assert type(plain(tree.root)["k"]) is type(value)


def test_every_node_knows_where_it_stands():
    root = guard("a: 1\nbö:\n  - {c: 'x y'}\n", "x").root

    assert root is not None
    inner = root.get("bö").get(0)
    assert (inner.line, inner.col) == (3, 5)
    assert (inner.key("c").line, inner.key("c").col) == (3, 6)
    assert (inner.get("c").col, inner.get("c").end_col) == (9, 14)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "3:1: the key 'a' is already on line 1; keep one of them"),
        ("a: 1\n'a': 3", "2:1: the key 'a' is already on line 1; keep one of them"),
        ("a: &x 1", "1:4: the anchor &x is not allowed; remove it"),
        ("a: *x", "1:4: the alias *x is not allowed; write the value itself"),
        ("<<: {a: 1}", "1:1: the merge key << is not allowed; write the keys themselves"),
        ("a: !!str 1", "1:4: the tag !!str is not allowed; remove it"),
        (
            "a: !!python/object/apply:os.system [x]",
            "1:4: the tag !!python/object/apply:os.system is not allowed; remove it",
        ),
        ("a: ! x", "1:4: the tag ! is not allowed; remove it"),
        ("a\n---\nb", "2:1: a second document starts here; a file holds one"),
        ("%YAML 1.2\n---\na", "1:1: directives (%YAML, %TAG) are not allowed; remove them"),
        ("? [a]\n: b", "1:3: a key is text; put text that starts with { or [ in quotes"),
        ("a: {{x}}", "1:5: a key is text; put text that starts with { or [ in quotes"),
        ("80: x", "1:1: a key is text; put this one in quotes"),
        ("true: x", "1:1: a key is text; put this one in quotes"),
        ("a: " + "9" * 5000, "1:4: a number of 5000 digits is too large"),
        ("a: 9223372036854775808", "1:4: the number 9223372036854775808 is too large"),
        ("a: x\x1b[31m", "1:5: the invisible character U+001B is not allowed; remove it"),
        ("a: x\u202ey", "1:5: the invisible character U+202E is not allowed; remove it"),
        ("a: \u2028", "1:4: the invisible character U+2028 is not allowed; remove it"),
        ('a: "\\e"', "1:4: the invisible character U+001B is not allowed; remove its escape"),
        (b"a: x\nb: \xff", "2:4: byte 0xff is not UTF-8"),
        ("", "1:1: the file is empty"),
        ("# only words", "1:1: the file is empty"),
        ("a:\n\tb: 1", "2:1: a tab cannot indent; use spaces"),
        (
            "a: b: c",
            "1:5: a ':' is not expected here; check the indentation, or put the text in quotes if the "
            "':' belongs to it",
        ),
        ("a: 'x", "1:4: the quoted text that starts here has no closing quote"),
        ("a: [1, 2", "1:4: the list that starts here with [ has no ] where one is needed"),
        ("a: {b: 1", "1:4: the mapping that starts here with { has no } where one is needed"),
        ("a: @x", "1:4: text cannot start with '@' here; put it in quotes"),
        ("a: [> 5]", "1:5: text cannot start with '>' here; put it in quotes"),
    ],
)
def test_what_no_file_needs_is_one_problem_at_its_place(source, problem):
    assert told(source) == [problem]


@pytest.mark.parametrize(
    ("fits", "too_much", "sentence"),
    [
        ("[" * DEPTH_MAX + "]" * DEPTH_MAX, "[" * 50_000, "nested deeper than 64 levels"),
        ("- 1\n" * (NODES_MAX - 1), "- 1\n" * NODES_MAX, "more than 50000 values"),
        ("a" * SCALAR_MAX, "a" * (SCALAR_MAX + 1), "a text of 65537 characters is too long; at most 65536 are read"),
        (
            "a #".ljust(BYTES_MAX),
            "a #".ljust(BYTES_MAX + 1),
            "1048577 bytes are too many; at most 1048576 (1 MiB) are read",
        ),
    ],
)
def test_each_limit_holds_at_its_edge(fits, too_much, sentence):
    assert told(fits) == []
    assert len(told(too_much)) == 1
    assert told(too_much)[0].endswith(sentence)


def test_a_refused_value_does_not_hide_the_next_problem():
    assert len(told("a: !!str 1\nb: *x\nc: &y 1\na: 2")) == 4


def test_a_byte_order_mark_is_not_part_of_the_first_key():
    root = guard(b"\xef\xbb\xbfkind: x", "x").root

    assert root is not None
    assert root.pairs[0].key.value == "kind"


def test_a_thousand_levels_of_brackets_never_reach_a_recursive_function():
    for opener in ("[", "{a: ", "- ", "? ", "[{a: "):
        assert len(told(opener * 100_000)) == 1
