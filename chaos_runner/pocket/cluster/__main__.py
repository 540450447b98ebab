"""`python -m chaos_runner.pocket.cluster`: a control plane that ends, with everything it started, when it is asked to.

It prints one JSON line when all nodes are Ready. Nothing outlives it, not even when it is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
from pathlib import Path

import msgspec

from chaos_runner.pocket import lifeline, processes
from chaos_runner.pocket.cluster import kubeconfig, plane
from chaos_runner.pocket.cluster.api.access import User
from chaos_runner.pocket.cluster.info import VERSION, ClusterInfo
from chaos_runner.pocket.cluster.machine import addresses, crowd, heartbeats
from chaos_runner.pocket.cluster.objects import Obj
from chaos_runner.pocket.cluster.refusal import Refusal


async def serve(setup: plane.Setup, tokens: dict[str, str], *, until_eof: bool) -> None:
    """Runs a cluster, says where it is, and takes it down when asked to end."""
    asked = await lifeline.end_asked(until_eof=until_eof)
    cluster = plane.Plane(setup)
    try:
        await cluster.start()
        _announce(_info(cluster, tokens))
        ending = asyncio.create_task(asked.wait())
        failing = asyncio.create_task(cluster.failed())
        await asyncio.wait([ending, failing], return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if failing.done():
            failing.result()
        failing.cancel()
    finally:
        await cluster.stop()


def main(argv: list[str] | None = None) -> int:
    """Runs a cluster in the foreground."""
    given = _parser().parse_args(argv)
    if sys.platform != "linux":
        sys.stderr.write("not started: the pocket cluster needs Linux (or WSL): it uses all of 127.0.0.0/8\n")
        return 2
    tokens = {name: secrets.token_urlsafe(24) for name in ("pocket-admin", *given.user)}
    users = plane.admin(tokens["pocket-admin"]) | {tokens[name]: User(name) for name in given.user}
    try:
        begins_with = _objects(given.objects)
    except (OSError, msgspec.DecodeError) as why:
        sys.stderr.write(f"not started: {given.objects} is no list of objects: {why}\n")
        return 2
    setup = plane.Setup(given.home, users, given.port, given.nodes, given.pods, given.silent_after, begins_with)
    try:
        asyncio.run(serve(setup, tokens, until_eof=not given.detached))
    except (OSError, addresses.NoAddress, Refusal) as refusal:
        sys.stderr.write(f"not started: {refusal or 'a node or a pod was not Ready in time'}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos_runner.pocket.cluster", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="an existing folder for the kubeconfig and pods' logs")
    parser.add_argument("--port", type=int, default=0, help="of the API server (default: the system chooses)")
    parser.add_argument("--nodes", type=_between(1, addresses.NODES_MAX), default=3)
    parser.add_argument("--pods", type=_between(0, crowd.CROWD_MAX), default=0, help="so many synthetic pods")
    parser.add_argument("--user", action="append", default=[], help="another user with a token and no rights")
    parser.add_argument("--silent-after", type=float, default=heartbeats.SILENT_AFTER_S, help="when a node is Unknown")
    parser.add_argument("--objects", type=Path, metavar="FILE", help="a JSON list of objects that it begins with")
    parser.add_argument("--detached", action="store_true", help="do not end with stdin")
    return parser


def _objects(file: Path | None) -> tuple[Obj, ...]:
    return () if file is None else msgspec.json.decode(file.read_bytes(), type=tuple[Obj, ...])


class _between:  # noqa: N801 - reads as a function where it is used
    """A whole number within limits."""

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = least, most

    def __call__(self, text: str) -> int:
        if not text.isdecimal() or not self._least <= int(text) <= self._most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {self._least} to {self._most}")
        return int(text)


def _info(cluster: plane.Plane, tokens: dict[str, str]) -> ClusterInfo:
    me = processes.identify(os.getpid())
    url = f"https://{plane.HOST}:{cluster.port}"
    path = cluster.setup.home / "kubeconfig"
    kubeconfig.write(path, url, cluster.ca, tokens["pocket-admin"])
    machines = {name: machine.id for name, machine in cluster.nodes.items()}
    if cluster.network is not None:
        machines["network"] = cluster.network.id
    return ClusterInfo(
        version=VERSION,
        pid=me.pid,
        start_time=me.start_time,
        url=url,
        ca=cluster.ca,
        kubeconfig=str(path.resolve()),
        context=kubeconfig.CONTEXT,
        tokens=tokens,
        uid=cluster.uid(),
        processes=machines,
        services=cluster.services(),
    )


def _announce(info: ClusterInfo) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(info) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
