"""How problems look on a terminal, in JSON and beside a pull request."""

from __future__ import annotations

import json

from chaos_runner.load import Problem, render, to_github, to_json
from chaos_runner.load.problems import path_text

LATNCY = Problem("experiments/x.yaml", 2, 14, "method[0].with.type", "unknown toxic 'latncy'; did you mean 'latency'?")


def test_a_problem_is_a_line_its_source_and_a_caret():
    assert render([LATNCY], {"experiments/x.yaml": "a: 1\nwith: {type: latncy}\n"}) == (
        "experiments/x.yaml:2:14: method[0].with.type: unknown toxic 'latncy'; did you mean 'latency'?\n"
        "    2 | with: {type: latncy}\n"
        "      |              ^"
    )


def test_a_problem_without_a_source_is_one_line():
    assert render([LATNCY]) == str(LATNCY)
    assert render([Problem("x", 0, 0, "", "does not exist")], {"x": "a"}) == "x: does not exist"


def test_a_long_line_is_cut_around_the_caret():
    text = render([Problem("x", 1, 5001, "", "here")], {"x": "a" * 5000 + "X" + "b" * 5000})
    _, source, caret = text.splitlines()

    assert len(source) < 180
    assert source[caret.index("^")] == "X"
    assert source.count("...") == 2


def test_nothing_a_terminal_would_obey_is_printed():
    problem = Problem("a\x1b[2J\n::error ::b\udc80", 1, 3, "p\x07", "m\x9b\u202e\r")
    source = {problem.file: "\x1b]0;\tx\x7f"}

    for text in (render([problem], source), to_github([problem]), to_json([problem]), str(problem)):
        assert not any(char in text for char in "\x1b\x07\x9b\u202e\r\x7f\udc80")
    assert len(to_github([problem]).splitlines()) == 1


def test_the_caret_stands_under_the_place_when_escapes_widen_the_line():
    _, source, caret = render([Problem("x", 1, 3, "", "m")], {"x": "\x1b\tX"}).splitlines()

    assert source[caret.index("^")] == "X"


def test_a_hundred_are_shown_and_the_rest_counted():
    problems = [Problem("x", n, 1, "", "wrong") for n in range(1, 251)]

    assert render(problems).splitlines()[-1] == "and 150 more"
    assert len(to_github(problems).splitlines()) == 101
    assert len(json.loads(to_json(problems))) == 250


def test_an_annotation_escapes_what_workflow_commands_read():
    problem = Problem("a,b:c%.yaml", 2, 7, "p", "50% is:\ntoo much")

    assert to_github([problem]) == "::error file=a%2Cb%3Ac%25.yaml,line=2,col=7::p: 50%25 is: too much"


def test_keys_that_would_be_misread_are_quoted_in_paths():
    assert path_text(("a", 0, "b.c", "d e", "f/g")) == 'a[0]["b.c"]["d e"].f/g'
