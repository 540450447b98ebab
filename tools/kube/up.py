"""Starts the real cluster for people, or stops it: python tools/kube/up.py up|down. Leaves nothing behind.

For root the control plane comes with two nodes of real containers (KUBE_NODES=0: without); for others it is alone, and
takes pods that nobody runs. Its folder holds a kubeconfig for each user. It runs until `down`, or until the machine
ends; `down` also ends what an `up` left that was killed, and removes the control groups of any cluster that is gone.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import build  # noqa: E402 - the path above is how it is found
import cgroups  # noqa: E402
import node  # noqa: E402
import parts  # noqa: E402

from tests.kube import plane, real_nodes  # noqa: E402
from tests.kube.ground import USERS  # noqa: E402
from tests.kube.real_ground import RealGround  # noqa: E402

FOLDER = build.cache() / "kube-running"
STOP_S = 20.0


def up() -> None:
    programs = build.build()
    count = int(os.environ.get("KUBE_NODES", real_nodes.COUNT if os.geteuid() == 0 else 0))
    containers = parts.fetch() if count else None
    try:
        FOLDER.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        sys.exit(f"it runs already, or was not stopped: make kube-down ({FOLDER})")
    began = time.monotonic()
    try:
        nodes = node.begun(FOLDER, count, programs, containers, mortal=False) if containers else []
        host = node.host_of(nodes[0].number) if nodes else plane.LOOP
        running = plane.Plane(FOLDER, programs, real_nodes.users(nodes), host=host)
        running.start()
        ground = RealGround(running)
        real_nodes.join(ground, nodes)
    except BaseException:
        down()
        raise
    _say(running, ground, nodes, time.monotonic() - began)


def _say(running: plane.Plane, ground: RealGround, nodes: list[node.Node], took_s: float) -> None:
    files = {user: str(running.kubeconfig(user)) for user in USERS}
    print(f"Kubernetes {build.version()} is ready after {took_s:.1f} s at {running.url}")
    for one in nodes:
        print(f"{one.name} at {one.address} runs the image {node.image.NAME} (imagePullPolicy: Never)")
    print(f"cluster: {{kubeconfig: 'file:{files['plain']}', uid: {ground.uid}}}")
    print(f"kubectl --kubeconfig {files['admin']} get nodes")


def down() -> None:
    """Ends all that is of the folder, however it was left, and removes what they had."""
    was = FOLDER.exists()
    links = [Path("/sys/class/net", file.read_text()) for file in FOLDER.glob("node-*/link")]
    # A server waits for those that watch, and its address goes with a node's first process; the rest has no order.
    for name in ("kubelet", "kube-controller-manager", "kube-scheduler", "kube-apiserver", "etcd", ""):
        _end(name)
    _until(lambda: not any(link.exists() for link in links), "the interfaces of its nodes do not go")
    left = cgroups.remove_left()
    shutil.rmtree(FOLDER, ignore_errors=True)
    print("stopped" if was else f"it does not run{', but had left groups' if left else ''}")


def _end(name: str) -> None:
    """Ends those of this name, or all; by force, where they do not go."""
    for number in (signal.SIGTERM if name else signal.SIGKILL, signal.SIGKILL):
        found = [*_ours(name)]
        for handle in found:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
        ends = time.monotonic() + STOP_S
        for handle in found:
            select.select([handle], [], [], max(0.0, ends - time.monotonic()))
            os.close(handle)
    if any(True for _ in _ours(name)):
        sys.exit(f"{name or 'something of it'} does not end")


def _ours(name: str) -> Iterator[int]:
    """A handle on each process that says that it is of this folder: no number, which others could have by then."""
    mark = f"{node.MARK}={FOLDER}".encode()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            handle = os.pidfd_open(int(path.name))
            if _is(path, mark, name):
                yield handle
            else:
                os.close(handle)


def _is(path: Path, mark: bytes, name: str) -> bool:
    try:
        return mark in (path / "environ").read_bytes().split(b"\0") and name in {"", (path / "exe").readlink().name}
    except OSError:  # somebody else's, a thread of the system's, or it has ended
        return False


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    ends = time.monotonic() + STOP_S
    while not holds():
        if time.monotonic() > ends:
            sys.exit(otherwise)
        time.sleep(0.05)


if __name__ == "__main__":
    {"up": up, "down": down}[sys.argv[1]]()
