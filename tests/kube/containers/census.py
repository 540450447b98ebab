"""What a cluster has on the machine: mounts, interfaces, control groups, namespaces and processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.kube.plane import node

KINDS = ("net", "mnt", "pid")


def mounts() -> list[str]:
    """The machine's mount table."""
    return Path("/proc/self/mountinfo").read_text().splitlines()


def names(folder: Path) -> list[str]:
    """What the nodes of the cluster in this folder call their interface, and their control groups."""
    return [file.read_text() for file in folder.glob("node-*/link")]


def traces(some: list[str]) -> list[Path]:
    """What there is of these names."""
    places = (Path("/sys/class/net"), *node.cgroups.hierarchies())
    return [top / name for top in places for name in some if (top / name).exists()]


def pids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def spaces(pid: int) -> frozenset[str]:
    """The namespaces it is in, by their numbers."""
    return frozenset(_link(Path(f"/proc/{pid}/ns/{kind}")) for kind in KINDS) - {""}


def members(folder: Path) -> frozenset[int]:
    """The processes of the cluster in this folder: those that it marked, and all that came of them."""
    found = {pid for pid in pids() if f"{node.MARK}={folder}".encode() in _read(pid, "environ").split(b"\0")}
    parents = {pid: _parent(pid) for pid in pids()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return frozenset(found)


def spaces_of(some: frozenset[int]) -> frozenset[str]:
    """The namespaces that only these are in."""
    return frozenset().union(*map(spaces, some)) - frozenset(_link(Path(f"/proc/self/ns/{kind}")) for kind in KINDS)


def inhabitants(own: frozenset[str]) -> frozenset[int]:
    """Who is in one of these namespaces."""
    return frozenset(pid for pid in pids() if own & spaces(pid))


def of_pod(uid: str) -> frozenset[int]:
    """The processes of a pod, by the control group that the kubelet made for it."""
    return frozenset(pid for pid in pids() if f"pod{uid}".encode() in _read(pid, "cgroup"))


def command(pid: int) -> str:
    return _read(pid, "cmdline").replace(b"\0", b" ").decode().strip()


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
