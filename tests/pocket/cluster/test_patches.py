"""Patches do what their specifications say, and never change what they were given."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from chaos_runner.pocket.cluster import patches

OLD = {
    "spec": {
        "replicas": 2,
        "taints": [{"key": "a"}],
        "containers": [{"name": "one", "image": "i:1", "env": [{"name": "X", "value": "1"}]}, {"name": "two"}],
        "ports": [{"port": 80}, {"port": 90}],
    },
    "metadata": {"finalizers": ["f"]},
}


def test_a_merge_patch_replaces_lists_and_removes_nulls() -> None:
    new = patches.merge(OLD, {"spec": {"replicas": None, "containers": [{"name": "three"}]}})

    assert new["spec"] == {"taints": [{"key": "a"}], "ports": OLD["spec"]["ports"], "containers": [{"name": "three"}]}


def test_a_strategic_patch_merges_what_has_a_name_and_replaces_taints() -> None:
    before = copy.deepcopy(OLD)
    env = [{"name": "Y", "value": "2"}]
    new = patches.strategic(OLD, {"spec": {"taints": [{"key": "b"}], "containers": [{"name": "one", "env": env}]}})

    assert before == OLD
    assert new["spec"]["taints"] == [{"key": "b"}]
    assert [one["name"] for one in new["spec"]["containers"]] == ["one", "two"]
    assert new["spec"]["containers"][0]["image"] == "i:1"
    assert [one["name"] for one in new["spec"]["containers"][0]["env"]] == ["X", "Y"]


@pytest.mark.parametrize(
    ("patch", "field", "value"),
    [
        ({"containers": [{"name": "one", "$patch": "delete"}]}, "containers", [{"name": "two"}]),
        ({"containers": [{"$patch": "replace"}, {"name": "new"}]}, "containers", [{"name": "new"}]),
        ({"ports": [{"port": 90, "name": "x"}]}, "ports", [{"port": 80}, {"port": 90, "name": "x"}]),
        (
            {"$setElementOrder/ports": [{"port": 90}, {"port": 80}], "ports": [{"port": 90, "name": "x"}]},
            "ports",
            [{"port": 90, "name": "x"}, {"port": 80}],
        ),
        ({"$patch": "replace", "replicas": 1}, "replicas", 1),
    ],
)
def test_directives_of_a_strategic_patch_are_followed(patch: Any, field: str, value: Any) -> None:
    assert patches.strategic(OLD, {"spec": patch})["spec"][field] == value


def test_finalizers_are_a_set() -> None:
    assert patches.strategic(OLD, {"metadata": {"finalizers": ["g", "f"]}})["metadata"]["finalizers"] == ["f", "g"]
    gone = patches.strategic(OLD, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["f"]}})
    assert gone["metadata"]["finalizers"] == []


@pytest.mark.parametrize(
    ("operation", "where", "value"),
    [
        ({"op": "add", "path": "/spec/taints/-", "value": 1}, "taints", [{"key": "a"}, 1]),
        ({"op": "add", "path": "/spec/taints/0", "value": 1}, "taints", [1, {"key": "a"}]),
        ({"op": "replace", "path": "/spec/replicas", "value": 3}, "replicas", 3),
        ({"op": "remove", "path": "/spec/taints/0"}, "taints", []),
        ({"op": "copy", "from": "/spec/replicas", "path": "/spec/taints"}, "taints", 2),
        ({"op": "test", "path": "/spec/none", "value": None}, "replicas", 2),
    ],
)
def test_a_json_patch_does_one_thing_after_the_other(operation: Any, where: str, value: Any) -> None:
    before = copy.deepcopy(OLD)

    assert patches.json_patch(OLD, [operation])["spec"][where] == value
    assert before == OLD


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/spec/replicas", "value": 3},
        {"op": "remove", "path": "/spec/none"},
        {"op": "replace", "path": "/spec/none", "value": 1},
        {"op": "add", "path": "/spec/none/-", "value": 1},
        {"op": "add", "path": "/spec/taints/7", "value": 1},
        {"op": "frob", "path": "/spec"},
        {"path": "/spec"},
    ],
)
def test_a_json_patch_that_does_not_apply_is_an_error(operation: Any) -> None:
    with pytest.raises(patches.Unpatchable):
        patches.json_patch(OLD, [operation])
