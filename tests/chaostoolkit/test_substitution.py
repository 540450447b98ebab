"""Laws of `${name}`: the same values as Chaos Toolkit's own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_runner.chaostoolkit.substitution import names, substituted

chaoslib = pytest.importorskip("chaoslib", reason="Chaos Toolkit is not installed")

CONFIGURATION: dict[str, Any] = {"a": 1, "b": "x", "n": None, "l": [1, 2], "t": True, "both": "configuration"}
SECRETS: dict[str, Any] = {"g": {"inner": "s2", "both": "secret", "num": 5}, "h": {"tok": {"x": 1}}}


@pytest.mark.parametrize(
    "value",
    [
        *("${a}", "v${a}", "${a}${a}", "${b}${a}", "${n}", "${l}", "x${l}", "${t}", "v${t}", "${both}"),
        *("${inner}", "v${inner}", "${num}", "v${num}", "${tok}", "${g}"),
        *("${nope}", "${nope} $$", "$nope", "$a", "v$a", "$$", "a$$b", "$${a}", "${a", "100$", "${ a }", "${a-b}", "ü"),
        *({"${b}": "${a}"}, ["${a}", "${inner}"], {"k": ["${a}", {"z": "${inner}"}]}, 5, None, True, 1.5, []),
    ],
    ids=str,
)
def test_every_value_is_chaos_toolkit_s(value: Any) -> None:
    assert substituted(value, CONFIGURATION, SECRETS) == chaoslib.substitute(value, CONFIGURATION, SECRETS)


@given(st.text("$\\{}abn x", max_size=12))
def test_every_drawn_text_is_chaos_toolkit_s(text: str) -> None:
    assert substituted(text, CONFIGURATION, SECRETS) == chaoslib.substitute(text, CONFIGURATION, SECRETS)


def test_names_are_those_that_a_value_asks_for() -> None:
    assert list(names({"a": "${x}", "${key}": ["v$y", {"b": "$$z"}], "c": 1})) == ["x", "y"]
