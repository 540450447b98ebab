"""What a fault with a limit of its own was allowed to hit, and what it hit; what nobody counted is not a zero."""

from __future__ import annotations

import pytest

from chaos_runner.history import Run
from chaos_runner.plan import PlannedFault
from chaos_runner.records import Evidence, Target
from chaos_runner.render import safety
from chaos_runner.render.planned import Planned
from chaos_runner.render.windows import spans


def row(kind: str, most: object, figures: dict[str, float] | None) -> list[tuple[str, str, str]]:
    fault = PlannedFault(
        n=2, step=0, lane=0, name="few", kind=kind, version=1, params={"max_affected": most},
        target=Target("proxy/p"), aspect="a", hold_s=15.0, reversible=True,
    )  # fmt: skip
    evidence = [] if figures is None else [Evidence("run.2", "t", figures), Evidence("run.1", "t", {"affected": 99.0})]
    run = Run(id="run", evidence=evidence)
    rows = safety.radius(run, Planned(faults=(fault,)), spans(run, [], []))
    return [(one.what, one.asked, one.touched) for one in rows if one.what.startswith("hit by")]


@pytest.mark.parametrize(
    ("kind", "figures", "asked", "touched"),
    [
        ("toxic", {"affected": 5.0, "streams": 40.0}, "5 connections", "5 when last counted"),
        ("http_error", {"hits": 3.0, "affected": 2.0}, "5 requests", "3 when last counted"),
        ("http_error", None, "5 requests", "none seen"),
        ("toxic", {}, "5 connections", "none seen"),
    ],
)
def test_allowed_and_hit_stand_beside_each_other(
    kind: str, figures: dict[str, float] | None, asked: str, touched: str
) -> None:
    assert row(kind, 5, figures) == [("hit by few", asked, touched)]


@pytest.mark.parametrize("most", [0, None, "many", 2.5], ids=str)
def test_without_a_limit_there_is_no_such_row(most: object) -> None:
    assert row("toxic", most, {"affected": 5.0}) == []
