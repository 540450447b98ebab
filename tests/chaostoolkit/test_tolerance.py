"""Laws of tolerances: the same answers as Chaos Toolkit's own judge, and `unknown` wherever that raises."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_runner.chaostoolkit.tolerance import Unjudged, met

hypothesis_module = pytest.importorskip("chaoslib.hypothesis", reason="Chaos Toolkit is not installed")

VALUES: list[Any] = [
    *(True, False, 1, 0, 200, 201, 204, 150.5, "x", "200", "", "nan", None),
    *([1, 2], [], {"status": 200, "body": "ok"}, {"status": 204}, {"stdout": "hello", "status": 0}, {"a": 1}, {}),
]
TOLERANCES: list[Any] = [
    *(True, False, 200, 1, 0, "x", "200", ""),
    *([200, 204], [200, 202, 204], ["x", "y"], ["x", "y", None], [True], [], [1, "x"]),
    {"type": "regex", "pattern": "^h"},
    {"type": "regex", "pattern": "ok", "target": "body"},
    {"type": "regex", "pattern": "hello", "target": "stdout"},
    {"type": "range", "range": [100, 201]},
    {"type": "range", "range": [0, 1], "target": "status"},
    {"type": "range", "range": [1.5, 300]},
]


def theirs(tolerance: Any, value: Any) -> Any:
    try:
        return bool(hypothesis_module.within_tolerance(deepcopy(tolerance), value))
    except Exception:
        return "raises"


def ours(tolerance: Any, value: Any) -> Any:
    try:
        return met(tolerance, value)
    except Unjudged:
        return "raises"


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=str)
def test_every_answer_is_chaos_toolkit_s(tolerance: Any) -> None:
    for value in VALUES:
        assert ours(tolerance, value) == theirs(tolerance, value), value


scalars = st.none() | st.booleans() | st.integers(-300, 300) | st.floats(-300, 300) | st.text("ab20", max_size=4)
outputs = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.sampled_from(["status", "body"]), scalars)
tolerances = (
    st.booleans()
    | st.integers(-300, 300)
    | st.text("ab20", max_size=4)
    | st.lists(scalars, max_size=3)
    | st.fixed_dictionaries(
        {"type": st.just("range"), "range": st.tuples(st.integers(-300, 0), st.integers(0, 300)).map(list)},
        optional={"target": st.sampled_from(["status", "body"])},
    )
    | st.fixed_dictionaries(
        {"type": st.just("regex"), "pattern": st.sampled_from(["a", "^2", "0$", "b|2"])},
        optional={"target": st.sampled_from(["status", "body"])},
    )
)


@given(tolerances, outputs)
def test_every_drawn_answer_is_chaos_toolkit_s(tolerance: Any, output: Any) -> None:
    assert ours(tolerance, output) == theirs(tolerance, output)


def test_what_is_judged_elsewhere_is_said() -> None:
    for tolerance in (1.5, None, {"type": "probe"}, {"type": "jsonpath", "path": "$.a"}):
        with pytest.raises(ValueError, match="not judged here"):
            met(tolerance, 1)
