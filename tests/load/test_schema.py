"""The schema accepts what the loader accepts, in draft-07's words only."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml

from chaos_runner.config import Config
from chaos_runner.load.schema import schema
from chaos_runner.model import Experiment
from tests.load.kit import GOOD, KINDS, PARSERS, Watch

DRAFT_07 = {
    *("$schema", "$ref", "title", "description", "default", "examples", "definitions", "type", "enum", "const"),
    *("properties", "required", "additionalProperties", "propertyNames", "minProperties", "maxProperties"),
    *("items", "minItems", "maxItems", "minLength", "maxLength", "pattern", "allOf", "anyOf", "oneOf", "if", "then"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
NAMED = {"properties", "definitions"}


def drawn(type_: Any = Experiment) -> dict[str, Any]:
    return schema(type_, kinds=KINDS, parsed=PARSERS)


def complaints(text: str, type_: Any = Experiment) -> list[str]:
    document = yaml.safe_load(text)
    return [error.message for error in jsonschema.Draft7Validator(drawn(type_)).iter_errors(document)]


def keywords(part: Any, named: bool = False) -> set[str]:
    if isinstance(part, list):
        return {word for item in part for word in keywords(item)}
    if not isinstance(part, dict):
        return set()
    below = {word for key, value in part.items() for word in keywords(value, not named and key in NAMED)}
    return below if named else below | set(part)


@pytest.mark.parametrize("type_", [Experiment, Config, Watch])
def test_only_draft_07_keywords_are_used_and_the_schema_is_valid(type_):
    made = json.loads(json.dumps(drawn(type_)))

    jsonschema.Draft7Validator.check_schema(made)
    assert keywords(made) - DRAFT_07 == set()


def test_a_good_file_is_valid():
    assert complaints(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("type: latency", "type: latncy"),
        ("fault: toxic", "fault: toxc"),
        ("hypothesis: >", "hypotesis: >"),
        ("baseline: 30s", "baseline: 30"),
        ("at_once: 1", "at_once: 0"),
        ("proxy: payments", "proxi: payments"),
        ("[ready >= 2]", "[]"),
        ("- pause: 10s", "- puase: 10s"),
        ("{type: latency, ", "{"),
        ("shoppers:\n", "Shop_pers:\n"),
    ],
)
def test_what_the_loader_refuses_by_form_the_schema_refuses_too(old, new):
    assert old in GOOD
    assert complaints(GOOD.replace(old, new, 1))


def test_a_check_can_be_used_from_another_file():
    head = "kind: watch/v1\nsteady_state: {a: {use: checks/shop.yaml#shoppers"

    assert complaints(head + ", expect: [p95 <= 1s]}}", Watch) == []
    assert complaints(head + ", probe: http}}", Watch)
    assert complaints(head.replace("checks/", "/checks/") + "}}", Watch)


def test_every_field_with_words_shows_them_in_an_editor():
    abort = drawn()["definitions"]["Abort"]

    assert abort["description"].startswith("When to stop early")
    assert abort["properties"]["violated_for"]["description"] == "how long a clause must be violated"
    assert drawn()["definitions"]["BlastRadius"]["properties"]["at_once"]["default"] == 1
