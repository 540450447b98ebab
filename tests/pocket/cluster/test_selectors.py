"""Selectors say of objects what a real API server says of them."""

from __future__ import annotations

import pytest

from chaos_runner.pocket.cluster import kinds, selectors
from chaos_runner.pocket.cluster.refusal import Refusal

OBJECTS = [{"a": "x"}, {"a": "y"}, {"a": "x", "b": ""}, {}]


@pytest.mark.parametrize(
    ("text", "fitting"),
    [
        ("", [0, 1, 2, 3]),
        ("a=x", [0, 2]),
        ("a==x", [0, 2]),
        ("a!=x", [1, 3]),
        ("a in (x,y)", [0, 1, 2]),
        ("a notin (x, y)", [3]),
        ("a", [0, 1, 2]),
        ("!a", [3]),
        ("a=x,b", [2]),
        ("a in (x),!b", [0]),
        ("b=", [2]),
    ],
)
def test_a_label_selector_fits_what_it_names(text: str, fitting: list[int]) -> None:
    terms = selectors.of_text(text)

    assert [n for n, labels in enumerate(OBJECTS) if selectors.fits(terms, labels)] == fitting


@pytest.mark.parametrize("text", ["=x", "a=x=y", "a in x", "a=(x)", "a,,b", "a;b"])
def test_a_label_selector_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="unable to parse requirement") as found:
        selectors.of_text(text)

    assert found.value.code == 400


def test_an_object_selector_means_what_its_text_means() -> None:
    given = {"matchLabels": {"a": "x"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}

    assert selectors.text_of(given) == "a=x,b"
    assert selectors.fits(selectors.of_object(given) or (), OBJECTS[2])
    assert selectors.of_object(None) is None
    assert selectors.of_map({}) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("metadata.uid=1", "field label not supported: metadata.uid"),
        ("spec.hostname=a", "field label not supported: spec.hostname"),
        ("foo", "invalid selector: 'foo'; can't understand 'foo'"),
    ],
)
def test_a_field_that_cannot_be_selected_by_is_refused(text: str, says: str) -> None:
    with pytest.raises(Refusal) as found:
        selectors.of_fields(kinds.PODS, text)

    assert found.value.message == says


def test_fields_select_by_value_and_by_its_absence() -> None:
    match = selectors.of_fields(kinds.PODS, "spec.nodeName=n1,status.phase!=Failed")
    assert match is not None

    assert match({"metadata": {}, "spec": {"nodeName": "n1"}})
    assert not match({"metadata": {}, "spec": {"nodeName": "n1"}, "status": {"phase": "Failed"}})
    assert not match({"metadata": {}, "spec": {}})
