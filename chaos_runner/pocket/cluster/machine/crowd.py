"""Many synthetic pods at once, made as if they had run for long: for the size of a cluster, not for its life.

They share what is the same in all of them, so that fifty thousand take the memory of their differences.
"""

from __future__ import annotations

from chaos_runner.pocket.cluster import kinds, objects
from chaos_runner.pocket.cluster.api import defaults
from chaos_runner.pocket.cluster.api.routes import Place
from chaos_runner.pocket.cluster.api.writes import Writes
from chaos_runner.pocket.cluster.machine import lives
from chaos_runner.pocket.cluster.machine.addresses import Slot
from chaos_runner.pocket.cluster.machine.lives import Life
from chaos_runner.pocket.cluster.objects import Obj
from chaos_runner.pocket.cluster.store import Store

NAMESPACE = "synthetic"
PER_DEPLOYMENT = 500
IMAGE = "registry.invalid/synthetic:1"
CROWD_MAX = 100_000


def made(store: Store, writes: Writes, slot: Slot, nodes: list[str], count: int) -> None:
    """So many pods under Deployments of 500, in a namespace of their own; labels `app=crowd` and `part=...`."""
    writes.create(Place(kinds.NAMESPACES), {"metadata": {"name": NAMESPACE}})
    for n, first in enumerate(range(0, count, PER_DEPLOYMENT)):
        size = min(PER_DEPLOYMENT, count - first)
        replicaset = _workload(store, writes, f"crowd-{n:03d}", size)
        _pods(store, slot, nodes, replicaset, size)
    store.compact()


def _workload(store: Store, writes: Writes, name: str, size: int) -> Obj:
    labels = {"app": "crowd", "part": name}
    template: Obj = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": IMAGE}]}}
    spec = {"replicas": size, "selector": {"matchLabels": labels}, "template": template}
    given: Obj = {"metadata": {"name": name, "labels": labels}, "spec": spec}
    deployment = writes.create(Place(kinds.DEPLOYMENTS, NAMESPACE), given)
    mark = objects.digest(deployment["spec"]["template"])
    marked = {**labels, "pod-template-hash": mark}
    reference = [objects.owner_reference(kinds.DEPLOYMENTS, deployment)]
    metadata = {
        "name": f"{name}-{mark}",
        "labels": marked,
        "annotations": {"deployment.kubernetes.io/revision": "1"},
        "ownerReferences": reference,
    }
    filled = {**deployment["spec"]["template"], "metadata": {**template["metadata"], "labels": marked}}
    spec = {"replicas": size, "minReadySeconds": 0, "selector": {"matchLabels": marked}, "template": filled}
    return writes.create(Place(kinds.REPLICASETS, NAMESPACE), {"metadata": metadata, "spec": spec})


def _pods(store: Store, slot: Slot, nodes: list[str], owner: Obj, size: int) -> None:
    labels = owner["spec"]["template"]["metadata"]["labels"]
    reference = [objects.owner_reference(kinds.REPLICASETS, owner)]
    born, annotations = objects.stamp(), {lives.SYNTHETIC: "true"}
    filled = defaults.filled("Pod", {"metadata": {}, "spec": owner["spec"]["template"]["spec"]})["spec"]
    specs = {node: {**filled, "nodeName": node} for node in nodes}
    statuses = {node: _status(slot.node(n), filled, born) for n, node in enumerate(nodes)}
    for n in range(size):
        node, address = nodes[n % len(nodes)], slot.synthetic()
        metadata = {
            "name": f"{objects.name(owner)}-{objects.spelled(n)}",
            "namespace": NAMESPACE,
            "generateName": f"{objects.name(owner)}-",
            "uid": objects.new_uid(),
            "creationTimestamp": born,
            "generation": 1,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": reference,
        }
        status = {**statuses[node], "podIP": address, "podIPs": [{"ip": address}]}
        store.lay(kinds.PODS, {"metadata": metadata, "spec": specs[node], "status": status})


def _status(host: str, spec: Obj, born: str) -> Obj:
    life = Life("", "", "", host, "", real=False, state="running", ready=True, since=born)
    return lives.status(life, {"spec": spec, "metadata": {}})
