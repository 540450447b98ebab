"""Who belongs to whom, kept up with every change, so that no controller has to look through everything."""

from __future__ import annotations

from collections.abc import Iterable

from chaos_runner.pocket.cluster import kinds, objects
from chaos_runner.pocket.cluster.kinds import Kind
from chaos_runner.pocket.cluster.objects import Obj, at
from chaos_runner.pocket.cluster.store import Change, Store

Place = tuple[Kind, str]


class Index:
    """Dependents by the uid of their owner; pods by node, and those that nobody controls by namespace."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owned: dict[str, dict[Place, None]] = {}
        self._orphans: dict[str, dict[str, None]] = {}
        self._on_node: dict[str, dict[str, None]] = {}
        for kind in kinds.KINDS:
            for key, obj in store.shelf(kind).under(""):
                self._add(kind, key, obj)
        store.listen(self._heard)

    def owned(self, kind: Kind, uid: str) -> list[Obj]:
        """Objects of a kind whose controller has that uid."""
        found = [key for of, key in self._owned.get(uid, ()) if of is kind]
        return [obj for key in found if (obj := self._store.get(kind, key)) is not None and _controlled_by(obj, uid)]

    def dependents(self, uid: str) -> list[tuple[Kind, Obj]]:
        """Everything that names that uid as an owner."""
        found = [(kind, self._store.get(kind, key)) for kind, key in self._owned.get(uid, ())]
        return [(kind, obj) for kind, obj in found if obj is not None]

    def orphans(self, namespace: str) -> list[Obj]:
        """Pods of a namespace that nobody controls."""
        return self._pods(self._orphans.get(namespace, ()))

    def on_node(self, node: str) -> list[Obj]:
        """Pods that were given to a node."""
        return self._pods(self._on_node.get(node, ()))

    def count_on(self, node: str) -> int:
        """How many they are."""
        return len(self._on_node.get(node, ()))

    def _pods(self, keys: Iterable[str]) -> list[Obj]:
        return [pod for key in keys if (pod := self._store.get(kinds.PODS, key)) is not None]

    def _heard(self, change: Change) -> None:
        if change.before is not None:
            self._remove(change.kind, change.key, change.before)
        if change.after is not None:
            self._add(change.kind, change.key, change.after)

    def _add(self, kind: Kind, key: str, obj: Obj) -> None:
        for reference in obj["metadata"].get("ownerReferences") or ():
            self._owned.setdefault(reference["uid"], {})[kind, key] = None
        if kind is kinds.PODS:
            if objects.controller(obj) is None:
                self._orphans.setdefault(objects.namespace(obj), {})[key] = None
            if node := at(obj, "spec", "nodeName"):
                self._on_node.setdefault(node, {})[key] = None

    def _remove(self, kind: Kind, key: str, obj: Obj) -> None:
        for reference in obj["metadata"].get("ownerReferences") or ():
            _take(self._owned, reference["uid"], (kind, key))
        if kind is kinds.PODS:
            _take(self._orphans, objects.namespace(obj), key)
            _take(self._on_node, at(obj, "spec", "nodeName") or "", key)


def _controlled_by(obj: Obj, uid: str) -> bool:
    found = objects.controller(obj)
    return found is not None and found["uid"] == uid


def _take(shelves: dict[str, dict[str, None]] | dict[str, dict[Place, None]], name: str, key: str | Place) -> None:
    shelf = shelves.get(name)
    if shelf is not None:
        shelf.pop(key, None)  # type: ignore[arg-type]
        if not shelf:
            del shelves[name]
