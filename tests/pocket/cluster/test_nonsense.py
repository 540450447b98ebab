"""No body makes the API server fail, and whatever it took in does not make anybody fail later."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.pocket.cluster.kit import JSON_PATCH, MERGE, STRATEGIC, Desk

LAB = "/api/v1/namespaces/lab"
WAYS = [
    (f"{LAB}/pods", "Pod"),
    ("/api/v1/nodes", "Node"),
    (f"{LAB}/services", "Service"),
    ("/apis/apps/v1/namespaces/lab/deployments", "Deployment"),
    ("/apis/policy/v1/namespaces/lab/poddisruptionbudgets", "PodDisruptionBudget"),
    ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "ClusterRoleBinding"),
    ("/apis/rbac.authorization.k8s.io/v1/clusterroles", "ClusterRole"),
    ("/apis/discovery.k8s.io/v1/namespaces/lab/endpointslices", "EndpointSlice"),
]
WORDS = [
    "metadata",
    "spec",
    "status",
    "labels",
    "name",
    "annotations",
    "finalizers",
    "ownerReferences",
    "replicas",
    "selector",
    "matchLabels",
    "matchExpressions",
    "template",
    "containers",
    "image",
    "ports",
    "containerPort",
    "env",
    "tolerations",
    "nodeSelector",
    "taints",
    "key",
    "effect",
    "value",
    "unschedulable",
    "conditions",
    "type",
    "minAvailable",
    "maxUnavailable",
    "rules",
    "verbs",
    "subjects",
    "roleRef",
    "kind",
    "endpoints",
    "addresses",
    "targetPort",
    "port",
    "clusterIP",
    "strategy",
    "rollingUpdate",
    "maxSurge",
    "readinessProbe",
    "httpGet",
    "nodeName",
    "phase",
]
leaf = st.none() | st.booleans() | st.integers(-3, 70_000) | st.sampled_from(["", "x", "50%", "a/b", "0"])
anything = st.recursive(
    leaf,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(WORDS), anything, max_size=4)
quickly = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def readable(desk: Desk, path: str) -> None:
    """Everybody else is still served."""
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    for query in ("", "?labelSelector=a%3Db,!c", "?fieldSelector=metadata.name%3Dx", "?limit=1"):
        assert desk.get(path + query).status == 200
        assert desk.get(path + query, accept=table).status == 200
    assert desk.get("/api/v1/nodes", token="b").status in (200, 403)


@quickly
@given(where=st.sampled_from(WAYS), body=objects, named=st.booleans())
def test_no_object_that_is_made_makes_it_fail(where: tuple[str, str], body: dict[str, Any], named: bool) -> None:
    desk, (path, _) = Desk(), where
    if named:
        metadata = body.get("metadata")
        body = {**body, "metadata": {**(metadata if isinstance(metadata, dict) else {}), "name": "x"}}

    assert desk.post(path, body).status in (201, 400, 403, 404, 422)
    readable(desk, path)


@quickly
@given(
    media=st.sampled_from([MERGE, STRATEGIC]),
    body=objects,
    sub=st.sampled_from(["", "/status", "/scale"]),
    n=st.integers(0, 3),
)
def test_no_patch_makes_it_fail(media: str, body: dict[str, Any], sub: str, n: int) -> None:
    desk, path = Desk(), WAYS[n][0]
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template, "containers": template["spec"]["containers"]}
    spec = {**spec, "selector": {"a": "b"}} if n == 2 else spec
    made = desk.post(path, {"metadata": {"name": "x"}, "spec": spec})
    assert made.status == 201, made

    assert desk.patch(f"{path}/x{sub}", body, media).status in (200, 400, 404, 409, 422)
    readable(desk, path)


@quickly
@given(
    operations=st.lists(
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(["add", "remove", "replace", "test", "move", "copy", "x"]),
                "path": st.sampled_from(
                    ["", "/spec", "/metadata/labels", "/metadata/name", "/spec/taints/-", "/kind", "x"]
                ),
            },
            optional={"value": anything, "from": st.sampled_from(["/spec", "/metadata", "/x"])},
        ),
        max_size=3,
    )
)
def test_no_json_patch_makes_it_fail(operations: list[dict[str, Any]]) -> None:
    desk = Desk()
    desk.post("/api/v1/nodes", {"metadata": {"name": "x"}})

    assert desk.patch("/api/v1/nodes/x", operations, JSON_PATCH).status in (200, 400, 409, 422)
    readable(desk, "/api/v1/nodes")


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"name": "x", "labels": ["a"]}},
        {"metadata": {"name": "x", "labels": {"a": 1}}},
        {"metadata": {"name": "x", "ownerReferences": [{}]}},
        {"metadata": {"name": 7}},
        {"metadata": {"name": "x"}, "spec": {"taints": [{"key": "a"}]}},
        {"metadata": {"name": "x"}, "spec": "nothing"},
    ],
)
def test_a_wrong_type_is_refused_when_it_is_written(desk: Desk, body: Any) -> None:
    reply = desk.post("/api/v1/nodes", body)

    assert (reply.status, reply.value["reason"]) == (400, "BadRequest")
    assert "cannot be handled as a Node" in reply.value["message"]
