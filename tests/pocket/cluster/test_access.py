"""Nobody does what no role allows, and what is refused is refused in the words of a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pocket.cluster.kit import POD, Desk

PODS = "/api/v1/namespaces/lab/pods"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def allow(desk: Desk, *rules: Any, namespace: str = "lab") -> None:
    base = f"{RBAC}/namespaces/{namespace}" if namespace else RBAC
    kind, plural = ("Role", "role") if namespace else ("ClusterRole", "clusterrole")
    desk.post(f"{base}/{plural}s", {"metadata": {"name": "r"}, "rules": list(rules)})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "r"}
    subjects = [{"kind": "User", "name": "bob"}]
    desk.post(f"{base}/{plural}bindings", {"metadata": {"name": "b"}, "roleRef": reference, "subjects": subjects})


def rule(verbs: str, resources: str, group: str = "", **more: Any) -> Any:
    return {"verbs": verbs.split(), "resources": resources.split(), "apiGroups": [group], **more}


def test_a_token_that_is_not_known_is_401_and_none_at_all_is_403(desk: Desk) -> None:
    wrong, none = desk.get(PODS, token="c"), desk.get(PODS, token=None)

    assert (wrong.status, wrong.value["message"], wrong.value["reason"]) == (401, "Unauthorized", "Unauthorized")
    assert none.status == 403
    assert 'User "system:anonymous" cannot list resource "pods"' in none.value["message"]
    assert [desk.get(path, token=None).status for path in ("/readyz", "/version", "/api")] == [200, 200, 403]


@pytest.mark.parametrize(
    ("method", "path", "message", "details"),
    [
        (
            "DELETE",
            f"{PODS}/x",
            'pods "x" is forbidden: User "bob" cannot delete resource "pods" in API group "" in the namespace "lab"',
            {"name": "x", "kind": "pods"},
        ),
        (
            "GET",
            "/apis/apps/v1/deployments",
            'deployments.apps is forbidden: User "bob" cannot list resource "deployments" in API group "apps" '
            "at the cluster scope",
            {"group": "apps", "kind": "deployments"},
        ),
        (
            "POST",
            f"{PODS}/x/eviction",
            'pods "x" is forbidden: User "bob" cannot create resource "pods/eviction" in API group "" '
            'in the namespace "lab"',
            {"name": "x", "kind": "pods"},
        ),
    ],
)
def test_a_refusal_says_who_may_not_do_what_and_where(
    desk: Desk, method: str, path: str, message: str, details: Any
) -> None:
    reply = desk.ask(method, path, {}, token="b")

    assert (reply.status, reply.value["reason"]) == (403, "Forbidden")
    assert reply.value["message"] == message
    assert reply.value["details"] == details


def test_a_role_allows_what_it_names_and_nothing_else(desk: Desk) -> None:
    desk.pod("p")
    allow(desk, rule("get", "pods"), rule("create", "pods/eviction"))

    assert desk.get(f"{PODS}/p", token="b").status == 200
    assert desk.get(PODS, token="b").status == 403
    assert desk.get("/api/v1/namespaces/default/pods/p", token="b").status == 403
    assert desk.post(PODS, POD, token="b").status == 403
    body = {"metadata": {"name": "p"}}
    assert desk.post(f"{PODS}/p/eviction", body, token="b").status == 201


def test_names_narrow_a_rule(desk: Desk) -> None:
    desk.pod("p")
    desk.pod("q")
    allow(desk, rule("get", "pods", resourceNames=["p"]))

    assert [desk.get(f"{PODS}/{name}", token="b").status for name in "pq"] == [200, 403]


def test_a_review_says_what_the_server_would_do(desk: Desk) -> None:
    allow(desk, rule("delete", "pods"))

    def review(verb: str, token: str = "b") -> Any:
        about = {"verb": verb, "resource": "pods", "namespace": "lab"}
        reply = desk.post(REVIEW, {"spec": {"resourceAttributes": about}}, token=token)
        assert reply.status == 201
        return reply.value["status"]

    assert review("delete")["allowed"] is True
    assert review("delete")["reason"].startswith('RBAC: allowed by RoleBinding "b/lab" of Role "r" to User "bob"')
    assert review("list") == {"allowed": False}
    assert review("list", "a") == {"allowed": True}
    assert desk.post(REVIEW, {"spec": {}}, token="b").status == 422


def test_a_revoked_right_is_gone_at_once(desk: Desk) -> None:
    allow(desk, rule("list", "pods"))
    before = desk.get(PODS, token="b").status
    desk.ask("DELETE", f"{RBAC}/namespaces/lab/rolebindings/b")

    assert (before, desk.get(PODS, token="b").status) == (200, 403)


def test_only_who_may_impersonate_does(desk: Desk) -> None:
    as_bob, as_ada = desk.get(PODS, impersonate_user="bob"), desk.get(PODS, token="b", impersonate_user="ada")

    assert 'User "bob" cannot list' in as_bob.value["message"]
    assert 'User "bob" cannot impersonate resource "users"' in as_ada.value["message"]


def test_a_token_for_a_service_account_is_that_account(desk: Desk) -> None:
    desk.post("/api/v1/namespaces/lab/serviceaccounts", {"metadata": {"name": "robot"}})
    path = "/api/v1/namespaces/lab/serviceaccounts/robot/token"
    token = desk.post(path, {"spec": {}}).value["status"]["token"]
    whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

    found = desk.post(whoami, {}, token=token).value["status"]["userInfo"]
    assert found["username"] == "system:serviceaccount:lab:robot"


def test_troubles_are_for_masters_only(desk: Desk) -> None:
    path = "/chaos-runner/v1/pocket/troubles"
    trouble = [{"path": "/api/v1/pods", "answer": "429", "times": 2, "user": "bob"}]

    assert desk.ask("PUT", path, trouble, token="b").status == 403
    assert desk.get("/chaos-runner/v1/pocket/requests", token="b").status == 404
    assert desk.ask("PUT", path, trouble).status == 200
    busy = desk.get("/api/v1/pods", token="b")
    assert (busy.status, busy.headers["retry-after"]) == (429, "1")
    assert busy.body == b"Too many requests, please try again later.\n"
    assert desk.get("/api/v1/pods").status == 200
    assert [desk.get("/api/v1/pods", token="b").status for _ in range(2)] == [429, 403]
    assert desk.ask("PUT", path, [{"frob": 1}]).status == 400
