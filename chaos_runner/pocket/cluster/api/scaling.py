"""The scale of a workload, as an object of its own."""

from __future__ import annotations

from chaos_runner.pocket.cluster import objects, refusal, selectors
from chaos_runner.pocket.cluster.api import bodies, writes
from chaos_runner.pocket.cluster.api.answers import Query
from chaos_runner.pocket.cluster.api.routes import Place
from chaos_runner.pocket.cluster.api.writes import Writes
from chaos_runner.pocket.cluster.objects import Obj, at, put
from chaos_runner.pocket.cluster.store import Store

SCALE = ("Scale", "autoscaling/v1")
META = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


class Scaling:
    """GET, PUT and PATCH of deployments/NAME/scale and its like."""

    def __init__(self, store: Store, writing: Writes) -> None:
        self._store = store
        self._writes = writing

    def show(self, place: Place) -> Obj:
        """The Scale of a workload. Raises Refusal."""
        return scale_of(self._writes.current(place))

    def replace(self, place: Place, given: Obj, *, dry: bool) -> Obj:
        """The Scale after a PUT. Raises Refusal."""
        bodies.check_kind(given, *SCALE)
        return self._changed(place, given, dry=dry)

    def patch(self, place: Place, query: Query, *, dry: bool) -> Obj:
        """The Scale after a PATCH. Raises Refusal."""
        return self._changed(place, writes.patched(self.show(place), query), dry=dry)

    def _changed(self, place: Place, scale: Obj, *, dry: bool) -> Obj:
        old = self._writes.current(place)
        metadata = bodies.check_metadata(place.kind, scale)
        if metadata.get("resourceVersion") not in (None, "", old["metadata"]["resourceVersion"]):
            raise refusal.conflict(place.kind, place.name)
        if metadata.get("uid") not in (None, "", objects.uid(old)):
            why = f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {objects.uid(old)}"
            raise refusal.conflict(place.kind, place.name, why)
        replicas = _replicas(place, scale)
        if replicas == at(old, "spec", "replicas"):
            return scale_of(old)
        new = put(put(old, replicas, "spec", "replicas"), old["metadata"]["generation"] + 1, "metadata", "generation")
        return scale_of(new if dry else self._store.put(place.kind, new))


def scale_of(obj: Obj) -> Obj:
    """What `scale` shows of a workload."""
    status: Obj = {"replicas": at(obj, "status", "replicas", default=0)}
    selector = selectors.text_of(at(obj, "spec", "selector"))
    return {
        "kind": SCALE[0],
        "apiVersion": SCALE[1],
        "metadata": {part: obj["metadata"][part] for part in META if part in obj["metadata"]},
        "spec": {"replicas": at(obj, "spec", "replicas", default=1)},
        "status": status | ({"selector": selector} if selector else {}),
    }


def _replicas(place: Place, scale: Obj) -> int:
    replicas = at(scale, "spec", "replicas", default=0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise refusal.bad_request("Scale: spec.replicas is a whole number")
    if replicas < 0:
        why = f"Invalid value: {replicas}: must be greater than or equal to 0"
        causes = [{"reason": "FieldValueInvalid", "message": why, "field": "spec.replicas"}]
        details = {"name": place.name, "group": "autoscaling", "kind": "Scale", "causes": causes}
        message = f'Scale.autoscaling "{place.name}" is invalid: spec.replicas: {why}'
        raise refusal.Refusal(422, "Invalid", message, details)
    return replicas
