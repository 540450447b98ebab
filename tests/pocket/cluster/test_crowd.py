"""Fifty thousand pods are listed in pages, each encoded when it is asked for, in little time and memory."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from chaos_runner.pocket.cluster import handle
from tests.pocket.cluster.kit import Client, until

pytestmark = pytest.mark.world

CROWD = 50_000
PAGE = 500
CPU_MAX_S = 6.0  # of the control plane, for all pages; a fifth of it where the machine is free
MEMORY_MAX_MIB = 400


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


def pages(cluster: Client, query: str = "") -> list[list[Any]]:
    found: list[list[Any]] = []
    headers = {"Authorization": f"Bearer {cluster.info.tokens['pocket-admin']}"}
    token = ""
    with cluster.connection(60) as connection:
        while True:
            connection.request("GET", f"/api/v1/pods?limit={PAGE}&continue={token}{query}", headers=headers)
            value = json.loads(connection.getresponse().read())
            found.append(value["items"])
            token = value["metadata"].get("continue", "")
            if not token:
                return found


def test_a_crowd_is_listed_in_pages_quickly_and_lives_on(tmp_path: Path) -> None:
    with handle.running(tmp_path, "--pods", str(CROWD)) as info:
        cluster = Client(info)
        before = cpu_s(info.pid)
        found = pages(cluster)
        spent = cpu_s(info.pid) - before

        assert [len(page) for page in found] == [PAGE] * (CROWD // PAGE)
        assert len({pod["metadata"]["uid"] for page in found for pod in page}) == CROWD
        assert spent < CPU_MAX_S, f"{spent:.1f} s"
        assert memory_mib(info.pid) < MEMORY_MAX_MIB
        _one_is_replaced(cluster, found[0][0])
        asked = [
            one for one in cluster.get("/chaos-runner/v1/pocket/requests") if one["path"].startswith("/api/v1/pods?")
        ]
        assert len({one["path"] for one in asked if one["bytes"] > 100_000}) == CROWD // PAGE


def _one_is_replaced(cluster: Client, victim: Any) -> None:
    about = victim["metadata"]
    path = f"/api/v1/namespaces/{about['namespace']}/pods"
    cluster.ask("DELETE", f"{path}/{about['name']}", {"preconditions": {"uid": about["uid"]}})
    selector = f"?labelSelector=part%3D{about['labels']['part']}"

    def whole() -> bool:
        pods = cluster.items(path + selector)
        up = [pod for pod in pods if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]]
        return len(up) == PAGE and about["uid"] not in {pod["metadata"]["uid"] for pod in pods}

    until(whole)
