"""Creating, patching, deleting and evicting answer as a real API server does; nothing here needs a socket."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pocket.cluster.kit import JSON_PATCH, MERGE, POD, STRATEGIC, Desk

PODS = "/api/v1/namespaces/lab/pods"
NODES = "/api/v1/nodes"
DEPLOYMENTS = "/apis/apps/v1/namespaces/lab/deployments"
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, **POD}
WEB = {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}}
NOWHERE = "00000000-0000-0000-0000-000000000000"
NOT_BOTH = "The object might have been deleted and then recreated"


def eviction(name: str, **options: Any) -> Any:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, "deleteOptions": options}


def test_what_is_made_gets_a_uid_a_version_and_defaults(desk: Desk) -> None:
    pod = desk.pod("p")

    assert len(pod["metadata"]["uid"]) == 36
    assert pod["metadata"]["resourceVersion"]
    assert pod["spec"]["restartPolicy"] == "Always"
    assert pod["spec"]["terminationGracePeriodSeconds"] == 30


def test_the_same_name_again_is_a_conflict(desk: Desk) -> None:
    desk.pod("p")
    reply = desk.post(PODS, {**POD, "metadata": {"name": "p"}})

    assert (reply.status, reply.value["reason"]) == (409, "AlreadyExists")
    assert reply.value["details"] == {"name": "p", "kind": "pods"}


def test_a_dry_run_makes_nothing(desk: Desk) -> None:
    reply = desk.post(f"{PODS}?dryRun=All", {**POD, "metadata": {"generateName": "p-"}})

    assert reply.status == 201
    assert reply.value["metadata"]["uid"]
    assert reply.value["metadata"]["name"].startswith("p-")
    assert "resourceVersion" not in reply.value["metadata"]
    assert desk.get(PODS).value["items"] == []
    assert desk.post(f"{PODS}?dryRun=Some", POD).status == 422


def test_a_namespace_has_to_be_there_and_to_stay(desk: Desk) -> None:
    missing = desk.post("/api/v1/namespaces/none/pods", {**POD, "metadata": {"name": "p"}})
    desk.ask("DELETE", "/api/v1/namespaces/lab")
    leaving = desk.post(PODS, {**POD, "metadata": {"name": "p"}})

    assert (missing.status, missing.value["details"]["kind"]) == (404, "namespaces")
    assert (leaving.status, leaving.value["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")


@pytest.mark.parametrize(
    ("method", "path", "media", "status", "reason"),
    [
        ("PUT", PODS, "application/json", 405, "MethodNotAllowed"),
        ("POST", PODS, "text/plain", 415, "UnsupportedMediaType"),
        ("POST", PODS, "application/json", 400, "BadRequest"),
        ("PATCH", f"{PODS}/p", "application/json", 415, "UnsupportedMediaType"),
        ("GET", f"{PODS}/none", "", 404, "NotFound"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(
    desk: Desk, method: str, path: str, media: str, status: int, reason: str
) -> None:
    desk.pod("p")
    reply = desk.ask(method, path, b"{]", media)

    assert (reply.status, reply.value["reason"]) == (status, reason)


def test_an_update_of_something_older_is_a_conflict(desk: Desk) -> None:
    node = desk.post(NODES, {"metadata": {"name": "n"}}).value
    version = node["metadata"]["resourceVersion"]
    cordon = {"metadata": {"resourceVersion": version}, "spec": {"unschedulable": True}}

    assert desk.patch(f"{NODES}/n", cordon).status == 200
    for media in (MERGE, STRATEGIC):
        late = desk.patch(f"{NODES}/n", {**cordon, "spec": {"unschedulable": False}}, media)
        assert (late.status, late.value["reason"]) == (409, "Conflict")
    assert desk.patch(f"{NODES}/n", {"metadata": {"uid": NOWHERE}}).status == 422


def test_an_update_that_changes_nothing_has_no_new_version(desk: Desk) -> None:
    node = desk.post(NODES, {"metadata": {"name": "n"}, "spec": {"unschedulable": True}}).value
    again = desk.patch(f"{NODES}/n", {"spec": {"unschedulable": True}})

    assert again.value["metadata"]["resourceVersion"] == node["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "test", "path": "/spec/unschedulable", "value": True}],
        [{"op": "remove", "path": "/spec/none"}],
        [{"op": "add", "path": "/spec/taints/-", "value": {"key": "a", "effect": "NoSchedule"}}],
        [{"op": "frob", "path": "/spec"}],
    ],
)
def test_a_json_patch_that_does_not_apply_is_refused_without_a_cause(desk: Desk, patch: Any) -> None:
    desk.post(NODES, {"metadata": {"name": "n"}})
    reply = desk.patch(f"{NODES}/n", patch, JSON_PATCH)

    assert reply.status == 422
    assert (reply.value["reason"], reply.value["details"]) == ("Invalid", {})
    assert reply.value["message"] == "the server rejected our request due to an error in our request"


@pytest.mark.parametrize(
    ("path", "patch", "reason"),
    [
        (f"{NODES}/n", {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}] * 2}}, "FieldValueDuplicate"),
        (f"{PODS}/p", {"spec": {"hostname": "x"}}, "FieldValueForbidden"),
        (f"{DEPLOYMENTS}/web", {"spec": {"replicas": -1}}, "FieldValueInvalid"),
        (f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": -1}}, "FieldValueInvalid"),
        (f"{DEPLOYMENTS}/web", {"spec": {"selector": {"matchLabels": {"app": "b"}}}}, "FieldValueInvalid"),
    ],
)
def test_an_object_cannot_become_nonsense(desk: Desk, path: str, patch: Any, reason: str) -> None:
    desk.post(NODES, {"metadata": {"name": "n"}})
    desk.pod("p")
    desk.post(DEPLOYMENTS, WEB)
    reply = desk.patch(path, patch)

    assert (reply.status, reply.value["reason"]) == (422, "Invalid"), reply
    assert reply.value["details"]["causes"][0]["reason"] == reason


def test_the_renewal_of_a_lease_has_microseconds(desk: Desk) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/lab/leases"
    lease = desk.post(path, {"metadata": {"name": "l"}, "spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}})

    assert lease.status == 201
    assert desk.patch(f"{path}/l", {"spec": {"renewTime": "2026-01-01T00:00:00Z"}}).status == 422
    assert desk.ask("PUT", f"{path}/l", lease.value).status == 200
    stale = {**lease.value, "spec": {"holderIdentity": "me"}}
    desk.patch(f"{path}/l", {"spec": {"holderIdentity": "you"}})
    assert desk.ask("PUT", f"{path}/l", stale).status == 409


def test_a_scale_is_read_and_written_as_an_object_of_its_own(desk: Desk) -> None:
    desk.post(DEPLOYMENTS, WEB)
    before = desk.get(f"{DEPLOYMENTS}/web/scale").value
    after = desk.patch(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 3}}).value

    assert (before["kind"], before["spec"], before["status"]) == (
        "Scale",
        {"replicas": 1},
        {"replicas": 0, "selector": "app=web"},
    )
    assert after["spec"]["replicas"] == 3
    assert desk.get(f"{DEPLOYMENTS}/web").value["metadata"]["generation"] == 2
    stale = desk.ask("PUT", f"{DEPLOYMENTS}/web/scale", before)
    assert (stale.status, stale.value["details"]["kind"]) == (409, "deployments")
    other = desk.patch(f"{DEPLOYMENTS}/web/scale", {"metadata": {"uid": NOWHERE}})
    assert (other.status, "Precondition failed: UID in precondition" in other.value["message"]) == (409, True)
    assert desk.get(f"{DEPLOYMENTS}/none/scale").value["details"]["group"] == "apps"


def test_a_pod_that_runs_is_marked_and_stays_for_its_grace(desk: Desk) -> None:
    desk.running("p")
    reply = desk.ask("DELETE", f"{PODS}/p")
    longer = desk.ask("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 60})
    shorter = desk.ask("DELETE", f"{PODS}/p", {"gracePeriodSeconds": -1})

    assert (reply.status, reply.value["kind"]) == (200, "Pod")
    assert reply.value["metadata"]["deletionGracePeriodSeconds"] == 30
    assert longer.value["metadata"]["deletionGracePeriodSeconds"] == 30
    assert shorter.value["metadata"]["deletionGracePeriodSeconds"] == 1
    assert desk.get(f"{PODS}/p").value["metadata"]["deletionTimestamp"]
    assert desk.ask("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0}).status == 200
    assert desk.get(f"{PODS}/p").status == 404


@pytest.mark.parametrize("part", ["uid", "resourceVersion"])
def test_a_pod_that_is_not_the_one_that_is_meant_is_never_deleted(desk: Desk, part: str) -> None:
    desk.running("p")
    reply = desk.ask("DELETE", f"{PODS}/p", {"preconditions": {part: NOWHERE}})

    assert (reply.status, reply.value["reason"]) == (409, "Conflict")
    assert reply.value["details"] == {"name": "p", "kind": "Pod"}
    assert (NOT_BOTH in reply.value["message"]) == (part == "uid")
    assert "deletionTimestamp" not in desk.get(f"{PODS}/p").value["metadata"]


def test_a_dry_delete_counts_in_the_body_and_not_beside_one(desk: Desk) -> None:
    for name in ("body", "query", "both"):
        desk.running(name)
    desk.ask("DELETE", f"{PODS}/body", {"dryRun": ["All"]})
    desk.ask("DELETE", f"{PODS}/query?dryRun=All")
    desk.ask("DELETE", f"{PODS}/both?dryRun=All", {})
    ending = {
        pod["metadata"]["name"] for pod in desk.get(PODS).value["items"] if "deletionTimestamp" in pod["metadata"]
    }

    assert ending == {"both"}
    wrong = desk.ask("DELETE", f"{PODS}/body", {"dryRun": ["Some"]})
    assert (wrong.status, wrong.value["details"]["causes"][0]["reason"]) == (422, "FieldValueNotSupported")


def test_finalizers_hold_what_is_deleted_until_the_last_is_gone(desk: Desk) -> None:
    desk.running("p", finalizers=["x/y"])
    desk.ask("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
    held = desk.get(f"{PODS}/p")
    more = desk.patch(f"{PODS}/p", {"metadata": {"finalizers": ["x/y", "x/z"]}})
    free = desk.patch(f"{PODS}/p", {"metadata": {"finalizers": []}})

    assert (held.status, more.status, free.status) == (200, 422, 200)
    assert desk.get(f"{PODS}/p").status == 404


def test_other_kinds_answer_with_a_status_that_names_what_went(desk: Desk) -> None:
    uid = desk.post(DEPLOYMENTS, WEB).value["metadata"]["uid"]
    reply = desk.ask("DELETE", f"{DEPLOYMENTS}/web").value

    assert (reply["kind"], reply["status"]) == ("Status", "Success")
    assert reply["details"] == {"name": "web", "group": "apps", "kind": "deployments", "uid": uid}


def test_an_eviction_marks_the_pod_and_says_why(desk: Desk) -> None:
    desk.running("p")
    reply = desk.post(f"{PODS}/p/eviction", eviction("p"))
    pod = desk.get(f"{PODS}/p").value

    assert (reply.status, reply.value["status"], reply.value["code"]) == (201, "Success", 201)
    assert pod["metadata"]["deletionTimestamp"]
    assert ("DisruptionTarget", "EvictionByEvictionAPI") in [
        (one["type"], one.get("reason")) for one in pod["status"]["conditions"]
    ]


def test_a_budget_without_room_refuses_and_says_what_it_needs(desk: Desk) -> None:
    desk.running("p", labels={"app": "web"})
    desk.budget("web", 0, app="web")
    for options in ({}, {"preconditions": {"uid": NOWHERE}}, {"dryRun": ["All"]}):
        reply = desk.post(f"{PODS}/p/eviction", eviction("p", **options))
        cause = reply.value["details"]["causes"][0]

        assert (reply.status, reply.value["reason"]) == (429, "TooManyRequests")
        assert cause["reason"] == "DisruptionBudget"
        assert cause["message"] == "The disruption budget web needs 3 healthy pods and has 3 currently"
        assert "retry-after" not in reply.headers
        assert "retryAfterSeconds" not in reply.value["details"]


def test_an_eviction_with_a_stale_uid_burns_the_budget(desk: Desk) -> None:
    desk.running("p", labels={"app": "web"})
    desk.budget("web", 1, app="web")
    reply = desk.post(f"{PODS}/p/eviction", eviction("p", preconditions={"uid": NOWHERE}))
    status = desk.get("/apis/policy/v1/namespaces/lab/poddisruptionbudgets/web").value["status"]

    assert (reply.status, reply.value["details"]) == (409, {"name": "p", "kind": "Pod"})
    assert (status["disruptionsAllowed"], list(status["disruptedPods"])) == (0, ["p"])
    assert "deletionTimestamp" not in desk.get(f"{PODS}/p").value["metadata"]


@pytest.mark.parametrize("how", ["query", "body"])
def test_a_dry_eviction_leaves_pod_and_budget_alone(desk: Desk, how: str) -> None:
    desk.running("p", labels={"app": "web"})
    desk.budget("web", 1, app="web")
    options = {"dryRun": ["All"]} if how == "body" else {}
    reply = desk.post(f"{PODS}/p/eviction{'?dryRun=All' if how == 'query' else ''}", eviction("p", **options))

    assert reply.status == 201
    assert "deletionTimestamp" not in desk.get(f"{PODS}/p").value["metadata"]
    found = desk.get("/apis/policy/v1/namespaces/lab/poddisruptionbudgets/web").value
    assert found["status"]["disruptionsAllowed"] == 1


def test_a_budget_that_nobody_has_looked_at_yet_asks_to_wait(desk: Desk) -> None:
    desk.running("p", labels={"app": "web"})
    desk.budget("web", 1, app="web")
    desk.patch("/apis/policy/v1/namespaces/lab/poddisruptionbudgets/web", {"spec": {"minAvailable": 2}})
    reply = desk.post(f"{PODS}/p/eviction", eviction("p"))

    assert (reply.status, reply.headers["retry-after"]) == (429, "10")
    assert reply.value["details"]["retryAfterSeconds"] == 10
    assert "still being processed" in reply.value["details"]["causes"][0]["message"]


def test_two_budgets_over_one_pod_are_an_error_of_the_server(desk: Desk) -> None:
    desk.running("p", labels={"app": "web"})
    desk.budget("one", 1, app="web")
    desk.budget("two", 1, app="web")
    reply = desk.post(f"{PODS}/p/eviction", eviction("p"))

    assert reply.status == 500
    assert "more than one PodDisruptionBudget" in reply.value["message"]
    assert not {"reason", "details"} & reply.value.keys()


def test_budgets_have_no_say_over_pods_that_do_not_run(desk: Desk) -> None:
    desk.pod("pending", labels={"app": "web"})
    desk.patch(f"{PODS}/pending/status", {"status": {"phase": "Pending"}})
    desk.budget("web", 0, app="web")

    assert desk.post(f"{PODS}/pending/eviction", eviction("pending")).status == 201


@pytest.mark.parametrize("body", [{"kind": "Eviction"}, eviction("other")])
def test_an_eviction_names_the_pod_that_its_url_names(desk: Desk, body: Any) -> None:
    desk.running("p")
    reply = desk.post(f"{PODS}/p/eviction", body)

    assert (reply.status, reply.value["message"]) == (400, "name in URL does not match name in Eviction object")
    assert desk.post(f"{PODS}/none/eviction", eviction("none")).status == 404
    assert desk.get(f"{PODS}/p/eviction").status == 405
