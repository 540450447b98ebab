"""The manifests are what a real API server takes; what they let an account do to a node is what they say."""

from __future__ import annotations

from typing import Any

import pytest

from chaos_runner.api import Absent, Present, Refused
from chaos_runner.faults._nodes import NodeSelector
from chaos_runner.faults.node_cordon import NodeCordon
from tests.kube import raw
from tests.kube.deploy import site as sites
from tests.kube.deploy.conftest import Open
from tests.kube.deploy.site import MANIFESTS, Site

pytestmark = pytest.mark.anyio
MARK = "cx.run-1.1.4102444800"
FILES = sorted(path.name for path in MANIFESTS.glob("*.yaml"))
OWN = {"metadata": {"annotations": {"chaos-runner/unschedulable": "x"}}}
# What else could be written into a node, each refused by one sentence.
OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "a label": ({"metadata": {"labels": {"zone": "a"}}}, "annotations only"),
    "a finalizer": ({"metadata": {"finalizers": ["example.com/stays"]}}, "annotations only"),
    "an annotation": ({"metadata": {"annotations": {"theirs": "new"}}}, "its own annotations only"),
    "one like ours": ({"metadata": {"annotations": {"chaos-runner.io/x": "new"}}}, "its own annotations only"),
    "another's annotation": ({"metadata": {"annotations": {"kept": "changed"}}}, "its own annotations only"),
    "another's, removed": ({"metadata": {"annotations": {"kept": None}}}, "its own annotations only"),
    "a taint": ({"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}}, "unschedulable only"),
    "a provider": ({"spec": {"providerID": "other://x"}}, "unschedulable only"),
    "an address": ({"spec": {"podCIDR": "198.18.99.0/24", "podCIDRs": ["198.18.99.0/24"]}}, "unschedulable only"),
}


# The pocket cluster checks no manifests and has no admission policies.
REAL = pytest.mark.parametrize("site", [pytest.param("real", marks=pytest.mark.real)], indirect=True)


@REAL
@pytest.mark.parametrize("file", FILES)
def test_a_real_api_server_takes_every_manifest_and_knows_every_field_of_it(file: str, site: Site) -> None:
    assert sites.documents(file)
    for one in sites.documents(file):
        query = "?dryRun=All&fieldValidation=Strict"
        answer = raw.ask(site, "POST", sites.collection(one) + query, one)
        if answer.status == 409:
            answer = raw.ask(site, "PUT", sites.single(one) + query, one)
        assert answer.status in {200, 201}, (file, one["kind"], answer.raw)
        assert answer.headers.get("Warning") is None, (file, one["kind"], answer.headers["Warning"])


def dry(site: Site, patch: dict[str, Any], user: str = "runner", path: str = "") -> raw.Answer:
    where = f"/api/v1/nodes/{site.nodes[1]}{path}?dryRun=All"
    return raw.ask(site, "PATCH", where, patch, user=user, kind=raw.PATCHES["merge"])


@REAL
async def test_of_a_node_an_account_may_change_what_a_cordon_changes_and_nothing_else(site: Site, opened: Open) -> None:
    raw.merge(site, f"/api/v1/nodes/{site.nodes[1]}", {"metadata": {"annotations": {"kept": "as it was"}}})
    with site.applied("node-cordon.yaml", "node-policy.yaml"):
        raw.wait_until(lambda: dry(site, OTHERS["a label"][0]).status == 422)
        for name, (patch, why) in OTHERS.items():
            answer = dry(site, patch)
            assert (answer.status, why in answer.json["message"]) == (422, True), (name, answer.raw)
            assert dry(site, patch, "admin").status == 200, name
        assert dry(site, OWN).status == 200

        env, fault = opened(), NodeCordon()
        (target,) = await fault.targets(env, NodeSelector(node=site.nodes[1]))
        undo = await fault.prepare(env, target, MARK)
        await fault.inject(env, undo)
        assert await fault.observe(env, undo) == Present()
        await fault.revert(env, undo)
        await fault.fence(env, undo)
        await fault.unfence(env, undo)
        assert await fault.observe(env, undo) == Absent()
    raw.merge(site, f"/api/v1/nodes/{site.nodes[1]}", {"metadata": {"annotations": {"kept": None}}})


@REAL
def test_the_policy_holds_whatever_else_the_account_is_allowed(site: Site) -> None:
    path = f"/api/v1/nodes/{site.nodes[1]}"
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "plain"}
    subject = {"kind": "ServiceAccount", "name": "runner", "namespace": "chaos-runner"}
    everything = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "too-much"},
        "roleRef": reference,
        "subjects": [subject],
    }
    with site.applied("node-policy.yaml"):
        site.apply(everything)
        try:
            raw.wait_until(lambda: dry(site, OTHERS["a label"][0]).status == 422)
            status = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
            refused = (
                dry(site, status, path="/status"),
                raw.ask(site, "DELETE", path, {"dryRun": ["All"]}, user="runner"),
                raw.ask(site, "POST", "/api/v1/nodes?dryRun=All", {"metadata": {"name": "new"}}, user="runner"),
            )
            assert [answer.status for answer in refused] == [422, 422, 422], [answer.raw for answer in refused]
            assert all("neither makes nor deletes" in answer.json["message"] for answer in refused)
        finally:
            site.remove(everything)


async def test_a_right_that_is_taken_away_after_the_plan_is_a_definite_refusal(site: Site, opened: Open) -> None:
    with site.applied("node-cordon.yaml"):
        env, fault = opened(), NodeCordon()
        (target,) = await fault.targets(env, NodeSelector(node=site.nodes[1]))
        undo = await fault.prepare(env, target, MARK)
        (role,) = [one for one in sites.documents("node-cordon.yaml") if one["kind"] == "ClusterRole"]
        (patch,) = [right for right in sites.rights(role, sites.documents("node-cordon.yaml")) if right.verb == "patch"]
        site.apply(sites.without(role, patch))
        site.effective(patch, False)
        with pytest.raises(Refused, match="cannot patch"):
            await fault.inject(env, undo)
    node = raw.done(site, "GET", f"/api/v1/nodes/{site.nodes[1]}")
    assert not node["spec"].get("unschedulable")
