"""What is left when owners or namespaces go: dependents follow, are let go of, or are waited for."""

from __future__ import annotations

from collections.abc import Iterable

from chaos_runner.pocket.cluster import kinds, objects
from chaos_runner.pocket.cluster.api.deletes import FOREGROUND, ORPHAN
from chaos_runner.pocket.cluster.control.hands import Hands
from chaos_runner.pocket.cluster.kinds import Kind
from chaos_runner.pocket.cluster.objects import Obj, at, put
from chaos_runner.pocket.cluster.store import Change

SHELVES = tuple(kind for kind in kinds.KINDS if kind.namespaced)


class Dependents:
    """Nothing outlives its last owner. Keys are uids of owners, with the place of one that waits."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._waiting: dict[str, tuple[Kind, str]] = {}

    def concerns(self, change: Change) -> Iterable[str]:
        """Owners that go or wait to go, and those of whatever went."""
        if change.after is None and change.before is not None:
            yield objects.uid(change.before)
        elif change.after is not None and objects.terminating(change.after) and _held(change.after):
            self._waiting[objects.uid(change.after)] = (change.kind, change.key)
            yield objects.uid(change.after)
        if change.before is not None:
            yield from (one["uid"] for one in change.before["metadata"].get("ownerReferences") or ())

    def reconcile(self, key: str) -> float | None:
        """Deals with the dependents of one owner."""
        place = self._waiting.get(key)
        owner = self._hands.store.get(*place) if place is not None else None
        dependents = self._hands.index.dependents(key)
        if owner is not None and objects.uid(owner) == key:
            self._wait(place[0], owner, dependents)  # type: ignore[index]
            return None
        self._waiting.pop(key, None)
        if not self._lives(key, dependents):
            for kind, obj in dependents:
                self._leave(kind, obj, key)
        return None

    def _lives(self, uid: str, dependents: list[tuple[Kind, Obj]]) -> bool:
        """Whether the owner is still there; it is looked up by what its dependents say of it."""
        for _, obj in dependents[:1]:
            for one in obj["metadata"]["ownerReferences"]:
                kind = kinds.BY_NAME.get(one["kind"])
                if one["uid"] == uid and kind is not None:
                    namespace = objects.namespace(obj) if kind.namespaced else ""
                    owner = self._hands.store.get(kind, objects.key(namespace, one["name"]))
                    return owner is not None and objects.uid(owner) == uid
        return False

    def _wait(self, kind: Kind, owner: Obj, dependents: list[tuple[Kind, Obj]]) -> None:
        finalizers = at(owner, "metadata", "finalizers") or []
        if ORPHAN in finalizers:
            for of, obj in dependents:
                self._hands.put(of, _disowned(obj, objects.uid(owner)))
        elif dependents:
            for of, obj in dependents:
                if not objects.terminating(obj):
                    self._hands.delete(of, obj)
            return
        rest = [one for one in finalizers if one not in (ORPHAN, FOREGROUND)]
        self._hands.put(kind, put(owner, rest, "metadata", "finalizers"))
        self._hands.finish(kind, objects.key_of(owner))

    def _leave(self, kind: Kind, obj: Obj, uid: str) -> None:
        others = [one for one in obj["metadata"].get("ownerReferences") or () if one["uid"] != uid]
        if others:
            self._hands.put(kind, _disowned(obj, uid))
        elif not objects.terminating(obj):
            self._hands.delete(kind, obj)


class Namespaces:
    """A namespace that is to go takes everything in it along, and goes when it is empty."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def concerns(self, change: Change) -> Iterable[str]:
        """Namespaces, and those in which something ended."""
        if change.kind is kinds.NAMESPACES and change.after is not None:
            yield change.key
        elif change.after is None and change.kind.namespaced:
            yield change.key.partition("/")[0]

    def reconcile(self, key: str) -> float | None:
        """Empties it, or lets it go; a new one gets its service account."""
        namespace = self._hands.store.get(kinds.NAMESPACES, key)
        if namespace is None:
            return None
        if not objects.terminating(namespace):
            self._hands.status(kinds.NAMESPACES, namespace, phase="Active")
            if self._hands.store.get(kinds.SERVICE_ACCOUNTS, f"{key}/default") is None:
                self._hands.create(kinds.SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": key}})
            return None
        self._hands.status(kinds.NAMESPACES, namespace, phase="Terminating")
        left = [(kind, obj) for kind in SHELVES for obj in self._hands.store.all(kind, key)]
        for kind, obj in left:
            if not objects.terminating(obj):
                self._hands.delete(kind, obj)
        if not any(self._hands.store.all(kind, key) for kind in SHELVES):
            current = self._hands.store.get(kinds.NAMESPACES, key) or namespace
            self._hands.put(kinds.NAMESPACES, put(current, [], "spec", "finalizers"))
            self._hands.finish(kinds.NAMESPACES, key)
        return None


def _held(obj: Obj) -> bool:
    return bool({ORPHAN, FOREGROUND} & set(at(obj, "metadata", "finalizers") or ()))


def _disowned(obj: Obj, uid: str) -> Obj:
    others = [one for one in obj["metadata"].get("ownerReferences") or () if one["uid"] != uid]
    return put(obj, others, "metadata", "ownerReferences")
