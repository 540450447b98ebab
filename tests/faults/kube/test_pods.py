"""Killed and evicted pods: exactly those that were meant, never one made anew, and their owners keep enough."""

from __future__ import annotations

from typing import Any

import pytest

from chaos_runner.api import Absent, Present, Refused, Undo
from chaos_runner.faults._pods import PodSelector
from chaos_runner.faults.pod_evict import PodEvict
from chaos_runner.faults.pod_kill import PodKill
from chaos_runner.model import Pick
from chaos_runner.records import Target
from chaos_runner.testing import check_fault
from tests.clients.kubernetes.server import Asked, Said, status
from tests.faults.kube.cluster import Place

pytestmark = pytest.mark.anyio
MARK = "cx.run-1.1.4102444800"
BOTH = pytest.mark.parametrize("fault", [PodKill(), PodEvict()], ids=lambda one: one.kind)
PAYMENTS = PodSelector(pods="shop", selector="app=payments", pick=Pick(number=1))


@pytest.fixture
def shop(place: Place) -> Place:
    place.memory.workload("deployments", "shop", "payments", 3)
    place.memory.workload("statefulsets", "shop", "db", 3)
    return place


async def first(fault: Any, place: Place, selector: PodSelector = PAYMENTS) -> Target:
    found: tuple[Target, ...] = await fault.targets(place.env(), selector)
    return found[0]


async def undo_of(fault: Any, place: Place, selector: PodSelector = PAYMENTS) -> Undo:
    undo: Undo = await fault.prepare(place.env(), await first(fault, place, selector), MARK)
    return undo


async def refusal(work: Any) -> str:
    with pytest.raises(Refused) as why:
        await work
    return str(why.value)


@BOTH
async def test_it_keeps_the_promises_of_a_fault(fault: Any, shop: Place) -> None:
    env = shop.env()
    undo = await check_fault(fault, PAYMENTS, env, shop.memory)

    assert undo.target.key not in [f"pod/shop/{name}" for name in shop.memory.all("pods")]
    assert len(shop.memory.all("pods")) == 6
    proof = await fault.effect(env, undo, {})
    assert proof is not None
    assert undo.target.uid in proof.evidence


@BOTH
async def test_one_that_is_only_asked_to_go_counts_as_harmed(fault: Any, shop: Place) -> None:
    shop.memory.grace = True
    await check_fault(fault, PAYMENTS, shop.env(), shop.memory)


@BOTH
async def test_who_did_it_is_told_on_the_owner_before_it_is_done(fault: Any, shop: Place) -> None:
    undo = await undo_of(fault, shop)
    await fault.inject(shop.env(), undo)

    (event,) = shop.memory.events
    assert event["involvedObject"]["kind"] == "ReplicaSet"
    assert event["involvedObject"]["name"] == "payments-5d8"
    assert MARK in event["message"]
    assert event["metadata"]["labels"] == {"chaos-runner/run": "run-1"}
    order = [one.path.rpartition("/")[2] for one in shop.api.asked if one.method != "GET" and b"dryRun" not in one.body]
    assert order[0] == "events"


@BOTH
async def test_what_cannot_be_announced_is_not_done(fault: Any, shop: Place) -> None:
    undo = await undo_of(fault, shop)
    shop.memory.denied = {("create", "events")}

    assert "forbidden" in await refusal(fault.inject(shop.env(), undo))
    shop.memory.denied = set()
    shop.memory.before = lambda asked: status(500) if asked.path.endswith("/events") else None
    assert "could not be written" in await refusal(fault.inject(shop.env(), undo))
    assert shop.changes() == []


@BOTH
async def test_a_pod_made_anew_under_its_name_is_never_touched(fault: Any, shop: Place) -> None:
    db = PodSelector(pods="shop", selector="app=db")
    planned = await first(fault, shop, db)
    undo = await undo_of(fault, shop, db)
    shop.memory.remove("pods", shop.memory.objects["pods", "shop", "db-0"])
    anew = shop.memory.all("pods")["db-0"]

    assert "made anew" in await refusal(fault.prepare(shop.env(), planned, MARK))
    await refusal(fault.inject(shop.env(), undo))
    assert shop.memory.all("pods")["db-0"] == anew
    assert shop.memory.burnt == []


async def test_a_pod_made_anew_in_the_very_last_moment_is_saved_by_the_uid(shop: Place) -> None:
    undo = await undo_of(PodKill(), shop, PodSelector(pods="shop", selector="app=db"))

    def anew(asked: Asked) -> Said | None:
        if asked.method == "DELETE":
            shop.memory.before = lambda _asked: None
            shop.memory.remove("pods", shop.memory.objects["pods", "shop", "db-0"])
        return None

    shop.memory.before = anew
    assert "UID" in await refusal(PodKill().inject(shop.env(), undo))
    assert "deletionTimestamp" not in shop.memory.all("pods")["db-0"]["metadata"]
    assert len(shop.memory.all("pods")) == 6


@BOTH
async def test_only_running_and_ready_pods_that_something_replaces_are_taken(fault: Any, shop: Place) -> None:
    memory = shop.memory
    memory.change("pods", "shop", "payments-5d8-0", lambda pod: pod["status"].update(conditions=[]))
    memory.change("pods", "shop", "payments-5d8-1", lambda pod: pod["metadata"].update(deletionTimestamp="now"))
    memory.pod("shop", "bare", app="payments")

    bounds = await fault.bounded(shop.env(), PAYMENTS, {})
    assert [target.key for target in bounds.targets] == ["pod/shop/payments-5d8-2"]
    assert sorted(limit.why for limit in bounds.limits) == [
        "1 that matches left out: bare: nothing would make another one",
        "1 that matches left out: not Running and Ready",
        "1 that matches left out: terminating already",
    ]


@BOTH
async def test_where_none_may_be_taken_the_reasons_are_told(fault: Any, shop: Place) -> None:
    shop.memory.pod("shop", "bare", app="alone")
    lonely = PodSelector(pods="shop", selector="app=alone")

    assert "1 pods match" in (why := await refusal(fault.targets(shop.env(), lonely)))
    assert "nothing would make another one" in why
    assert "bare" in await refusal(fault.targets(shop.env(), PodSelector(pod="shop/bare")))


@BOTH
async def test_a_typo_in_a_namespace_or_a_name_is_no_empty_list(fault: Any, shop: Place) -> None:
    assert "no namespace 'shpo'" in await refusal(
        fault.targets(shop.env(), PodSelector(pods="shpo", selector="app=payments"))
    )
    assert "no pod/shop/paymnts" in await refusal(fault.targets(shop.env(), PodSelector(pod="shop/paymnts")))
    assert await fault.targets(shop.env(), PodSelector(pods="shop", selector="app=paymnts")) == ()


@BOTH
async def test_it_is_replaced_once_another_pod_is_ready_and_as_many_as_before(fault: Any, shop: Place) -> None:
    memory, env = shop.memory, shop.env()
    memory.replaces = False
    undo = await undo_of(fault, shop)
    await fault.inject(env, undo)
    assert await fault.replaced(env, undo) == ""

    owner = memory.all("pods")["payments-5d8-1"]["metadata"]["ownerReferences"][0]
    memory.pod("shop", "payments-5d8-new", owner=owner, ready=False, app="payments")
    assert await fault.replaced(env, undo) == ""
    memory.change("pods", "shop", "payments-5d8-new", lambda pod: pod["status"].update(conditions=[READY]))
    assert await fault.replaced(env, undo) == "pod/shop/payments-5d8-new"
    memory.change("pods", "shop", "payments-5d8-2", lambda pod: pod["status"].update(conditions=[]))
    assert await fault.replaced(env, undo) == ""


READY = {"type": "Ready", "status": "True"}


@BOTH
async def test_the_next_pod_of_a_statefulset_is_told_by_its_uid(fault: Any, shop: Place) -> None:
    env = shop.env()
    undo = await undo_of(fault, shop, PodSelector(pod="shop/db-1"))
    assert await fault.replaced(env, undo) == ""
    await fault.inject(env, undo)
    assert (await fault.replaced(env, undo)).startswith("pod/shop/db-1 (uid uid-")


@BOTH
async def test_every_missing_right_is_named(fault: Any, shop: Place) -> None:
    target = await first(fault, shop)
    harm = ("delete", "pods") if fault.kind == "pod_kill" else ("create", "pods/eviction")
    for denied in (harm, ("create", "events"), ("get", "pods"), ("list", "pods"), ("get", "replicasets")):
        shop.memory.denied = {denied}
        rights = await fault.rights(shop.env(), target)
        assert not rights.allowed
        assert f"may not {denied[0]} {denied[1]}" in rights.why
    shop.memory.denied = set()
    assert (await fault.rights(shop.env(), target)).allowed


async def test_a_kill_takes_the_grace_that_was_written(shop: Place) -> None:
    undo = await undo_of(PodKill(grace=0.0), shop)
    await PodKill(grace=0.0).inject(shop.env(), undo)
    await PodKill().inject(shop.env(), await undo_of(PodKill(), shop))

    sent = [one.json for one in shop.api.asked if one.method == "DELETE"]
    assert sent[0]["gracePeriodSeconds"] == 0
    assert "gracePeriodSeconds" not in sent[1]


async def test_a_budget_refuses_an_eviction_before_anything_is_done_and_a_kill_only_tells_of_it(shop: Place) -> None:
    shop.memory.budget("shop", "web", 0, app="payments")
    target = await first(PodEvict(), shop)

    assert "budget web" in await refusal(PodEvict().prepare(shop.env(), target, MARK))
    assert shop.changes() == []
    limits = (await PodKill().bounded(shop.env(), PAYMENTS, {})).limits
    assert [(limit.most, limit.why) for limit in limits] == [
        (None, "poddisruptionbudget/shop/web allows 0 now (2 healthy, 1 needed); a kill does not ask it")
    ]
    assert [limit.most for limit in (await PodEvict().bounded(shop.env(), PAYMENTS, {})).limits] == [0]


async def test_an_eviction_looks_again_because_a_stale_uid_burns_the_budget(shop: Place) -> None:
    shop.memory.budget("shop", "db", 1, app="db")
    undo = await undo_of(PodEvict(), shop, PodSelector(pod="shop/db-0"))
    shop.memory.remove("pods", shop.memory.objects["pods", "shop", "db-0"])

    await refusal(PodEvict().inject(shop.env(), undo))
    assert shop.memory.burnt == []
    assert shop.memory.events == []


async def test_a_pod_whose_answer_never_came_is_looked_at_by_its_uid(shop: Place) -> None:
    env, undo = shop.env(), await undo_of(PodKill(), shop, PodSelector(pod="shop/db-0"))
    assert isinstance(await PodKill().observe(env, undo), Absent)
    shop.memory.remove("pods", shop.memory.objects["pods", "shop", "db-0"])
    assert await PodKill().observe(env, undo) == Present("it is gone; another one has its name")


@pytest.mark.parametrize("keep", [{"deployment/shop/payments": 3}, {"statefulset/shop/db": 3}])
async def test_right_before_the_harm_it_is_looked_again_at_what_must_stay(shop: Place, keep: dict[str, int]) -> None:
    for selector in (PAYMENTS, PodSelector(pod="shop/db-0")):
        target = await first(PodKill(), shop, selector)
        (name, least), *_ = keep.items()
        mine = name.rpartition("/")[2] in target.key
        assert bool(await PodKill().no_room(shop.env(), target, keep)) == mine
        assert await PodKill().no_room(shop.env(), target, {name: least - 1}) == ""


async def test_a_quorum_counts_what_is_missing_now(shop: Place) -> None:
    target = await first(PodKill(), shop, PodSelector(pod="shop/db-0"))
    assert await PodKill().no_room(shop.env(), target, {}) == ""
    shop.memory.change("pods", "shop", "db-2", lambda pod: pod["status"].update(conditions=[]))
    assert "1 of which is missing now" in await PodKill().no_room(shop.env(), target, {})


async def test_what_must_stay_has_to_be_something(shop: Place) -> None:
    for name, said in {
        "deployment/shop/paymnts": "there is no deployment/shop/paymnts",
        "deploy/shop/payments": "did you mean 'deployment'?",
        "deployment/shop": "no name such as",
    }.items():
        assert said in await refusal(PodKill().bounded(shop.env(), PAYMENTS, {name: 1}))
