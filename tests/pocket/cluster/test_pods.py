"""A pod's process and its scheduling, each alone: no API, no control plane."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from chaos_runner import wire
from chaos_runner.pocket import processes
from chaos_runner.pocket.cluster.control import scheduler
from chaos_runner.pocket.cluster.machine.addresses import HOSTS, NoAddress, Slot
from chaos_runner.pocket.cluster.machine.messages import Began, Ended, Gone, Run
from chaos_runner.pocket.cluster.machine.pod import Pod

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
READY = [{"type": "Ready", "status": "True"}]
CORDON = "node.kubernetes.io/unschedulable"


class Told:
    """What a pod said so far."""

    def __init__(self) -> None:
        self.messages: list[wire.Message] = []

    def of(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]

    async def first(self, kind: type[Any]) -> Any:
        async with asyncio.timeout(20):
            while not (found := self.of(kind)):
                await asyncio.sleep(0.02)
        return found[0]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def program(code: str, log: Path, restart: str = "Always") -> Run:
    return Run("u", "p", (sys.executable, "-c", code), dict(os.environ), "127.0.0.1", str(log), restart=restart)


@pytest.mark.anyio
async def test_a_pod_that_will_not_hear_is_killed_when_its_grace_is_over(tmp_path: Path) -> None:
    told, log = Told(), tmp_path / "log"
    stdin, lifeline = os.pipe()
    pod = Pod(program(DEAF, log), stdin, told.messages.append)
    process = processes.identify((await told.first(Began)).pid)
    async with asyncio.timeout(20):
        while b"deaf" not in log.read_bytes():
            await asyncio.sleep(0.02)
    began = time.monotonic()
    pod.halt(0.7)
    async with asyncio.timeout(20):
        await pod.gone()
    os.close(lifeline)
    os.close(stdin)

    assert time.monotonic() - began > 0.6
    assert not process.lives()
    assert told.of(Gone)


@pytest.mark.anyio
async def test_a_shorter_grace_shortens_the_first_one(tmp_path: Path) -> None:
    told, log = Told(), tmp_path / "log"
    stdin, lifeline = os.pipe()
    pod = Pod(program(DEAF, log), stdin, told.messages.append)
    await told.first(Began)
    async with asyncio.timeout(20):
        while b"deaf" not in log.read_bytes():
            await asyncio.sleep(0.02)
    pod.halt(60)
    await asyncio.sleep(0.05)
    pod.halt(0)
    async with asyncio.timeout(20):
        await pod.gone()
    os.close(lifeline)
    os.close(stdin)


@pytest.mark.anyio
@pytest.mark.parametrize(("restart", "code", "again"), [("Never", 1, -1), ("OnFailure", 0, -1), ("OnFailure", 3, 1)])
async def test_the_restart_policy_says_whether_it_runs_again(
    tmp_path: Path, restart: str, code: int, again: float
) -> None:
    told = Told()
    stdin, lifeline = os.pipe()
    pod = Pod(program(f"raise SystemExit({code})", tmp_path / "log", restart), stdin, told.messages.append)
    ended = await told.first(Ended)
    pod.halt(0)
    async with asyncio.timeout(20):
        await pod.gone()
    os.close(lifeline)
    os.close(stdin)

    assert (ended.code, ended.again_in_s) == (code, again)


def node(**spec: Any) -> Any:
    return {"metadata": {"name": "n", "labels": {"disk": "ssd"}}, "spec": spec, "status": {"conditions": READY}}


@pytest.mark.parametrize(
    ("pod", "where", "why"),
    [
        ({}, node(), ""),
        ({}, node(unschedulable=True), "node(s) were unschedulable"),
        ({"tolerations": [{"key": CORDON, "operator": "Exists"}]}, node(unschedulable=True), ""),
        ({}, node(taints=[{"key": "a", "value": "b", "effect": "NoSchedule"}]), "node(s) had untolerated taint {a: b}"),
        ({"tolerations": [{"operator": "Exists"}]}, node(taints=[{"key": "a", "effect": "NoExecute"}]), ""),
        ({}, node(taints=[{"key": "a", "effect": "PreferNoSchedule"}]), ""),
        ({"nodeSelector": {"disk": "hdd"}}, node(), "node(s) didn't match Pod's node affinity/selector"),
        ({}, {**node(), "status": {}}, "node(s) were not ready"),
    ],
)
def test_a_node_fits_or_the_scheduler_says_why_not(pod: Any, where: Any, why: str) -> None:
    assert scheduler.unfit({"metadata": {"name": "p"}, "spec": pod}, where) == why


def test_two_clusters_never_share_an_address() -> None:
    with contextlib.closing(Slot()) as one, contextlib.closing(Slot()) as other:
        _share_nothing(one, other)


def _share_nothing(one: Slot, other: Slot) -> None:
    assert one.number != other.number
    assert {one.pod(n) for n in range(3)}.isdisjoint({other.pod(n) for n in range(3)})
    assert one.service(set()) != other.service(set())


def test_a_slot_that_somebody_listens_in_is_not_taken() -> None:
    with contextlib.closing(Slot()) as slot:
        address = slot.pod(0)
        with socket.create_server((address, 0)):
            slot.close()
            with contextlib.closing(Slot()) as other:
                assert other.number != slot.number


def test_an_address_that_was_given_back_is_given_out_last() -> None:
    with contextlib.closing(Slot()) as slot:
        first = slot.pod(0)
        slot.give_back(first)
        rest = [slot.pod(0) for _ in HOSTS]

        assert rest[-1] == first
        with pytest.raises(NoAddress):
            slot.pod(0)
