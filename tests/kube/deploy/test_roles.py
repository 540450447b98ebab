"""Each fault works with exactly the role that is shipped for it: nothing of it is idle, and nothing can be missing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import anyio
import msgspec
import pytest

from chaos_runner import planning, registry
from chaos_runner.api import Absent, Env, Fences, Present, Replaces, Scans
from chaos_runner.model import BlastRadius, Check, Experiment, FaultStep
from chaos_runner.plan import Plan, PlannedFault, Refusal
from tests.engine.kit import check
from tests.kube import raw
from tests.kube.deploy import site as sites
from tests.kube.deploy.conftest import Open
from tests.kube.deploy.site import SPACE, Right, Site

pytestmark = pytest.mark.anyio
UP: Check = msgspec.structs.replace(check("success >= 50%"), probe="tcp", with_={"address": "127.0.0.1:1"})


class Case(msgspec.Struct, frozen=True):
    """A fault, its manifests with its own first, and an experiment that needs all that they allow."""

    kind: str
    files: tuple[str, ...]
    steps: tuple[tuple[dict[str, Any], dict[str, Any]], ...]
    keep: Mapping[str, int] = {}

    def experiment(self, site: Site) -> Experiment:
        names = {"NODE": site.nodes[0]}
        steps = tuple(
            FaultStep(
                fault=self.kind, target={key: names.get(value, value) for key, value in target.items()}, with_=fields,
                for_=10.0,
            )
            for target, fields in self.steps
        )  # fmt: skip
        radius = BlastRadius(at_once=20, in_total=20, keep_available=dict(self.keep))
        return Experiment(
            kind="experiment/v1", name="e", hypothesis="h", method=steps, blast_radius=radius, steady_state={"up": UP}
        )


PODS = (({"pods": SPACE, "selector": "app=payments"}, {}), ({"pods": SPACE, "selector": "app=db"}, {}))
KEEP = {f"deployment/{SPACE}/payments": 1}
SCALED = (
    ({"deployment": f"{SPACE}/payments"}, {"to": 1}),
    ({"statefulset": f"{SPACE}/db"}, {"to": 2}),
)
CASES = (
    Case("pod_kill", ("pod-kill.yaml",), PODS, KEEP),
    Case("pod_evict", ("pod-evict.yaml",), PODS, KEEP),
    Case("node_cordon", ("node-cordon.yaml",), (({"node": "NODE"}, {}),)),
    Case("node_drain", ("node-drain.yaml", "pod-evict.yaml"), (({"node": "NODE"}, {"pods_in_total": 5}),)),
    Case("scale", ("scale.yaml",), SCALED),
)
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)


async def planned(site: Site, env: Env, case: Case) -> Plan:
    return await planning.resolve(case.experiment(site), env, registry.faults, registry.probes, seed=1)


def fault_of(one: PlannedFault) -> Any:
    return msgspec.convert(one.params, registry.faults[one.kind])


async def harmed_and_undone(site: Site, env: Env, plan: Plan) -> None:
    """Every fault of the plan as a run has it: what is seen before and after, its undo, and what a janitor reads."""
    expiry, keep, done = int(time.time()) + 600, plan.experiment.blast_radius.keep_available, []
    for one in plan.faults:
        fault, mark = fault_of(one), f"cx.run-1.{one.n}.{expiry}"
        assert await fault.no_room(env, one.target, keep) == ""
        undo = await fault.prepare(env, one.target, mark)
        before = await fault.before(env, undo)
        await fault.inject(env, undo)
        assert isinstance(await fault.observe(env, undo), Present)
        await shown(site, fault, env, undo, before)
        done.append((fault, undo))
        if isinstance(fault, Replaces) and not fault.reversible:
            await replaced(site, fault, env, undo)
    for fault, undo in reversed(done):
        await fault.revert(env, undo)
        if fault.reversible:
            assert isinstance(await fault.observe(env, undo), Absent)
        if isinstance(fault, Fences):
            await fault.fence(env, undo)
            await fault.unfence(env, undo)
    for fault, _ in done:
        if isinstance(fault, Scans):
            assert await fault.leftovers(env) == ()
    await anyio.to_thread.run_sync(site.settled)


async def shown(site: Site, fault: Any, env: Env, undo: Any, before: dict[str, float]) -> None:
    with anyio.fail_after(30):
        while await fault.effect(env, undo, before) is None:
            await anyio.to_thread.run_sync(site.tended)
            await anyio.sleep(0.1)


async def replaced(site: Site, fault: Any, env: Env, undo: Any) -> None:
    await anyio.to_thread.run_sync(site.settled)
    with anyio.fail_after(30):
        while not await fault.replaced(env, undo):
            await anyio.sleep(0.1)


@EACH
async def test_a_fault_does_and_undoes_all_with_its_role_and_uses_all_of_it(
    case: Case, site: Site, opened: Open
) -> None:
    site.settled()
    with site.applied(*case.files):
        began = len(site.asked("runner"))
        env = opened()
        await harmed_and_undone(site, env, await planned(site, env, case))
    asked = site.asked("runner")[began:]
    assert [one for one in asked if one[1] in {401, 403}] == []
    every = sites.documents(case.files[0])
    allowed = {right for one in every for right in sites.rights(one, every)}
    assert allowed - {right for right, _ in asked} == set()


@EACH
async def test_a_right_that_is_missing_is_a_refusal_of_the_plan_that_names_it(
    case: Case, site: Site, opened: Open
) -> None:
    site.settled()
    before = site.uids()
    with site.applied(*case.files):
        for role, right in one_less(case):
            site.apply(sites.without(role, right))
            site.effective(right, False)
            with pytest.raises(Refusal) as why:
                await planned(site, opened(), case)
            said = str(why.value)
            assert right.verb in said and right.resource.rstrip("s") in said, (right, said)
            site.apply(role)
            site.effective(right, True)
        await planned(site, opened(), case)
    assert site.uids() == before


def one_less(case: Case) -> Iterator[tuple[dict[str, Any], Right]]:
    every = sites.documents(case.files[0])
    for role in every:
        for right in sites.rights(role, every):
            yield role, right


async def test_without_any_role_not_even_the_cluster_is_known_to_be_the_right_one(site: Site, opened: Open) -> None:
    (role,) = [one for one in sites.documents("account.yaml") if one["kind"] == "Role"]
    right = Right("get", "", "namespaces", "kube-system")
    site.apply({**role, "rules": []})
    try:
        raw.wait_until(lambda: raw.ask(site, "GET", "/api/v1/namespaces/kube-system", user="runner").status == 403)
        with pytest.raises(Refusal, match="allow `get` of the namespace kube-system"):
            await planned(site, opened(), CASES[0])
    finally:
        site.apply(role)
        assert right.verb in role["rules"][0]["verbs"]
    raw.wait_until(lambda: raw.ask(site, "GET", "/api/v1/namespaces/kube-system", user="runner").status == 200)


async def test_a_list_that_is_allowed_in_one_namespace_only_would_not_find_the_marks_again(
    site: Site, opened: Open
) -> None:
    site.settled()
    (scale,) = [case for case in CASES if case.kind == "scale"]
    roles = {one["metadata"]["name"]: one for one in sites.documents("scale.yaml") if one["kind"] == "ClusterRole"}
    here, everywhere = roles["chaos-runner-scale"], roles["chaos-runner-scale-marks"]
    with site.applied("scale.yaml"):
        site.apply({**here, "rules": [*here["rules"], *everywhere["rules"]]})
        site.effective(Right("list", "apps", "deployments", SPACE), True)
        site.apply({**everywhere, "rules": []})
        site.effective(Right("list", "apps", "deployments", ""), False)
        with pytest.raises(Refusal, match="may not list deployments"):
            await planned(site, opened(), scale)
