"""Laws of reading Chaos Toolkit files: what it refuses is refused, with the place; what it takes is taken."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from copy import deepcopy
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml

from chaos_runner.chaostoolkit import reading
from chaos_runner.load import Invalid, guard

VALID: dict[str, Any] = {
    "version": "1.0.0",
    "title": "Payments may be slow",
    "description": "What happens then?",
    "tags": ["payments"],
    "configuration": {"host": {"type": "env", "key": "HOST", "default": "localhost"}},
    "secrets": {"shop": {"token": {"type": "env", "key": "PATH"}}},
    "steady-state-hypothesis": {
        "title": "Shoppers can check out",
        "probes": [
            {
                "type": "probe",
                "name": "there",
                "tolerance": True,
                "provider": {"type": "python", "module": "os.path", "func": "exists", "arguments": {"path": "/"}},
            },
            {
                "type": "probe",
                "name": "answers",
                "tolerance": {"type": "range", "range": [200, 299], "target": "status"},
                "provider": {"type": "http", "url": "http://${host}/", "timeout": [1, 2], "headers": {"a": "b"}},
            },
        ],
    },
    "method": [
        {
            "type": "action",
            "name": "slow",
            "background": True,
            "pauses": {"before": 1, "after": "${pause}"},
            "provider": {"type": "process", "path": "true", "arguments": ["-x"], "timeout": 3},
        },
        {"ref": "there"},
    ],
    "rollbacks": [
        {"type": "action", "name": "undo", "provider": {"type": "process", "path": "true", "arguments": "-x"}}
    ],
    "controls": [{"name": "c", "provider": {"type": "python", "module": "os.path"}}],
    "extensions": [{"name": "ours", "any": "thing"}],
    "runtime": {"rollbacks": {"strategy": "always"}, "hypothesis": {"strategy": "continuously"}},
}

Change = tuple[tuple[str | int, ...], Any]
GONE = object()


def changed(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    experiment = deepcopy(VALID)
    holder = reduce(operator.getitem, path[:-1], experiment)  # type: ignore[arg-type]
    if value is GONE:
        del holder[path[-1]]  # type: ignore[arg-type]
    else:
        holder[path[-1]] = value  # type: ignore[index]
    return experiment


def told(tmp_path: Path, experiment: Any) -> list[str]:
    file = tmp_path / "x.json"
    file.write_text(json.dumps(experiment, indent=2))
    try:
        reading.loaded(file)
    except Invalid as invalid:
        return [f"{problem.path}: {problem.message}" for problem in invalid.problems]
    return []


SSH = "steady-state-hypothesis"
WRONG: list[Change] = [
    *((("title",), GONE), (("title",), ""), (("description",), GONE), (("method",), GONE)),
    *(((SSH, "title"), GONE), ((SSH, "probes", 0, "tolerance"), GONE), ((SSH, "probes", 0, "tolerance"), 1.5)),
    *(((SSH, "probes", 0, "tolerance"), None), ((SSH, "probes", 0, "tolerance"), {"type": "nope"})),
    *(((SSH, "probes", 1, "tolerance", "range"), GONE), ((SSH, "probes", 1, "tolerance", "range"), [1])),
    *(((SSH, "probes", 1, "tolerance", "range"), ["a", 1]), ((SSH, "probes", 1, "provider", "url"), GONE)),
    *(((SSH, "probes", 1, "provider", "headers"), ["a"]), ((SSH, "probes", 0, "provider", "module"), GONE)),
    *(((SSH, "probes", 0, "provider", "func"), ""), (("method", 0, "type"), "acton"), (("method", 0, "type"), GONE)),
    *((("method", 0, "name"), GONE), (("method", 0, "provider"), GONE), (("method", 0, "provider", "type"), "ssh")),
    *(
        (("method", 0, "provider", "path"), GONE),
        (("method", 0, "background"), "yes"),
        (("method", 0, "timeout"), "3s"),
    ),
    *((("method", 0, "pauses", "before"), "3s"), (("method", 1, "ref"), "nobody"), (("method", 1, "ref"), "")),
    *((("tags",), ["a", ""]), (("tags",), [1]), (("extensions", 0, "name"), GONE), (("controls", 0, "name"), GONE)),
    *((("controls", 0, "provider"), GONE), (("controls", 0, "scope"), "around"), (("rollbacks", 0, "name"), GONE)),
    (("method",), [{}]),
    ((SSH, "probes", 0, "tolerance"), {"type": "regex", "pattern": "("}),
    ((SSH, "probes", 0, "tolerance"), {"type": "regex"}),
]


def test_a_file_with_everything_in_it_is_valid(tmp_path: Path) -> None:
    assert told(tmp_path, VALID) == []


@pytest.mark.parametrize(
    "change", WRONG, ids=lambda change: f"{change[0]}={'gone' if change[1] is GONE else change[1]}"
)
def test_what_chaos_toolkit_refuses_is_refused_at_its_place(change: Change, tmp_path: Path) -> None:
    experiment_module = pytest.importorskip("chaoslib.experiment", reason="Chaos Toolkit is not installed")
    experiment = changed(*change)
    with pytest.raises(Exception):  # noqa: B017 - it raises what it likes
        experiment_module.ensure_experiment_is_valid(deepcopy(experiment))
    found = told(tmp_path, experiment)
    parts = [str(part) for part in change[0] if isinstance(part, str)]
    assert found
    for problem in found:
        assert set(problem.partition(": ")[0].replace("[", ".").split(".")) & {*parts, ""}


def test_chaos_toolkit_takes_the_valid_file_too() -> None:
    experiment_module = pytest.importorskip("chaoslib.experiment", reason="Chaos Toolkit is not installed")
    experiment_module.ensure_experiment_is_valid(deepcopy(VALID))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ((("rollbacks",), [{"ref": "undo"}]), "unknown activity 'undo'"),
        ((("rollbacks", 0, "provider", "timeout"), "soon"), "expected seconds as a number"),
        (((SSH, "probes", 1, "tolerance", "range"), [299, 200]), "nothing lies between"),
        ((("runtime", "rollbacks", "strategy"), "alway"), "unknown strategy 'alway'"),
        ((("method", 0, "pauses", "after"), -1), "cannot be negative"),
    ],
)
def test_what_it_lets_pass_and_then_fails_by_is_refused(change: Change, sentence: str, tmp_path: Path) -> None:
    [problem] = told(tmp_path, changed(*change))
    assert sentence in problem


def test_unknown_keys_are_noted_with_what_was_meant(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps({**VALID, "rollback": [], "dossier": 1}, indent=2))
    notes = [note.message for note in reading.loaded(file).notes if "unknown" in note.message]
    assert notes == ["unknown key 'rollback' is ignored; did you mean 'rollbacks'?", "unknown key 'dossier' is ignored"]


def test_yaml_says_the_same_as_json(tmp_path: Path) -> None:
    as_json, as_yaml = tmp_path / "x.json", tmp_path / "x.yaml"
    as_json.write_text(json.dumps(VALID, indent="\t"))
    as_yaml.write_text(yaml.safe_dump(VALID))
    assert reading.loaded(as_json).value == VALID
    assert reading.loaded(as_yaml).value == VALID


def test_many_mistakes_are_told_at_once(tmp_path: Path) -> None:
    experiment = changed(("method", 0, "type"), "acton")
    experiment["method"][1]["ref"] = "ther"
    del experiment["title"]
    found = told(tmp_path, experiment)
    assert len(found) == 3
    assert any("did you mean 'action'" in one for one in found)
    assert any("did you mean 'there'" in one for one in found)


@pytest.mark.parametrize(
    ("text", "one"),
    [
        ("title: a\nmethod: []", True),
        ("kind: experiment/v1\ntitle: a\nmethod: []", False),
        ("method: []", False),
        ("[]", False),
        ("name: x", False),
    ],
)
def test_a_file_is_told_by_its_shape(text: str, one: bool) -> None:
    root = guard(text, "x").root
    assert root is not None
    assert reading.is_one(root) is one


SHAPES: list[Callable[[], Any]] = [list, dict, lambda: "text", lambda: 5, lambda: None, lambda: [None], lambda: [[]]]


@pytest.mark.parametrize("key", sorted(VALID))
def test_a_value_of_any_shape_is_a_problem_or_a_value_and_never_an_error(key: str, tmp_path: Path) -> None:
    for shape in SHAPES:
        told(tmp_path, {**VALID, key: shape()})
