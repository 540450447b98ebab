"""What controllers work with: the store, its writing routes, an index, and events about what they did."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from typing import Any

from chaos_runner.pocket.cluster import kinds, objects
from chaos_runner.pocket.cluster.api.bodies import DeleteOptions
from chaos_runner.pocket.cluster.api.deletes import Deletes
from chaos_runner.pocket.cluster.api.routes import Place
from chaos_runner.pocket.cluster.api.writes import Writes
from chaos_runner.pocket.cluster.control.index import Index
from chaos_runner.pocket.cluster.kinds import Kind
from chaos_runner.pocket.cluster.objects import Obj
from chaos_runner.pocket.cluster.refusal import Refusal
from chaos_runner.pocket.cluster.store import Store

EVENTS_MAX = 2_000


class Hands:
    """One pair for all controllers."""

    def __init__(self, store: Store, writes: Writes, deletes: Deletes) -> None:
        self.store = store
        self.index = Index(store)
        self._writes = writes
        self._deletes = deletes
        self._told: OrderedDict[tuple[str, str, str], str] = OrderedDict()

    def create(self, kind: Kind, obj: Obj) -> Obj | None:
        """A new object; None where the API refused it, which is told as an event about its owner."""
        try:
            return self._writes.create(Place(kind, objects.namespace(obj)), obj)
        except Refusal as why:
            self._told_refused(kind, obj, why)
            return None

    def delete(self, kind: Kind, obj: Obj, options: DeleteOptions | None = None) -> None:
        """Asks for its end; one that is gone already is fine."""
        with contextlib.suppress(Refusal):
            place = Place(kind, objects.namespace(obj), objects.name(obj))
            self._deletes.delete(place, options or DeleteOptions())

    def finish(self, kind: Kind, key: str) -> None:
        """The end of what was marked."""
        self._deletes.finish(kind, key)

    def put(self, kind: Kind, obj: Obj) -> Obj:
        """Stores a changed copy."""
        return self.store.put(kind, obj)

    def status(self, kind: Kind, obj: Obj, **fields: Any) -> Obj:
        """Sets fields of the status; what is None is taken out."""
        current = self.store.get(kind, objects.key_of(obj))
        if current is None or objects.uid(current) != objects.uid(obj):
            return obj
        merged = {**(current.get("status") or {}), **fields}
        return self.store.put(
            kind, {**current, "status": {name: value for name, value in merged.items() if value is not None}}
        )

    def event(self, kind: Kind, obj: Obj, reason: str, message: str, *, warning: bool = False) -> None:
        """Says what happened; the same again is counted."""
        mark = (objects.uid(obj), reason, message)
        key = self._told.get(mark)
        known = self.store.get(kinds.EVENTS, key) if key is not None else None
        if known is not None:
            again = {**known, "count": known["count"] + 1, "lastTimestamp": objects.stamp()}
            self.store.put(kinds.EVENTS, again)
            return
        made = self.create(kinds.EVENTS, _event(kind, obj, reason, message, warning=warning))
        if made is not None:
            self._told[mark] = objects.key_of(made)
            self._forget_oldest()

    def _told_refused(self, kind: Kind, obj: Obj, why: Refusal) -> None:
        owner = objects.controller(obj)
        found = kinds.BY_NAME.get(owner["kind"]) if owner else None
        if owner is None or found is None or why.reason == "AlreadyExists":
            return
        about = self.store.get(found, objects.key(objects.namespace(obj), owner["name"]))
        if about is not None and not objects.terminating(about):
            self.event(found, about, "FailedCreate", f"Error creating: {why.message}", warning=True)

    def _forget_oldest(self) -> None:
        while len(self._told) > EVENTS_MAX:
            _, key = self._told.popitem(last=False)
            self.store.remove(kinds.EVENTS, key)


def _event(kind: Kind, obj: Obj, reason: str, message: str, *, warning: bool) -> Obj:
    namespace = objects.namespace(obj) or "default"
    about = {
        "kind": kind.name,
        "apiVersion": kind.api_version,
        "name": objects.name(obj),
        "uid": objects.uid(obj),
        **({"namespace": objects.namespace(obj)} if objects.namespace(obj) else {}),
    }
    now = objects.stamp()
    return {
        "metadata": {"generateName": f"{objects.name(obj)}.", "namespace": namespace},
        "involvedObject": about,
        "reason": reason,
        "message": message,
        "type": "Warning" if warning else "Normal",
        "source": {"component": "pocket"},
        "reportingComponent": "pocket",
        "reportingInstance": "",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
