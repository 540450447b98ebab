"""A real control plane on loopback: etcd, kube-apiserver, controller-manager and scheduler, and nothing left of them.

Everything is in one folder and in the processes that this started; `stop` ends them in order. The ports are asked of
the system, so that several can run at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.kube import raw

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "kube"))
import build
import node

LOOP = "127.0.0.1"
AUTHORITY = "apiserver/apiserver.crt"
READY_S = 120.0  # a machine that others use, too
STOP_S = 15.0
CONTROLLERS = (
    "deployment",
    "replicaset",
    "statefulset",
    "daemonset",
    "endpointslice",
    "disruption",
    "garbage-collector",
    "namespace",
    "serviceaccount",
    "serviceaccount-token",
    "pod-garbage-collector",
    "node-lifecycle",
    "taint-eviction",
    "clusterrole-aggregation",
    "root-ca-certificate-publisher",
)
GROUPS = {"admin": "system:masters", "controllers": "system:masters"}


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now."""
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server((LOOP, 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in taken]


class Plane:
    """A running control plane."""

    def __init__(
        self, folder: Path, programs: Path, users: Sequence[str], *, host: str = LOOP, mortal: bool = False
    ) -> None:
        self.folder, self.programs, self.host, self.mortal = folder, programs, host, mortal
        self.tokens = {user: secrets.token_hex(16) for user in (*users, "controllers")}
        self.silence = "1h"  # how long a node may be silent: those without a kubelet always are
        self.etcd, self.peer, self.port = free_ports(3)
        self.url = f"https://{host}:{self.port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def ca(self) -> bytes:
        """What signed the server's certificate: the server made both, on its first start."""
        return (self.folder / AUTHORITY).read_bytes()

    def start(self, *, controllers: bool = True) -> None:
        """Starts everything, or only what keeps objects; returns once it takes requests."""
        self._write()
        self.start_etcd()
        self.start_api()
        raw.wait_until(lambda: _ready(self), READY_S, self.trouble)
        if controllers:
            self.start_controllers()

    def start_etcd(self) -> None:
        client, peer = f"http://{LOOP}:{self.etcd}", f"http://{LOOP}:{self.peer}"
        self._run(
            "etcd",
            f"--data-dir={self.folder}/etcd",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )

    def start_api(self, name: str = "kube-apiserver", port: int = 0, *more: str) -> None:
        """Starts an API server; another one can share the etcd of the first."""
        self._run(
            "kube-apiserver",
            f"--etcd-servers=http://{LOOP}:{self.etcd}",
            f"--bind-address={self.host}",
            f"--advertise-address={self.host}",
            f"--secure-port={port or self.port}",
            f"--cert-dir={self.folder}/apiserver",
            f"--token-auth-file={self.folder}/tokens.csv",
            "--authorization-mode=Node,RBAC",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=198.18.64.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder}/accounts.key",
            f"--service-account-signing-key-file={self.folder}/accounts.key",
            "--event-ttl=1h",
            *more,
            name=name,
        )

    def start_controllers(self) -> None:
        common = (
            f"--kubeconfig={self.folder}/controllers.conf",
            "--leader-elect=false",
            "--secure-port=0",
            "--authentication-skip-lookup=true",  # there is no authority of proxies, and they would ask for it for ever
        )
        self._run(
            "kube-controller-manager",
            *common,
            f"--controllers={','.join(f'{name}-controller' for name in CONTROLLERS)}",
            f"--service-account-private-key-file={self.folder}/accounts.key",
            f"--root-ca-file={self.folder}/{AUTHORITY}",
            "--kube-api-qps=1000",
            "--kube-api-burst=2000",
            f"--node-monitor-grace-period={self.silence}",
        )
        self._run("kube-scheduler", *common)

    def compact(self) -> None:
        """Makes etcd forget everything but the present."""
        etcd = f"http://{LOOP}:{self.etcd}"
        status = _posted(f"{etcd}/v3/maintenance/status", {})
        _posted(f"{etcd}/v3/kv/compaction", {"revision": status["header"]["revision"], "physical": True})

    def kubeconfig(self, user: str) -> Path:
        """A kubeconfig for this user."""
        path = self.folder / f"{user}.conf"
        path.touch(mode=0o600)
        path.write_text(
            f"clusters: [{{name: real, cluster: {{server: '{self.url}', certificate-authority: {AUTHORITY}}}}}]\n"
            f"users: [{{name: {user}, user: {{token: {self.tokens[user]}}}}}]\n"
            f"contexts: [{{name: real, context: {{cluster: real, user: {user}}}}}]\n"
            "current-context: real\nkind: Config\napiVersion: v1\n"
        )
        return path

    def trouble(self) -> str:
        """Why it does not start, from the logs."""
        dead = [name for name, process in self.processes.items() if process.poll() is not None]
        names = dead or list(self.processes)
        return "\n".join(f"{name}: {self.log(name)[-1500:]}" for name in names)

    def log(self, name: str) -> str:
        """What one of them said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        """Ends all processes, etcd last; returns once they are gone."""
        for name in reversed(list(self.processes)):
            self.end(name)

    def end(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)

    def _run(self, program: str, *arguments: str, name: str = "") -> None:
        name = name or program
        with (self.folder / f"{name}.log").open("ab") as log:
            argv = [*(node.MORTAL if self.mortal else ()), str(self.programs / program), *arguments]
            self.processes[name] = subprocess.Popen(
                argv,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=os.environ | {node.MARK: str(self.folder)},
                start_new_session=True,
            )

    def _write(self) -> None:
        rows = [f'{token},{user},{user},"{_group(user)}"' for user, token in self.tokens.items()]
        rows = [row.replace('"",', "") for row in rows]
        self._private("tokens.csv", "\n".join(rows) + "\n")
        key = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True, timeout=30).stdout.decode()
        self._private("accounts.key", key)
        self.kubeconfig("controllers")

    def _private(self, name: str, text: str) -> None:
        descriptor = os.open(self.folder / name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)


def _group(user: str) -> str:
    return "system:nodes" if user.startswith("system:node:") else GROUPS.get(user, "")


def _ready(plane: Plane) -> bool:
    return (plane.folder / AUTHORITY).exists() and raw.ask(plane, "GET", "/readyz").status == 200


def _posted(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@contextlib.contextmanager
def running(folder: Path, users: Sequence[str], host: str = LOOP) -> Iterator[Plane]:
    """A control plane for as long as the block runs, and at most as long as the thread that started it."""
    programs = build.built()
    assert programs is not None, "the programs are not built: make kube-build"
    plane = Plane(folder, programs, users, host=host, mortal=True)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()
