"""Cordoned nodes and scaled workloads: marked, put back, and what others changed meanwhile stays as they want it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from chaos_runner.api import Absent, Doubt, Drifted, Env, Present, Refused, Undo, Unreadable
from chaos_runner.environment import Environment
from chaos_runner.faults._nodes import NodeSelector
from chaos_runner.faults.node_cordon import NodeCordon
from chaos_runner.faults.node_drain import NodeDrain
from chaos_runner.faults.scale import Scale, WorkloadSelector
from chaos_runner.records import Target
from chaos_runner.testing import check_fault
from tests.clients.kubernetes.server import Asked, Said, status
from tests.faults.kube.cluster import Object, Place

pytestmark = pytest.mark.anyio
MARK = "cx.run-1.1.4102444800"


class Case(NamedTuple):
    """A fault, its target, and the object's field."""

    fault: Any
    selector: Any
    plural: str
    space: str
    name: str
    field: str
    was: Any
    now: Any
    other: Any

    @property
    def note(self) -> str:
        return f"chaos-runner/{self.field}"

    @property
    def fence(self) -> str:
        return f"chaos-runner/fence-{self.field}"


NODE = NodeSelector(node="n1")
CASES = {
    "cordon": Case(NodeCordon(), NODE, "nodes", "", "n1", "unschedulable", None, True, False),
    "drain": Case(NodeDrain(pods_in_total=9), NODE, "nodes", "", "n1", "unschedulable", None, True, False),
    "scale": Case(
        Scale(to=1), WorkloadSelector(deployment="shop/web"), "deployments", "shop", "web", "replicas", 3, 1, 5
    ),
    "scale up": Case(
        Scale(to=9), WorkloadSelector(statefulset="shop/db"), "statefulsets", "shop", "db", "replicas", 3, 9, 5
    ),
}
EACH = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture
def shop(place: Place) -> Place:
    for name in ("n1", "n2", "n3"):
        place.memory.node(name, zone="a")
    place.memory.workload("deployments", "shop", "web", 3)
    place.memory.workload("statefulsets", "shop", "db", 3, node="n2")
    return place


def one(place: Place, case: Case) -> Object:
    return place.memory.all(case.plural, case.space)[case.name]


def change(place: Place, case: Case, deed: Any) -> None:
    place.memory.change(case.plural, case.space, case.name, deed)


def notes_on(place: Place, case: Case) -> dict[str, str]:
    found: dict[str, str] = one(place, case)["metadata"]["annotations"]
    return found


async def prepared(place: Place, case: Case) -> Undo:
    (target,) = await case.fault.targets(place.env(), case.selector)
    undo: Undo = await case.fault.prepare(place.env(), target, MARK)
    return undo


async def harmed(place: Place, case: Case) -> Undo:
    undo = await prepared(place, case)
    await case.fault.inject(place.env(), undo)
    return undo


async def refusal(work: Any) -> str:
    with pytest.raises(Refused) as why:
        await work
    return str(why.value)


@EACH
async def test_it_keeps_the_promises_of_a_fault(case: Case, shop: Place) -> None:
    await check_fault(case.fault, case.selector, shop.env(), shop.memory)


@EACH
async def test_harm_and_mark_are_one_request_bound_to_what_was_read(case: Case, shop: Place) -> None:
    before = one(shop, case)["metadata"]["resourceVersion"]
    await harmed(shop, case)

    (sent,) = [asked.json for asked in shop.api.asked if asked.method == "PATCH"]
    assert sent["spec"] == {case.field: case.now}
    assert sent["metadata"]["resourceVersion"] == before
    assert sent["metadata"]["uid"] == one(shop, case)["metadata"]["uid"]
    assert json.loads(sent["metadata"]["annotations"][case.note])["mark"] == MARK
    (event,) = shop.memory.events
    assert f"remove the annotation {case.note}" in event["message"]


@EACH
async def test_who_removes_the_annotation_keeps_it_as_it_is(case: Case, shop: Place) -> None:
    undo, env = await harmed(shop, case), shop.env()
    change(shop, case, lambda it: it["metadata"]["annotations"].pop(case.note))
    kept = one(shop, case)

    await case.fault.revert(env, undo)
    assert one(shop, case) == kept
    seen = await case.fault.observe(env, undo)
    assert isinstance(seen, Absent)
    assert "no longer ours" in seen.drift


@EACH
async def test_what_somebody_else_set_since_is_left_and_only_the_mark_goes(case: Case, shop: Place) -> None:
    undo, env = await harmed(shop, case), shop.env()
    change(shop, case, lambda it: it["spec"].update({case.field: case.other}))
    assert isinstance(await case.fault.observe(env, undo), Drifted)

    await case.fault.revert(env, undo)
    assert one(shop, case)["spec"][case.field] == case.other
    assert notes_on(shop, case) == {}
    assert isinstance(await case.fault.observe(env, undo), Absent)


@EACH
async def test_the_same_value_written_by_another_manager_is_theirs(case: Case, shop: Place) -> None:
    undo, env = await harmed(shop, case), shop.env()
    ours: Object = {"f:spec": {f"f:{case.field}": {}}, "f:metadata": {"f:annotations": {f"f:{case.note}": {}}}}
    theirs: Object = {"f:spec": {f"f:{case.field}": {}}}
    alone = [{"manager": "chaos-runner", "fieldsV1": ours}, {"manager": "kubelet", "fieldsV1": {"f:status": {}}}]
    change(shop, case, lambda it: it["metadata"].update(managedFields=alone))
    assert await case.fault.observe(env, undo) == Present()

    both = [*alone, {"manager": "kubectl-edit", "fieldsV1": theirs}]
    change(shop, case, lambda it: it["metadata"].update(managedFields=both))
    assert await case.fault.observe(env, undo) == Drifted(f"kubectl-edit has written {case.field} too")
    await case.fault.revert(env, undo)
    assert one(shop, case)["spec"][case.field] == case.now
    assert notes_on(shop, case) == {}


@EACH
async def test_one_that_is_so_already_or_carries_a_mark_is_refused(case: Case, shop: Place) -> None:
    (target,) = await case.fault.targets(shop.env(), case.selector)
    other = json.dumps({"mark": "cx.other.1.4102444800", "was": 0, "now": 1})
    for annotation in ({case.note: other}, {case.fence: "cx.other.1.4102444800"}):
        change(shop, case, lambda it, new=annotation: it["metadata"].update(annotations=new))
        assert "cx.other" in await refusal(case.fault.prepare(shop.env(), target, MARK))
    change(shop, case, lambda it: it["metadata"].update(annotations={}))
    change(shop, case, lambda it: it["spec"].update({case.field: case.now}))
    assert "already" in await refusal(case.fault.prepare(shop.env(), target, MARK))
    assert shop.changes() == []


@EACH
async def test_one_made_anew_under_its_name_is_neither_harmed_nor_put_back(case: Case, shop: Place) -> None:
    undo, env = await prepared(shop, case), shop.env()
    change(shop, case, lambda it: it["metadata"].update(uid="another"))
    assert "planned" in await refusal(case.fault.inject(env, undo))
    note = json.dumps({"mark": MARK, "was": 0, "now": 1})
    change(shop, case, lambda it: it["metadata"]["annotations"].update({case.note: note}))

    await case.fault.revert(env, undo)
    await case.fault.fence(env, undo)
    assert shop.changes() == []
    assert isinstance(await case.fault.observe(env, undo), Absent)


@EACH
async def test_an_object_that_changes_all_the_time_is_tried_three_times_then_refused(case: Case, shop: Place) -> None:
    undo, env = await prepared(shop, case), shop.env()
    left = [2]

    def busy(asked: Asked) -> Said | None:
        if asked.method == "PATCH" and left[0]:
            left[0] -= 1
            change(shop, case, lambda it: it["metadata"]["labels"].update(beat=str(left[0])))
        return None

    shop.memory.before = busy
    await case.fault.inject(env, undo)
    assert one(shop, case)["spec"][case.field] == case.now
    left[0] = 99
    with pytest.raises(Doubt, match="faster"):
        await case.fault.revert(env, undo)
    left[0] = 0
    await case.fault.revert(env, undo)
    assert one(shop, case)["spec"].get(case.field) == case.was


@EACH
async def test_a_request_that_lands_after_a_fence_changes_nothing(case: Case, shop: Place) -> None:
    """As a frozen server does: what was sent before the undo is carried out once it thaws."""
    undo, env = await prepared(shop, case), shop.env()
    late: list[Asked] = []

    def frozen(asked: Asked) -> Said | None:
        if asked.method == "PATCH":
            late.append(asked)
            return status(504, "Timeout", "frozen")
        return None

    shop.memory.before = frozen
    with pytest.raises(Doubt):
        await case.fault.inject(env, undo)
    shop.memory.before = lambda _asked: None
    await case.fault.revert(env, undo)
    await case.fault.fence(env, undo)
    assert shop.memory.act(late[0]).status == 409
    await case.fault.unfence(env, undo)
    assert shop.memory.act(late[0]).status == 409
    assert one(shop, case)["spec"].get(case.field) == case.was
    assert notes_on(shop, case) == {}


@EACH
async def test_one_that_landed_late_before_the_fence_is_doubt_and_is_reverted(case: Case, shop: Place) -> None:
    undo, env = await harmed(shop, case), shop.env()
    with pytest.raises(Doubt, match="landed late"):
        await case.fault.fence(env, undo)
    await case.fault.revert(env, undo)
    await case.fault.fence(env, undo)


@EACH
async def test_what_a_lost_ledger_forgot_is_found_by_its_note_and_undone(case: Case, shop: Place) -> None:
    await harmed(shop, case)
    (left,) = await case.fault.leftovers(shop.env())
    again = type(case.fault)
    fault = again(**left.params)

    assert isinstance(await fault.observe(shop.env(), left), Present)
    await fault.revert(shop.env(), left)
    assert one(shop, case)["spec"].get(case.field) == case.was
    assert await case.fault.leftovers(shop.env()) == ()


@EACH
async def test_a_fence_that_was_left_is_found_and_is_no_harm(case: Case, shop: Place) -> None:
    undo = await prepared(shop, case)
    await case.fault.fence(shop.env(), undo)
    (left,) = await case.fault.leftovers(shop.env())

    assert left.mark == MARK
    assert isinstance(await case.fault.observe(shop.env(), left), Absent)
    await case.fault.unfence(shop.env(), left)
    assert notes_on(shop, case) == {}


@EACH
async def test_a_user_who_may_not_look_has_left_nothing(case: Case, shop: Place) -> None:
    shop.memory.denied = {("list", case.plural)}
    assert await case.fault.leftovers(shop.env()) == ()
    assert await case.fault.leftovers(Env("no cluster", Environment())) == ()


@EACH
async def test_every_missing_right_is_named(case: Case, shop: Place) -> None:
    (target,) = await case.fault.targets(shop.env(), case.selector)
    own = {("list", "horizontalpodautoscalers")} if case.field == "replicas" else set()
    for denied in {*own, ("patch", case.plural), ("get", case.plural), ("list", case.plural), ("create", "events")}:
        shop.memory.denied = {denied}
        rights = await case.fault.rights(shop.env(), target)
        assert not rights.allowed
        assert f"may not {denied[0]} {denied[1]}" in rights.why
    shop.memory.denied = set()
    assert (await case.fault.rights(shop.env(), target)).allowed


@EACH
async def test_a_server_that_does_not_answer_says_nothing_about_the_fault(case: Case, shop: Place) -> None:
    undo, env = await harmed(shop, case), shop.env()
    shop.memory.before = lambda _asked: status(500)
    assert isinstance(await case.fault.observe(env, undo), Unreadable)
    with pytest.raises(Doubt):
        await case.fault.revert(env, undo)


async def test_a_note_that_somebody_rewrote_is_not_ours(shop: Place) -> None:
    case = CASES["cordon"]
    undo = await harmed(shop, case)
    for text in ("", "{", '{"mark": 1}', "null", json.dumps({"mark": "cx.x.1.1", "was": False, "now": True})):
        change(shop, case, lambda it, new=text: it["metadata"].update(annotations={case.note: new}))
        await case.fault.revert(shop.env(), undo)
        assert one(shop, case)["spec"]["unschedulable"] is True


# --- which nodes and workloads ----------------------------------------------------------------------------------------


async def test_only_ready_nodes_that_take_pods_are_taken_and_one_always_stays(shop: Place) -> None:
    shop.memory.change("nodes", "", "n2", lambda it: it["status"].update(conditions=[]))
    bounds = await NodeCordon().bounded(shop.env(), NodeSelector(nodes="zone=a"), {})

    assert [target.key for target in bounds.targets] == ["node/n1", "node/n3"]
    assert bounds.limits[0].most == 1
    assert "one has to stay" in bounds.limits[0].why
    assert "1 that matches left out" in bounds.limits[1].why
    shop.memory.change("nodes", "", "n3", lambda it: it["spec"].update(unschedulable=True))
    assert "no other node" in await NodeCordon().no_room(shop.env(), bounds.targets[0], {})
    assert (await NodeCordon().bounded(shop.env(), NODE, {})).limits[0].most == 0


async def test_a_node_that_is_not_there_or_not_fit_is_named(shop: Place) -> None:
    assert "no node 'n4'; known: n1, n2 and n3" in await refusal(
        NodeCordon().targets(shop.env(), NodeSelector(node="n4"))
    )
    shop.memory.change("nodes", "", "n1", lambda it: it["spec"].update(unschedulable=True))
    assert "cordoned already" in await refusal(NodeCordon().targets(shop.env(), NODE))
    assert await NodeCordon().targets(shop.env(), NodeSelector(nodes="zone=b")) == ()


@pytest.mark.parametrize(
    ("fields", "said"),
    [({}, "name one node"), ({"node": "n1", "nodes": "a=b"}, "name one node"), ({"nodes": "a=b,"}, "no part of")],
)
def test_a_target_that_could_mean_every_node_is_a_mistake(fields: dict[str, str], said: str) -> None:
    assert said in " ".join(why for _, why in NodeSelector(**fields).problems())  # type: ignore[arg-type]


async def test_what_an_autoscaler_sets_is_not_scaled(shop: Place) -> None:
    ref = {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}
    shop.memory.put("horizontalpodautoscalers", "shop", "auto", spec={"scaleTargetRef": ref, "maxReplicas": 9})
    web = WorkloadSelector(deployment="shop/web")

    assert "horizontalpodautoscaler/shop/auto sets" in await refusal(Scale(to=1).bounded(shop.env(), web, {}))
    assert "horizontalpodautoscaler/shop/auto sets" in await refusal(
        Scale(to=1).prepare(shop.env(), (await Scale(to=1).targets(shop.env(), web))[0], MARK)
    )
    await prepared(shop, CASES["scale up"])


@pytest.mark.parametrize(("to", "fine"), [(0, False), (1, False), (2, True), (4, True)])
async def test_a_majority_of_a_statefulset_stays(shop: Place, to: int, fine: bool) -> None:
    work = Scale(to=to).bounded(shop.env(), WorkloadSelector(statefulset="shop/db"), {})
    if fine:
        await work
    else:
        assert "majority" in await refusal(work)


async def test_what_must_stay_available_limits_how_far_it_is_scaled(shop: Place) -> None:
    web, keep = WorkloadSelector(deployment="shop/web"), {"deployment/shop/web": 2}
    target = Target("deployment/shop/web")
    for to, most in ((1, [0]), (2, [])):
        assert [limit.most for limit in (await Scale(to=to).bounded(shop.env(), web, keep)).limits] == most
        assert bool(await Scale(to=to).no_room(shop.env(), target, keep)) == (to == 1)


async def test_scaling_is_shown_by_the_pods_that_are_ready(shop: Place) -> None:
    undo = await harmed(shop, CASES["scale"])
    assert await Scale(to=1).effect(shop.env(), undo, {}) is None
    change(shop, CASES["scale"], lambda it: it["status"].update(readyReplicas=1))
    proof = await Scale(to=1).effect(shop.env(), undo, {})
    assert proof is not None
    assert proof.evidence == "deployment/shop/web: 1 ready pods, of 3"
