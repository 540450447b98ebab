"""What has deleted too much elsewhere is a refusal here, and nothing is touched: whole commands, on whole clusters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaos_runner.api import Refused
from chaos_runner.faults._pods import PodSelector
from chaos_runner.faults.pod_evict import PodEvict
from chaos_runner.faults.pod_kill import PodKill
from tests.kube import raw
from tests.kube.deploy import cli
from tests.kube.deploy.conftest import Open
from tests.kube.deploy.site import SPACE, Site

pytestmark = pytest.mark.anyio
MARK = "cx.run-1.1.4102444800"
KILL = "pod_kill"
DANGEROUS = {
    "an empty selector": (KILL, "{pods: shop, selector: ''}", 2, "selector"),
    "no selector": (KILL, "{pods: shop}", 2, "it would mean every pod"),
    "an empty namespace": (KILL, "{pods: '', selector: app=payments}", 2, "pods"),
    "an empty pod name": (KILL, "{pod: ''}", 2, "pod"),
    "a pod name that ends early": (KILL, "{pod: shop/}", 2, "pod"),
    "an empty deployment": ("scale", "{deployment: ''}", 2, "deployment"),
    "a deployment that ends early": ("scale", "{deployment: shop/}", 2, "deployment"),
    "no node at all": ("node_cordon", "{}", 2, "node"),
    "an empty node": ("node_cordon", "{node: ''}", 2, "node"),
    "an empty selector of nodes": ("node_cordon", "{nodes: ''}", 2, "nodes"),
    "more than there are": (KILL, "{pods: shop, selector: app=payments, pick: 7}", 3, "fewer than the 7 to pick"),
    "more nodes than there are": ("node_cordon", "{nodes: '!nope', pick: 9}", 3, "fewer than the 9 to pick"),
    "every node": ("node_cordon", "{nodes: '!nope', pick: 100%}", 3, "one has to stay"),
    "a share that is less than one": (KILL, "{pods: shop, selector: app=payments, pick: 49%}", 3, "rounded down to 0"),
    "a majority": (KILL, "{pods: shop, selector: app=db, pick: 2}", 3, "a majority of its 3 pods stays"),
    "no match": (KILL, "{pods: shop, selector: app=paymnts}", 3, "matches no target"),
    "a typo in the namespace": (KILL, "{pods: shpo, selector: app=payments}", 3, "there is no namespace 'shpo'"),
    "a typo in the pod": (KILL, "{pod: shop/payments}", 3, "there is no pod/shop/payments"),
    "a typo in the deployment": ("scale", "{deployment: shop/paymnts}", 3, "there is no deployment/shop/paymnts"),
    "a typo in the node": ("node_cordon", "{node: lab-9}", 3, "there is no node 'lab-9'"),
}


def state(site: Site) -> Any:
    """Everything that could have been touched, by uid and what is wanted of it."""
    apps = f"/apis/apps/v1/namespaces/{SPACE}"
    paths = (f"{apps}/deployments", f"{apps}/statefulsets", "/api/v1/nodes")
    found = [one for path in paths for one in raw.done(site, "GET", path)["items"]]
    pods = {pod["metadata"]["uid"]: pod["metadata"].get("deletionTimestamp") for pod in site.pods()}
    return pods, [(one["metadata"]["uid"], one["spec"], one["metadata"].get("annotations")) for one in found]


@pytest.mark.parametrize("name", DANGEROUS)
def test_a_dangerous_target_is_refused_and_nothing_is_touched(name: str, site: Site, tmp_path: Path) -> None:
    fault, target, code, said = DANGEROUS[name]
    site.settled()
    before = state(site)
    with cli.desk(site, "plain", tmp_path) as desk:
        desk.write(fault, target, "{to: 0}" if fault == "scale" else "{}")
        returned, told = desk.call("run", "e.yaml", "--no-report")

    assert (returned, said in told) == (code, True), told
    assert state(site) == before


@pytest.mark.parametrize("fault", [PodKill(), PodEvict()], ids=lambda one: one.kind)
async def test_a_pod_made_anew_between_prepare_and_the_harm_is_never_touched(
    fault: Any, site: Site, opened: Open
) -> None:
    site.settled()
    env = opened("plain")
    (target,) = [one for one in await fault.targets(env, DB) if one.key == f"pod/{SPACE}/db-0"]
    undo = await fault.prepare(env, target, MARK)
    anew = made_anew(site)

    for late in (fault.inject(env, undo), fault.prepare(env, target, MARK)):
        with pytest.raises(Refused):
            await late
    assert pod(site) == anew


@pytest.mark.parametrize("kind", ["pod_kill", "pod_evict"])
def test_a_pod_made_anew_between_the_plan_and_the_run_is_never_touched(kind: str, site: Site, tmp_path: Path) -> None:
    site.settled()
    with cli.desk(site, "plain", tmp_path) as desk:
        desk.write(kind, "{pod: shop/db-0}")
        assert desk.call("plan", "e.yaml", "--out", "plan.json")[0] == 0
        anew = made_anew(site)
        returned, told = desk.call("run", "--plan", "plan.json", "--no-report")

    assert returned == 3, told
    assert "db-0" in told
    assert pod(site) == anew


DB = PodSelector(pods=SPACE, selector="app=db")


def pod(site: Site) -> tuple[str, str | None]:
    """Which pod has the name, and whether anybody has told it to go."""
    meta = raw.done(site, "GET", f"/api/v1/namespaces/{SPACE}/pods/db-0")["metadata"]
    return meta["uid"], meta.get("deletionTimestamp")


def made_anew(site: Site) -> tuple[str, str | None]:
    """Somebody else deletes the pod, and its StatefulSet makes the next one under its name."""
    old = pod(site)
    raw.done(site, "DELETE", f"/api/v1/namespaces/{SPACE}/pods/db-0", {"gracePeriodSeconds": 0})
    raw.wait_until(lambda: raw.ask(site, "GET", f"/api/v1/namespaces/{SPACE}/pods/db-0").status == 200)
    raw.wait_until(lambda: pod(site)[0] != old[0])
    site.settled()
    return pod(site)
