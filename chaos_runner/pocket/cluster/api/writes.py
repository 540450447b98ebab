"""Creating, replacing and patching objects; what the store is given has been filled in and checked."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from chaos_runner.pocket.cluster import kinds, objects, patches, refusal
from chaos_runner.pocket.cluster.api import bodies, defaults, validity, views
from chaos_runner.pocket.cluster.api.answers import Query
from chaos_runner.pocket.cluster.api.routes import Place
from chaos_runner.pocket.cluster.kinds import Kind
from chaos_runner.pocket.cluster.objects import Obj, at
from chaos_runner.pocket.cluster.store import Store

PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json")
VERSION_NEEDED = ("Lease", "PodDisruptionBudget")
BORN_WITH = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink")
UNCOUNTED = ("Node", "Namespace", "Service", "Event", "ConfigMap", "Secret", "ServiceAccount", "Lease")
FIRST_STATUS: dict[str, Obj] = {"Pod": {"phase": "Pending", "qosClass": "BestEffort"}, "Namespace": {"phase": "Active"}}
NAMES_TRIED = 8

Prepare = Callable[[Obj], Obj]


class Writes:
    """The writing half of the API; `prepare` adds what only the cluster can know, by kind."""

    def __init__(self, store: Store, prepare: dict[str, Prepare]) -> None:
        self._store = store
        self._prepare = prepare

    def create(self, place: Place, given: Obj, *, dry: bool = False) -> Obj:
        """A new object. Raises Refusal."""
        kind = place.kind
        metadata = dict(bodies.check_metadata(kind, given))
        self._name(place, metadata)
        self._check_namespace(place, objects.key(place.namespace, metadata["name"]))
        obj = self._born(kind, {**given, "metadata": metadata})
        validity.check_new(kind, obj)
        if self._store.get(kind, objects.key_of(obj)) is not None:
            raise refusal.exists(kind, metadata["name"])
        return obj if dry else self._store.put(kind, obj)

    def replace(self, place: Place, given: Obj, *, dry: bool = False) -> Obj:
        """The object as it was sent, but for what is not the client's to say. Raises Refusal."""
        old = self.current(place)
        metadata = bodies.check_metadata(place.kind, given)
        if metadata.get("name", place.name) != place.name:
            message = "the name of the object does not match the name on the URL"
            raise refusal.bad_request(message)
        if place.kind.name in VERSION_NEEDED and not metadata.get("resourceVersion"):
            why = "Invalid value: 0x0: must be specified for an update"
            raise refusal.invalid(place.kind, place.name, "metadata.resourceVersion", why)
        return self._update(place, old, given, dry=dry)

    def patch(self, place: Place, query: Query, *, dry: bool = False) -> Obj:
        """The object with a patch applied. Raises Refusal."""
        old = self.current(place)
        return self._update(place, old, patched(views.whole(place.kind, old), query), dry=dry)

    def current(self, place: Place) -> Obj:
        """The object there. Raises Refusal."""
        found = self._store.get(place.kind, place.key)
        if found is None:
            raise refusal.not_found(place.kind, place.name)
        return found

    def _name(self, place: Place, metadata: Obj) -> None:
        """Fixes name and namespace of something new."""
        if metadata.get("namespace", place.namespace) != place.namespace:
            message = "the namespace of the provided object does not match the namespace sent on the request"
            raise refusal.bad_request(message)
        if place.namespace:
            metadata["namespace"] = place.namespace
        if metadata.get("name"):
            return
        if not metadata.get("generateName"):
            why = "Required value: name or generateName is required"
            raise refusal.invalid(place.kind, "", "metadata.name", why, "FieldValueRequired")
        for _ in range(NAMES_TRIED):
            metadata["name"] = metadata["generateName"] + objects.suffix(random.randrange)
            if self._store.get(place.kind, objects.key(place.namespace, metadata["name"])) is None:
                return

    def _check_namespace(self, place: Place, key: str) -> None:
        if not place.namespace:
            return
        found = self._store.get(kinds.NAMESPACES, place.namespace)
        if found is None:
            raise refusal.not_found(kinds.NAMESPACES, place.namespace)
        if objects.terminating(found) and place.kind is not kinds.EVENTS:
            why = f"unable to create new content in namespace {place.namespace} because it is being terminated"
            causes = [{"reason": "NamespaceTerminating", "message": f"namespace {place.namespace} is being terminated"}]
            details = refusal.details(place.kind, key.rpartition("/")[2], causes=causes)
            raise refusal.forbidden(details, f'{place.kind.resource} "{details["name"]}"', why)

    def _born(self, kind: Kind, given: Obj) -> Obj:
        """The object with what only the server says."""
        obj = {part: value for part, value in given.items() if part not in ("kind", "apiVersion")}
        kept = {part: value for part, value in obj["metadata"].items() if part not in BORN_WITH and value is not None}
        kept.pop("resourceVersion", None)
        kept.pop("managedFields", None)
        counted = {} if kind.name in UNCOUNTED else {"generation": 1}
        metadata = {**kept, "uid": objects.new_uid(), "creationTimestamp": objects.stamp(), **counted}
        obj = defaults.filled(kind.name, {**obj, "metadata": metadata})
        if kind.sub("status") is not None and kind is not kinds.NODES:
            obj = {**obj, "status": FIRST_STATUS.get(kind.name, {})}
        prepare = self._prepare.get(kind.name)
        return obj if prepare is None else prepare(obj)

    def _update(self, place: Place, old: Obj, given: Obj, *, dry: bool) -> Obj:
        kind = place.kind
        self._check_same(place, old, given)
        new = _status_only(old, given) if place.sub == "status" else _all_but_status(kind, old, given)
        if place.sub != "status":
            new = defaults.filled(kind.name, new)
            validity.check_update(kind, old, new)
        new = _counted(old, new)
        if objects.terminating(old) and not at(new, "metadata", "finalizers") and _only_finalizers_hold(old):
            return new if dry else self._let_go(kind, new)
        return new if dry else self._store.put(kind, new)

    def _check_same(self, place: Place, old: Obj, given: Obj) -> None:
        metadata = bodies.check_metadata(place.kind, given)
        if metadata.get("resourceVersion") not in (None, "", old["metadata"]["resourceVersion"]):
            raise refusal.conflict(place.kind, place.name)
        for part in ("uid", "name", "namespace"):
            found = metadata.get(part)
            if found and found != old["metadata"].get(part):
                why = f'Invalid value: "{found}": {refusal.IMMUTABLE}'
                raise refusal.invalid(place.kind, place.name, f"metadata.{part}", why)

    def _let_go(self, kind: Kind, new: Obj) -> Obj:
        """What was only held by finalizers is gone once the last of them is."""
        self._store.put(kind, new)
        self._store.remove(kind, objects.key_of(new))
        return new


def patched(whole: Obj, query: Query) -> Obj:
    """The object with the body's patch applied. Raises Refusal."""
    media = bodies.media(query)
    if media not in PATCHES:
        raise refusal.unsupported(", ".join(PATCHES))
    patch = bodies.decoded(query.body)
    result = _json_patched(whole, patch) if media == PATCHES[0] else _merged(whole, patch, media)
    if not isinstance(result, dict) or (result.get("kind"), result.get("apiVersion")) != (
        whole["kind"],
        whole["apiVersion"],
    ):
        raise refusal.bad_request("a patch cannot change the kind of an object")
    return dict(objects.without_nulls(result))


def _json_patched(whole: Obj, patch: Any) -> Any:
    if not isinstance(patch, list):
        raise refusal.bad_request("a JSON patch is a list of operations")
    try:
        return patches.json_patch(whole, patch)
    except patches.Unpatchable:
        raise refusal.blank() from None


def _merged(whole: Obj, patch: Any, media: str) -> Any:
    if not isinstance(patch, dict):
        raise refusal.bad_request("a merge patch is an object")
    try:
        return patches.merge(whole, patch) if media == PATCHES[1] else patches.strategic(whole, patch)
    except (patches.Unpatchable, AttributeError, TypeError) as why:
        raise refusal.bad_request(f"the patch cannot be applied: {why}") from why


def _all_but_status(kind: Kind, old: Obj, given: Obj) -> Obj:
    obj = {part: value for part, value in given.items() if part not in ("kind", "apiVersion")}
    if kind.sub("status") is not None:
        obj.pop("status", None)
        obj |= {"status": old["status"]} if "status" in old else {}
    kept = {part: value for part, value in (given.get("metadata") or {}).items() if value is not None}
    kept.pop("managedFields", None)
    ours = {part: old["metadata"][part] for part in (*BORN_WITH, "name", "namespace") if part in old["metadata"]}
    theirs = {part: value for part, value in kept.items() if part not in BORN_WITH}
    metadata = {**theirs, **ours, "resourceVersion": old["metadata"]["resourceVersion"]}
    return {**obj, "metadata": metadata}


def _status_only(old: Obj, given: Obj) -> Obj:
    return {**old, "status": given.get("status") or {}}


def _counted(old: Obj, new: Obj) -> Obj:
    """The generation moves with everything but metadata and status."""
    if "generation" not in old["metadata"]:
        return new
    parts = (old.keys() | new.keys()) - {"metadata", "status"}
    if all(old.get(part) == new.get(part) for part in parts):
        return new
    return objects.put(new, old["metadata"]["generation"] + 1, "metadata", "generation")


def _only_finalizers_hold(old: Obj) -> bool:
    return old["metadata"].get("deletionGracePeriodSeconds", 0) == 0 and bool(at(old, "metadata", "finalizers"))
