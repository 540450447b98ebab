"""A small cluster on this machine: enough of the Kubernetes API for experiments and for kubectl. Linux (or WSL) only.

chaos-runner pocket up          starts it and leaves it; three nodes, pods are processes of this machine
chaos-runner pocket status      where it is, and what runs in it
chaos-runner pocket kubeconfig  the path of its kubeconfig, for: export KUBECONFIG=$(chaos-runner pocket kubeconfig)
chaos-runner pocket down        ends it with everything in it
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from chaos_runner.cli import common
from chaos_runner.cli.main import NOTHING_LEARNED, USAGE

if TYPE_CHECKING:
    from chaos_runner.pocket.cluster.info import ClusterInfo

PODS_MAX = 100_000
NONE = "no pocket cluster is running here; start it with: chaos-runner pocket up"


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `pocket`."""
    parser.add_argument("verb", nargs="?", choices=["up", "down", "status", "kubeconfig"], default="status")
    parser.add_argument("--pods", type=int, default=0, metavar="N", help="up: with so many synthetic pods besides")
    parser.add_argument("--port", type=int, default=0, help="up: of the API server (default: the system chooses)")
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """0 when it did what it says."""
    from chaos_runner.pocket.cluster import handle

    state = common.state_dir(args)
    if args.verb == "down":
        print("the pocket cluster is stopped" if handle.down(state) else "no pocket cluster was running here")
        return 0
    if args.verb == "up":
        return _up(args)
    found = handle.read(state)
    if found is None:
        print(NONE, file=sys.stderr if args.verb == "kubeconfig" else sys.stdout)
        return NOTHING_LEARNED
    if args.verb == "kubeconfig":
        print(found.kubeconfig)
        return 0
    return _show(found, args)


def _up(args: argparse.Namespace) -> int:
    from chaos_runner.pocket.cluster import handle

    if sys.platform != "linux":
        print("not started: the pocket cluster needs Linux (or WSL): it uses all of 127.0.0.0/8", file=sys.stderr)
        return USAGE
    if not 0 <= args.pods <= PODS_MAX:
        print(f"not started: --pods is a number from 0 to {PODS_MAX}", file=sys.stderr)
        return USAGE
    state = common.state_dir(args)
    return _show(handle.up(state, ("--pods", str(args.pods), "--port", str(args.port))), args)


def _show(found: ClusterInfo, args: argparse.Namespace) -> int:
    if args.output == "json":
        nodes = [name for name in found.processes if name != "network"]
        public = {"url": found.url, "kubeconfig": found.kubeconfig, "context": found.context, "uid": found.uid}
        common.write_json({**public, "pid": found.pid, "nodes": nodes})
        return 0
    dead = [name for name, process in found.processes.items() if not process.lives()]
    print(f"pocket cluster {found.url}")
    print(f"nodes          {', '.join(name for name in found.processes if name not in (*dead, 'network'))}")
    if dead:
        print(f"dead           {', '.join(dead)}")
    print(f"\nnext: export KUBECONFIG={found.kubeconfig}\n      kubectl get nodes")
    return 0
