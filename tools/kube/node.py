"""A node of real containers: containerd and a kubelet in namespaces of their own, which end with its first process.

The node sees its own network, mounts and processes; of the machine it uses control groups and one end of a veth pair.
Killing its first process, or the one that started it, ends all its containers, mounts and interfaces at once; the
empty control groups are removed by `stop`, or by `cgroups.remove_left` when nobody came to that.
Needs root.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cgroups
import image

HERE = Path(__file__).resolve().parent
MARK = "CHAOS_RUNNER_KUBE"  # in the environment of all that belongs to a cluster: its folder
MORTAL = ("setpriv", "--pdeathsig", "KILL")
NUMBERS = range(60)  # as many clusters of nodes can be on one machine
BEGIN_S = 60.0
SOCKET = "/run/containerd/containerd.sock"
CONTAINERD = """\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{image}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "/run/containers/programs/runc"
SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/run/containers/usr/lib/cni"
conf_dir = "/var/node/cni"
"""


class Node:
    """One node; `begin` makes its namespaces, `start` its containerd, `join` its kubelet."""

    def __init__(self, folder: Path, place: int, programs: Path, containers: Path) -> None:
        self.name = f"node-{place}"
        self.own = folder / self.name
        self.place, self.programs, self.containers = place, programs, containers
        self.folder = folder
        self.number = -1
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def link(self) -> str:
        """The machine's end of the veth pair, and the name of the control group."""
        return f"{cgroups.PREFIX}{self.number}n{self.place}"

    @property
    def address(self) -> str:
        return f"198.19.{4 * self.number}.{10 + self.place}"

    def begin(self, mortal: bool) -> None:
        """Makes the namespaces; a mortal node ends with the thread that began it."""
        self.own.mkdir()
        for name in ("run", "var/lib", "var/log", "var/tmp", "var/node/cni"):
            (self.own / name).mkdir(parents=True)
        words = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")
        first = (sys.executable, HERE / "first.py", self.own, self.programs, self.containers)
        self._run("first", *(MORTAL if mortal else ()), *words, *first)
        _wait((self.own / "var/node/begun").exists, self.trouble)

    def connect(self, number: int) -> bool:
        """Makes the veth pair of this number, unless somebody has it."""
        self.number = number
        pair = ("type", "veth", "peer", "name", "eth0", "netns", str(self.processes["first"].pid))
        (self.own / "link").write_text(self.link)
        made = subprocess.run(["ip", "link", "add", self.link, *pair], capture_output=True, text=True, check=False)
        if made.returncode:
            assert "File exists" in made.stderr, f"there cannot be a veth pair: {made.stderr}"
            return False
        host = host_of(number)
        _ip("addr", "add", host, "peer", self.address, "dev", self.link)
        _ip("link", "set", self.link, "up")
        _ip("route", "add", self._pods(), "via", self.address, "src", host)
        inside = ("nsenter", *self._spaces("net"), "ip")
        for words in (
            ("link", "set", "lo", "up"),
            ("addr", "add", self.address, "peer", host, "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("route", "add", "default", "via", host),
        ):
            subprocess.run([*inside, *words], check=True, timeout=BEGIN_S)
        return True

    def start(self) -> None:
        """Starts containerd and gives it the image."""
        cgroups.remove(self.link)
        cgroups.make(self.link)
        node = self.own / "var/node"
        (node / "containerd.toml").write_text(CONTAINERD.format(image=image.NAME))
        ipam = {"type": "host-local", "ranges": [[{"subnet": self._pods()}]], "routes": [{"dst": "0.0.0.0/0"}]}
        plugins = [{"type": "ptp", "ipam": ipam}]
        network = {"cniVersion": "0.4.0", "name": "pods", "plugins": plugins}
        (node / "cni/10-pods.conflist").write_text(json.dumps(network))
        image.write(self.containers / "programs/busybox", node / "image.tar")
        self._inside("containerd", "/run/containers/programs/containerd", "--config", "/var/node/containerd.toml")
        _wait(self._has_image, self.trouble)

    def _has_image(self) -> bool:
        ctr = ("/run/containers/programs/ctr", "-a", SOCKET, "-n", "k8s.io", "images", "import")
        words = ("nsenter", *self._spaces("net", "mnt", "pid"), *ctr, "--snapshotter", "native", "/var/node/image.tar")
        return subprocess.run(words, capture_output=True, check=False, timeout=BEGIN_S).returncode == 0

    def join(self, url: str, ca: bytes, token: str) -> None:
        """Starts the kubelet, which registers the node."""
        node = self.own / "var/node"
        (node / "ca.crt").write_bytes(ca)
        config = {
            "clusters": [{"name": "real", "cluster": {"server": url, "certificate-authority": "/var/node/ca.crt"}}],
            "users": [{"name": "node", "user": {"token": token}}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": "node"}}],
            "current-context": "real",
        }
        (node / "kubeconfig").touch(mode=0o600)
        (node / "kubeconfig").write_text(json.dumps(config))
        (node / "kubelet.json").write_text(json.dumps(self._settings()))
        self._inside(
            "kubelet",
            "/run/kube/kubelet",
            "--config=/var/node/kubelet.json",
            "--kubeconfig=/var/node/kubeconfig",
            f"--hostname-override={self.name}",
            f"--node-ip={self.address}",
        )

    def _settings(self) -> dict[str, object]:
        full = ("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree")
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.link}",
            "containerRuntimeEndpoint": f"unix://{SOCKET}",
            "enforceNodeAllocatable": [],
            "evictionHard": dict.fromkeys(full, "0%"),
            "failSwapOn": False,
            "healthzPort": 0,
            "imageGCHighThresholdPercent": 100,
            "localStorageCapacityIsolation": False,
            "makeIPTablesUtilChains": False,
            "maxPods": 50,
            "nodeStatusUpdateFrequency": "2s",
            "oomScoreAdj": 0,
            "resolvConf": "",
        }

    def log(self, name: str) -> str:
        return (self.folder / f"{name}-{self.place}.log").read_text(errors="replace")

    def trouble(self) -> str:
        """Why it does not start, from the logs."""
        return "\n".join(f"{name} of {self.name}: {self.log(name)[-1500:]}" for name in self.processes)

    def leave(self) -> None:
        """Ends the kubelet; before the API server, which waits with its end for those that watch."""
        if "kubelet" in self.processes:
            self._end("kubelet")

    def stop(self) -> None:
        """Ends the first process, and with it all that is inside; returns once nothing is left. Safe to repeat.

        After the API server: its address goes with the interface, and it also talks to itself.
        """
        if "first" in self.processes:
            self._end("first")
        for process in self.processes.values():
            process.wait(BEGIN_S)
        self.processes.clear()
        if self.number >= 0:
            _wait(lambda: not Path("/sys/class/net", self.link).exists(), self.trouble)
            cgroups.remove(self.link)
            self.number = -1
        shutil.rmtree(self.own, ignore_errors=True)

    def _end(self, name: str) -> None:
        """Ends a process inside, and waits for its parent out here: the first one's goes when everybody is reaped."""
        process = self.processes.pop(name)
        for child in _children(process.pid):
            os.kill(child, signal.SIGKILL)
        process.wait(BEGIN_S)

    def _pods(self) -> str:
        return f"198.19.{4 * self.number + self.place}.0/24"

    def _spaces(self, *kinds: str) -> Iterator[str]:
        at = f"/proc/{self.processes['first'].pid}/ns"
        for kind in kinds:
            yield {"net": f"--net={at}/net", "mnt": f"--mount={at}/mnt", "pid": f"--pid={at}/pid_for_children"}[kind]

    def _inside(self, name: str, *words: str) -> None:
        self._run(name, "nsenter", *self._spaces("net", "mnt", "pid"), *words)

    def _run(self, name: str, *words: str | Path) -> None:
        environ = os.environ | {MARK: str(self.folder), "PATH": f"/run/containers/programs:{os.environ['PATH']}"}
        with (self.folder / f"{name}-{self.place}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [str(word) for word in words],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=environ,
                start_new_session=True,
            )


def host_of(number: int) -> str:
    """The machine's own address towards the nodes of this number; the API server listens there."""
    return f"198.19.{4 * number}.1"


def begun(folder: Path, count: int, programs: Path, containers: Path, mortal: bool = True) -> list[Node]:
    """So many nodes with a network between them and the machine; at most three."""
    nodes: list[Node] = []
    try:
        for place in range(1, count + 1):
            nodes.append(Node(folder, place, programs, containers))
            nodes[-1].begin(mortal)
        number = next(number for number in NUMBERS if nodes[0].connect(number))
        for node in nodes[1:]:  # the interface of one that was killed just now may go later than that of its first
            _wait(functools.partial(node.connect, number), node.trouble)
    except BaseException:
        stop(nodes)
        raise
    return nodes


def stop(nodes: Sequence[Node]) -> None:
    for node in reversed(nodes):
        node.stop()


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:  # it ended by itself, and its children with it
        return []


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=BEGIN_S)


def _wait(holds: Callable[[], bool], trouble: Callable[[], str]) -> None:
    ends = time.monotonic() + BEGIN_S
    while not holds():
        assert time.monotonic() < ends, f"not within {BEGIN_S:g} s: {trouble()}"
        time.sleep(0.05)
