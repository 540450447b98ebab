"""Thousands of pods: looked through in pages, in little memory. The client runs alone in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests import slices
from tests.clients.kubernetes.server import Asked, Said, pod, serving

SIZE = 500
FEW_MIB, ALL_MIB = {20: 10, 100: 30}, {20: 40, 100: 150}
PROGRAM = """
import sys, json, anyio
from pathlib import Path
from chaos_runner.clients.kubernetes import connection, lists
from chaos_runner.clients.kubernetes.kubeconfig import Chosen, ServerEntry
from chaos_runner.clients.kubernetes.objects import Pod

def highest():  # of this program alone: ru_maxrss begins with what its parent had
    told = Path("/proc/self/status").read_text()
    return int(told.split("VmHWM:")[1].split()[0])

async def main(url):
    async with connection.connect(Chosen("c", ServerEntry(server=url))) as cluster:
        await lists.every(cluster, Pod, "one")
        before = highest()
        few = lambda one: one.metadata.name.endswith("7")
        some = await lists.every(cluster, Pod, "shop", labels="app=web", keep=few)
        between = highest()
        every = await lists.every(cluster, Pod, "shop")
        after = highest()
    print(json.dumps([some.seen, len(some.items), every.seen, (between - before) / 1024, (after - before) / 1024]))

anyio.run(main, sys.argv[1])
"""


def _body(number: int, more: str) -> bytes:
    meta = {"resourceVersion": "5", **({"continue": more} if more else {})}
    return json.dumps({"metadata": meta, "items": [_pod(number * SIZE + n) for n in range(SIZE)]}).encode()


def _pod(n: int) -> dict[str, Any]:
    """About as large as a real one; most of it is nothing we look at."""
    managed = [{"manager": "kubelet", "fieldsV1": {f"f:field-{i}": {} for i in range(40)}}]
    owner = [{"kind": "ReplicaSet", "name": "web-7d9", "uid": "u-web", "apiVersion": "apps/v1", "controller": True}]
    made = pod(f"web-7d9-{n:05}", labels={"app": "web"}, ownerReferences=owner, managedFields=managed)
    made["status"]["conditions"] = [{"type": kind, "status": "True"} for kind in ("Ready", "PodScheduled")]
    return made


@pytest.mark.parametrize("pages", slices.thin(sorted(FEW_MIB), lambda pages: pages == 20))
def test_any_number_of_pods_is_looked_through_in_little_memory(pages: int) -> None:
    bodies = [_body(number, str(number + 1) if number + 1 < pages else "") for number in range(pages)]

    def act(asked: Asked) -> Said:
        if asked.path.endswith("/one/pods"):
            return Said(200, _ONE)
        return Said(200, bodies[int(asked.query.get("continue", "0"))])

    with serving(act) as api:
        argv = [sys.executable, "-c", PROGRAM, api.url]
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    seen, kept, everything, few_mib, all_mib = json.loads(ran.stdout)
    assert (seen, kept, everything) == (pages * SIZE, pages * SIZE // 10, pages * SIZE)
    assert few_mib < FEW_MIB[pages]
    assert all_mib < ALL_MIB[pages]


_ONE = _body(0, "")
