"""Deleting: at once, or marked first and gone when its grace or its finalizers are over."""

from __future__ import annotations

from chaos_runner.pocket.cluster import kinds, objects, refusal
from chaos_runner.pocket.cluster.api import answers
from chaos_runner.pocket.cluster.api.bodies import DeleteOptions, Preconditions
from chaos_runner.pocket.cluster.api.routes import Place
from chaos_runner.pocket.cluster.kinds import Kind
from chaos_runner.pocket.cluster.objects import Obj, at, put
from chaos_runner.pocket.cluster.store import Store

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
OVER = ("Succeeded", "Failed")


class Deletes:
    """The deleting half of the API."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def delete(self, place: Place, options: DeleteOptions) -> tuple[Obj, bool]:
        """What is answered, and whether it is the object (else a Status). Raises Refusal."""
        obj = self._store.get(place.kind, place.key)
        if obj is None:
            raise refusal.not_found(place.kind, place.name)
        check(place.kind, obj, options.preconditions)
        marked = self.marked(place.kind, obj, options)
        if not options.dry:
            self.carry_out(place.kind, marked)
        if place.kind is kinds.PODS or _stays(place.kind, marked):
            return marked, True
        return answers.success(refusal.details(place.kind, place.name, uid=objects.uid(obj))), False

    def marked(self, kind: Kind, obj: Obj, options: DeleteOptions) -> Obj:
        """The object as it is once its end was asked for."""
        marked = _with_propagation(obj, options)
        grace = _grace_s(kind, marked, options)
        before = marked["metadata"].get("deletionGracePeriodSeconds")
        if objects.terminating(marked) and (before is None or grace >= before):
            return marked
        metadata = {
            **marked["metadata"],
            "deletionGracePeriodSeconds": grace,
            "deletionTimestamp": objects.stamp(grace),
        }
        return {**marked, "metadata": metadata}

    def carry_out(self, kind: Kind, marked: Obj) -> None:
        """Marks it, or takes it away where nothing holds it."""
        if _stays(kind, marked):
            self._store.put(kind, marked)
        else:
            self._store.remove(kind, objects.key_of(marked))

    def finish(self, kind: Kind, key: str) -> None:
        """The grace of a marked object is over: it goes, unless finalizers hold it."""
        obj = self._store.get(kind, key)
        if obj is not None and objects.terminating(obj):
            self.carry_out(kind, put(obj, 0, "metadata", "deletionGracePeriodSeconds"))


def check(kind: Kind, obj: Obj, preconditions: Preconditions | None) -> None:
    """Raises Refusal when the object is not the one that is meant."""
    if preconditions is None:
        return
    uid, version = objects.uid(obj), obj["metadata"]["resourceVersion"]
    if preconditions.uid not in (None, uid):
        raise refusal.precondition(kind, objects.name(obj), "uid", str(preconditions.uid), uid)
    if preconditions.resource_version not in (None, version):
        wanted = str(preconditions.resource_version)
        raise refusal.precondition(kind, objects.name(obj), "resourceVersion", wanted, version)


def _stays(kind: Kind, marked: Obj) -> bool:
    """Whether something still holds it: its grace, its finalizers, or what a namespace contains."""
    if at(marked, "metadata", "finalizers") or (kind is kinds.NAMESPACES and at(marked, "spec", "finalizers")):
        return True
    return bool(marked["metadata"].get("deletionGracePeriodSeconds"))


def _grace_s(kind: Kind, obj: Obj, options: DeleteOptions) -> int:
    if kind is not kinds.PODS:
        return 0
    if not at(obj, "spec", "nodeName") or at(obj, "status", "phase") in OVER:
        return 0
    given = options.grace_period_seconds
    grace = int(at(obj, "spec", "terminationGracePeriodSeconds", default=30) if given is None else given)
    return 1 if grace < 0 else grace


def _with_propagation(obj: Obj, options: DeleteOptions) -> Obj:
    """What becomes of dependents is written down as a finalizer, for the garbage collector."""
    policy = "Orphan" if options.orphan_dependents else options.propagation_policy
    finalizer = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(policy or "")
    if finalizer is None:
        return obj
    others = [one for one in at(obj, "metadata", "finalizers") or () if one not in (FOREGROUND, ORPHAN)]
    return put(obj, [*others, finalizer], "metadata", "finalizers")
