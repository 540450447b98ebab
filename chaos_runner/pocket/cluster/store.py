"""All objects of the cluster in memory, every change of them numbered, and the last changes to look back at.

An object that was given to the store, or got from it, is never changed; a new one takes its place.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator

import msgspec

from chaos_runner.pocket.cluster import objects
from chaos_runner.pocket.cluster.kinds import KINDS, Kind
from chaos_runner.pocket.cluster.objects import Obj

CHANGES_MAX = 20_000
SNAPSHOTS_MAX = 4


class Change(msgspec.Struct, frozen=True):
    """One object before and after; None where it was not, or is not any more."""

    version: int
    kind: Kind
    key: str
    before: Obj | None
    after: Obj | None


Listener = Callable[[Change], None]


class Shelf:
    """The objects of one kind, also in the order of their keys."""

    def __init__(self) -> None:
        self.by_key: dict[str, Obj] = {}
        self.keys: list[str] = []

    def put(self, key: str, obj: Obj) -> None:
        """Adds or replaces."""
        if key not in self.by_key:
            bisect.insort(self.keys, key)
        self.by_key[key] = obj

    def remove(self, key: str) -> None:
        """Takes it away."""
        del self.by_key[key]
        del self.keys[bisect.bisect_left(self.keys, key)]

    def copy(self) -> Shelf:
        """The same objects on a shelf of their own."""
        other = Shelf()
        other.by_key, other.keys = dict(self.by_key), list(self.keys)
        return other

    def under(self, namespace: str, after: str = "") -> Iterator[tuple[str, Obj]]:
        """Those of a namespace (all, if empty) from the key `after` on, in order."""
        prefix = f"{namespace}/" if namespace else ""
        start = bisect.bisect_left(self.keys, max(prefix, after))
        for n in range(start, len(self.keys)):
            key = self.keys[n]
            if not key.startswith(prefix):
                return
            yield key, self.by_key[key]

    def count_under(self, namespace: str, after: str) -> int:
        """How many that are."""
        first = bisect.bisect_left(self.keys, max(f"{namespace}/" if namespace else "", after))
        end = bisect.bisect_left(self.keys, f"{namespace}0") if namespace else len(self.keys)  # "0" follows "/"
        return end - first


class Store:
    """Every object, by kind and key."""

    def __init__(self) -> None:
        self.version = 1
        self.compacted = 1  # what happened up to here is forgotten
        self.changes: deque[Change] = deque()
        self._shelves = {kind.resource: Shelf() for kind in KINDS}
        self._listeners: list[Listener] = []
        self._snapshots: OrderedDict[tuple[str, int], Shelf] = OrderedDict()

    def shelf(self, kind: Kind) -> Shelf:
        """All objects of a kind, now."""
        return self._shelves[kind.resource]

    def get(self, kind: Kind, key: str) -> Obj | None:
        """One object."""
        return self._shelves[kind.resource].by_key.get(key)

    def all(self, kind: Kind, namespace: str = "") -> list[Obj]:
        """All of a namespace, or all."""
        return [obj for _, obj in self.shelf(kind).under(namespace)]

    def put(self, kind: Kind, obj: Obj) -> Obj:
        """Adds or replaces it, and tells it with its new version; what is the same stays as it is."""
        key = objects.key_of(obj)
        before = self.get(kind, key)
        if before is not None and same(before, obj):
            return before
        self.version += 1
        after = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self.shelf(kind).put(key, after)
        self._tell(Change(self.version, kind, key, before, after))
        return after

    def lay(self, kind: Kind, obj: Obj) -> None:
        """Adds something new without telling anybody: for what was there before everybody came."""
        self.version += 1
        metadata = {**obj["metadata"], "resourceVersion": str(self.version)}
        self.shelf(kind).put(objects.key_of(obj), {**obj, "metadata": metadata})
        self.compacted = self.version

    def remove(self, kind: Kind, key: str) -> Obj | None:
        """Takes it away, and tells what it was."""
        before = self.get(kind, key)
        if before is None:
            return None
        self.version += 1
        self.shelf(kind).remove(key)
        self._tell(Change(self.version, kind, key, before, None))
        return before

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Calls it at every change from now on, until the answer is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def since(self, version: int) -> list[Change]:
        """The changes after a version that is not forgotten."""
        fresh: list[Change] = []
        for change in reversed(self.changes):
            if change.version <= version:
                break
            fresh.append(change)
        return fresh[::-1]

    def compact(self) -> None:
        """Forgets all changes: older watches and lists are too old from now on."""
        self.changes.clear()
        self.compacted = self.version
        self._snapshots.clear()

    def as_of(self, kind: Kind, version: int) -> Shelf | None:
        """The shelf as it was at that version; None when that is forgotten."""
        if version < self.compacted or version > self.version:
            return None
        found = self._snapshots.get((kind.resource, version))
        if found is None:
            found = self._snapshots[kind.resource, version] = self._rewound(kind, version)
            while len(self._snapshots) > SNAPSHOTS_MAX:
                self._snapshots.popitem(last=False)
        return found

    def _rewound(self, kind: Kind, version: int) -> Shelf:
        shelf = self.shelf(kind).copy()
        for change in reversed(self.changes):
            if change.version <= version:
                break
            if change.kind is not kind:
                continue
            if change.before is not None:
                shelf.put(change.key, change.before)
            else:
                shelf.remove(change.key)
        return shelf

    def _tell(self, change: Change) -> None:
        self.changes.append(change)
        if len(self.changes) > CHANGES_MAX:
            self.compacted = self.changes.popleft().version
        for listener in tuple(self._listeners):
            listener(change)


def same(before: Obj, after: Obj) -> bool:
    """Equal but for the version: such a write is no change."""
    if before is after:
        return True
    if any(before.get(part) != after.get(part) for part in before.keys() | after.keys() if part != "metadata"):
        return False
    old, new = before["metadata"], after["metadata"]
    return all(old.get(part) == new.get(part) for part in old.keys() | new.keys() if part != "resourceVersion")
