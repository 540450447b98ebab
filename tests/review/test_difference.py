"""What differs between two runs."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from chaos_runner.history import Run, fold
from chaos_runner.render import digested, site
from chaos_runner.review import difference
from chaos_runner.review.difference import Difference
from chaos_runner.review.digest import Digest
from tools.sample_history import HISTORIES, History


def _side(history: History, **plan: Any) -> tuple[Run, Digest]:
    run = fold(history.entries)
    run.plan = {**run.plan, **plan}
    return run, digested.of(run, history.entries, history.samples)


def _between(one: str, two: str, **plan: Any) -> Difference:
    return difference.between(_side(HISTORIES[one]()), _side(HISTORIES[two](), **plan))


def test_a_run_does_not_differ_from_itself() -> None:
    same = _between("held", "held")
    assert not [row for row in (*same.verdict, *same.figures) if row.differs]
    assert (same.file, same.plan, same.environment, same.comparable) == ((), (), (), ())


def test_verdict_and_figures_are_told_side_by_side() -> None:
    found = _between("held", "aborted")
    rows = {row.what: row for row in (*found.verdict, *found.figures)}

    assert (rows["verdict"].first, rows["verdict"].second) == ("HELD", "ABORTED")
    assert rows["shoppers: p95 <= 1s"].second == "violated"
    assert rows["decision to fault gone"].first is None
    assert "figures can be compared" in site.as_text(found)


def test_every_part_that_differs_is_named() -> None:
    history = HISTORIES["held"]()
    plan = fold(history.entries).plan
    experiment = msgspec.json.decode(msgspec.json.encode(plan["experiment"]))
    experiment["method"][0]["for"] = 60.0
    text = plan["text"].replace("for: 30s", "for: 60s")
    found = _between("held", "held", experiment=experiment, text=text, environment="production", seed=7)

    assert found.comparable == ("environment", "plan")
    assert [line for line in found.file if line[0] in "+-"][2:] == ["-    for: 30s", "+    for: 60s"]
    assert {row.what: (row.first, row.second) for row in found.plan} == {
        "experiment.method[0].for": ("30.0", "60.0"),
        "seed": ("20260822", "7"),
    }
    assert {row.what for row in found.environment} == {"environment"}
    assert "figures beside each other may mislead" in site.as_text(found)


def test_a_difference_has_limits_and_says_what_it_left_out() -> None:
    many = {f"k{n}": n for n in range(500)}
    found = _between("held", "held", **many, text="\n".join(map(str, range(5000))))

    assert len(found.plan) == 200
    assert len(found.file) == 400
    assert found.cut == ("the file's difference ends after 400 lines", "300 more in the plan")


def test_no_depth_of_a_plan_is_too_deep() -> None:
    deep: Any = 1
    for _ in range(300):
        deep = {"x": deep}
    (row,) = _between("held", "held", extra=deep).plan
    assert row.what == "extra"
    other: Any = 2
    for _ in range(300):
        other = {"x": other}
    first, second = _side(HISTORIES["held"](), extra=deep), _side(HISTORIES["held"](), extra=other)
    (row,) = difference.between(first, second).plan
    assert row.what.count("x") == 12


def test_the_json_has_both_digests() -> None:
    told = json.loads(site.as_json(_between("held", "deviated")))
    assert (told["schemaVersion"], told["first"]["word"], told["second"]["word"]) == (1, "HELD", "DEVIATED")
    assert any(row["what"] == "requests harmed" for row in told["figures"])
