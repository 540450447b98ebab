"""Measures `chaos-runner plan` of one pod in a hundred on large clusters, beside chaosk8s on the same server process.

1. 50 000 pods in the pocket cluster, 2. 5 000 on a real kube-apiserver (`make kube-build`), without nodes. Whole
processes: seconds, CPU of their own, peak memory. Of chaosk8s its own `terminate_pods` runs, on `_select_pods` and the
stock client; only the call that would delete is replaced. Both pick the same number, and nothing is harmed.

The pages are made anew for each list: a pod is changed before each, and the pocket cluster's log of requests has to
show pages of one version that has that change. Exit 1 where a limit is missed, or something was not measured.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import math
import os
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "tools/kube")]

from bench_load import Table  # noqa: E402

OURS = Path(sys.executable).with_name("chaos-runner")
RIVAL = ROOT / ".venv-rival/bin/python"
PLAN_S, PLAN_MB = 3.0, 250.0
PAGE = 500
NAMESPACE, SELECTOR = "synthetic", "app=crowd"
REQUESTS = "/chaos-runner/v1/pocket/requests"
WITHIN_S = 900.0
WRITERS = 8
EXPERIMENT = """\
kind: experiment/v1
name: one-percent
hypothesis: one pod of a hundred is not missed
steady_state:
  server: {{probe: tcp, with: {{address: "{address}"}}, expect: [latency <= 2s]}}
blast_radius: {{at_once: {most}, in_total: {most}, percent_of_selector: 1, max_duration: 60s}}
method:
  - fault: pod_kill
    target: {{pods: synthetic, selector: app=crowd, pick: 1%}}
"""
SETTINGS = """\
kind: config/v1
environments:
  crowd: {{cluster: {cluster}, ceilings: {{at_once: {most}, in_total: {most}, percent_of_selector: 1}}}}
"""
THEIRS = """\
import sys
from chaosk8s.pod.actions import terminate_pods
from kubernetes import client
client.CoreV1Api.delete_namespaced_pod = lambda *_, **__: None
print(len(terminate_pods("app=crowd", ns="synthetic", mode="percentage", qty=1, rand=True)))
"""


class Spent(NamedTuple):
    """One whole process, and what it said."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    out: bytes


class Server:
    """An API server, asked without our client."""

    def __init__(self, url: str, token: str, ca: str) -> None:
        self.address = urlsplit(url).netloc
        self._headers = {"Authorization": f"Bearer {token}"}
        self._trust = ssl.create_default_context(cadata=ca)

    def line(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.address, timeout=30, context=self._trust)

    def ask(self, method: str, path: str, body: Any = None, line: http.client.HTTPSConnection | None = None) -> Any:
        """The answer, where it is a yes."""
        merge = "application/merge-patch+json" if method == "PATCH" else "application/json"
        on = line or self.line()
        on.request(method, path, None if body is None else json.dumps(body), self._headers | {"Content-Type": merge})
        answer = on.getresponse()
        text = answer.read()
        if line is None:
            on.close()
        if answer.status not in (200, 201):
            raise SystemExit(f"{method} {path}: {answer.status} {text.decode()[:300]}")
        return json.loads(text)

    def touch(self, pod: str, count: int) -> str:
        """Changes a pod, so that what was listed before is no longer true; the new version."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}"
        body = {"metadata": {"annotations": {"bench": str(count)}}}
        return str(self.ask("PATCH", path, body)["metadata"]["resourceVersion"])

    def some_pod(self) -> str:
        found = self.ask("GET", f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app%3Dcrowd&limit=1")
        return str(found["items"][0]["metadata"]["name"])


def spent(argv: list[str], folder: Path, **env: str) -> Spent:
    """Runs a command to its end. Raises SystemExit where it fails."""
    words = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with (folder / "out").open("w+b") as out, (folder / "err").open("w+b") as err:
        began = time.perf_counter()
        process = subprocess.Popen(argv, cwd=folder, stdout=out, stderr=err, env=words | env)
        late = threading.Timer(WITHIN_S, process.kill)
        late.start()
        _, status, used = os.wait4(process.pid, 0)
        late.cancel()
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        if process.returncode:
            raise SystemExit(f"{argv[0]}: exit {process.returncode}: {err.read()[-800:].decode()}")
        return Spent(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, out.read())


# --- the two -----------------------------------------------------------------------------------------------------


class Crowd:
    """A cluster with so many pods, and who is asked to pick from it."""

    def __init__(self, table: Table, folder: Path, server: Server, pods: int, kubeconfig: Path, cluster: str) -> None:
        self.table, self.folder, self.server, self.pods = table, folder, server, pods
        most = pods // 100
        self.picked, self.kubeconfig, self.pod = most, kubeconfig, server.some_pod()
        self.touched = 0
        (folder / "crowd.yaml").write_text(EXPERIMENT.format(address=server.address, most=most))
        (folder / "chaos-runner.yaml").write_text(SETTINGS.format(cluster=cluster, most=most))

    def changed(self) -> str:
        self.touched += 1
        return self.server.touch(self.pod, self.touched)

    def ours(self) -> Spent:
        ran = spent([str(OURS), "plan", "crowd.yaml", "--seed", str(self.touched), "-o", "json"], self.folder)
        plan = json.loads(ran.out)
        self._same("ours", len(plan["faults"]))
        return ran

    def theirs(self) -> Spent:
        ran = spent([str(RIVAL), "-c", THEIRS], self.folder, KUBECONFIG=str(self.kubeconfig))
        self._same("chaosk8s", int(ran.out))
        return ran

    def _same(self, who: str, picked: int) -> None:
        if picked != self.picked:
            raise SystemExit(f"{who} picked {picked} of {self.pods} pods instead of {self.picked}")

    def compare(self, times: int, where: str) -> None:
        """Medians of ours, and theirs once: it takes long."""
        rows = []
        for number in range(times + 1):
            version = self.changed()
            rows.append(self.ours())
            if number:
                self.made_anew(version)
        wall, cpu, peak = (statistics.median(column) for column in list(zip(*rows[1:], strict=True))[:3])
        row, what = self.table.row, f"{self.pods:,} pods, {where}"
        row(f"{what}: plan of 1 %, median of {times}", f"{wall:.2f} s", f"< {PLAN_S:g} s", wall < PLAN_S)
        row("  of which this process used the CPU", f"{cpu:.2f} s")
        row("  peak memory", f"{peak:.0f} MB", f"< {PLAN_MB:g} MB", peak < PLAN_MB)
        if not RIVAL.exists():
            row("  chaosk8s beside it", "not compared", "make bench-pods", False)
            return
        self.changed()
        rival = self.theirs()
        row("  chaosk8s picks the same number", f"{rival.wall_s:.1f} s", f"> {wall:.2f} s", rival.wall_s > wall)
        row("    of which its process used the CPU", f"{rival.cpu_s:.1f} s, {rival.cpu_s / cpu:.0f}x ours")
        row("    its peak memory", f"{rival.peak_mb:.0f} MB, {rival.peak_mb / peak:.1f}x ours")

    def made_anew(self, version: str) -> None:
        """Whether the newest pages are of this version; the log of a real server is not at hand."""


class PocketCrowd(Crowd):
    def made_anew(self, version: str) -> None:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods?"
        asked = [one for one in self.server.ask("GET", REQUESTS) if one["path"].startswith(path)]
        pages = asked[-math.ceil(self.pods / PAGE) :]
        versions = {token_version(one["path"]) for one in pages} - {""}
        size = sum(one["bytes"] for one in pages)
        # Heartbeats of nodes count versions, too: the list may be a little newer than the change, never older.
        newer = len(versions) == 1 and int(min(versions)) >= int(version)
        if not newer or any(f"limit={PAGE}" not in one["path"] for one in pages) or size < self.pods * 1000:
            raise SystemExit(f"the log has pages of the versions {versions}, not one from {version} on, {size} bytes")
        if self.touched == 2:
            self.table.row(f"{len(pages)} pages of {PAGE}, made for one list of one version", f"{size / 1e6:.0f} MB")
            self.table.row("  which took the server", f"{sum(one['ms'] for one in pages):.0f} ms")


def token_version(path: str) -> str:
    """Of which version the page is that this request goes on with; empty for the first."""
    token = parse_qs(path.partition("?")[2]).get("continue", [""])[0]
    if not token:
        return ""
    return str(json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))["rv"])


# --- 1. the pocket cluster -----------------------------------------------------------------------------------------


def pocket(table: Table, folder: Path, pods: int, times: int) -> None:
    began = time.perf_counter()
    up = spent([str(OURS), "pocket", "up", "--pods", str(pods), "--state", "state", "-o", "json"], folder)
    try:
        table.row(f"pocket cluster with {pods:,} pods, up after", f"{time.perf_counter() - began:.0f} s")
        info = json.loads(up.out)
        kubeconfig = Path(info["kubeconfig"])
        told = json.loads(kubeconfig.read_text())
        ca = base64.b64decode(told["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        server = Server(info["url"], told["users"][0]["user"]["token"], ca)
        cluster = f'{{kubeconfig: "file:{kubeconfig}", context: {info["context"]}, uid: {info["uid"]}}}'
        PocketCrowd(table, folder, server, pods, kubeconfig, cluster).compare(times, "pocket cluster")
    finally:
        spent([str(OURS), "pocket", "down", "--state", "state"], folder)


# --- 2. a real API server ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def real_plane(folder: Path) -> Iterator[Any]:
    """etcd and kube-apiserver and nothing else: no controller looks after pods that have no node."""
    import build

    from tests.kube import plane

    programs = build.built()
    if programs is None:
        raise SystemExit("the real control plane is not built: make kube-build")
    running = plane.Plane(folder, programs, ["admin"])
    try:
        running.start(controllers=False)
        yield running
    finally:
        running.stop()


def real(table: Table, folder: Path, pods: int, times: int) -> None:
    home = folder / "kube"
    home.mkdir(mode=0o700)
    with real_plane(home) as running:
        server = Server(running.url, running.tokens["admin"], running.ca.decode())
        began = time.perf_counter()
        fill(server, pods)
        table.row(f"real kube-apiserver with {pods:,} pods, filled in", f"{time.perf_counter() - began:.0f} s")
        uid = server.ask("GET", "/api/v1/namespaces/kube-system")["metadata"]["uid"]
        kubeconfig = running.kubeconfig("admin")
        cluster = f'{{kubeconfig: "file:{kubeconfig}", uid: {uid}}}'
        Crowd(table, folder, server, pods, kubeconfig, cluster).compare(times, "real kube-apiserver")


def fill(server: Server, pods: int) -> None:
    """Pods that are Running and Ready, as a kubelet and a controller would have made them."""
    server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    server.ask("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda n: _share(server, range(n, pods, WRITERS)), range(WRITERS)))


def _share(server: Server, numbers: range) -> None:
    path, line = f"/api/v1/namespaces/{NAMESPACE}/pods", server.line()
    with contextlib.closing(line):
        for number in numbers:
            pod = _pod(number)
            server.ask("POST", path, pod, line)
            server.ask("PATCH", f"{path}/{pod['metadata']['name']}/status", STATUS, line)


STATUS = {
    "status": {
        "phase": "Running",
        "conditions": [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Initialized", "Ready")],
        "containerStatuses": [
            {"name": "main", "ready": True, "restartCount": 0, "image": "i", "imageID": "", "state": {"running": {}}}
        ],
    }
}


def _pod(number: int) -> dict[str, Any]:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "crowd", "uid": "crowd", "controller": True}
    return {
        "metadata": {"name": f"crowd-{number:06d}", "labels": {"app": "crowd"}, "ownerReferences": [owner]},
        "spec": {"nodeName": f"node-{number % 100}", "containers": [{"name": "main", "image": "registry.invalid/i:1"}]},
    }


def main() -> int:
    """1 where a figure is missed."""
    asking = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asking.add_argument("--pods", type=int, default=50_000, help="in the pocket cluster")
    asking.add_argument("--real-pods", type=int, default=5_000, help="on the real API server")
    asking.add_argument("--times", type=int, default=3)
    parts: dict[str, Callable[[Table, Path, argparse.Namespace], None]] = {
        "pocket": lambda table, folder, given: pocket(table, folder, given.pods, given.times),
        "real": lambda table, folder, given: real(table, folder, given.real_pods, given.times),
    }
    asking.add_argument("--only", choices=parts)
    options = asking.parse_args()
    table = Table()
    for name, part in parts.items():
        if options.only in {None, name}:
            folder = Path(tempfile.mkdtemp(prefix="chaos-runner-pods-"))
            try:
                part(table, folder, options)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
