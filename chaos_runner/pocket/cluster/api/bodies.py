"""What a client sent, as JSON values; and the options that come with a write. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from chaos_runner.pocket.cluster import objects, refusal
from chaos_runner.pocket.cluster.api import protobuf, shapes
from chaos_runner.pocket.cluster.api.answers import Query
from chaos_runner.pocket.cluster.kinds import Kind
from chaos_runner.pocket.cluster.objects import Obj

JSON_TYPES = ("", "application/json")
DRY_RUN = "All"


class Preconditions(msgspec.Struct, frozen=True, rename="camel"):
    """What must still be so."""

    uid: str | None = None
    resource_version: str | None = None


class DeleteOptions(msgspec.Struct, frozen=True, rename="camel"):
    """How to delete."""

    grace_period_seconds: int | None = None
    preconditions: Preconditions | None = None
    propagation_policy: str | None = None
    orphan_dependents: bool | None = None
    dry_run: list[str] | None = None

    @property
    def dry(self) -> bool:
        """Whether nothing is to happen."""
        return bool(self.dry_run)


def object_of(query: Query) -> Obj:
    """The object in a body. Raises Refusal."""
    if media(query) == protobuf.MEDIA:
        return _of_protobuf(query.body)
    if media(query) not in JSON_TYPES:
        raise refusal.unsupported("application/json")
    value = decoded(query.body)
    if not isinstance(value, dict):
        raise refusal.bad_request("the body is not an object")
    return dict(objects.without_nulls(value))


def _of_protobuf(body: bytes) -> Obj:
    try:
        return dict(protobuf.decoded(body))
    except protobuf.Unreadable as why:
        # To a client that can speak both languages this means: say it in JSON.
        raise refusal.unsupported("application/json") from why


def media(query: Query) -> str:
    """The type of the body, without its parameters."""
    return query.headers.get("content-type", "").partition(";")[0].strip().lower()


def decoded(body: bytes) -> Any:
    """The JSON value of a body. Raises Refusal."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as why:
        raise refusal.bad_request(f"the body cannot be read as JSON: {why}") from why


def dry(query: Query) -> bool:
    """Whether the query asks for nothing to happen. Raises Refusal for another word than All."""
    return _dry(query.words["dryRun"], "CreateOptions") if "dryRun" in query.words else False


def delete_options(query: Query) -> DeleteOptions:
    """From the body, or from the query: as soon as there is a body the query counts for nothing."""
    if query.body:
        options = _typed(object_of(query))
    else:
        options = DeleteOptions(
            _seconds(query.words.get("gracePeriodSeconds")),
            propagation_policy=query.words.get("propagationPolicy"),
            dry_run=[query.words["dryRun"]] if "dryRun" in query.words else None,
        )
    for word in options.dry_run or ():
        _dry(word, "DeleteOptions")
    return options


def typed_options(value: Any) -> DeleteOptions:
    """The `deleteOptions` inside another object."""
    options = _typed(value or {})
    for word in options.dry_run or ():
        _dry(word, "DeleteOptions")
    return options


def check_kind(obj: Obj, kind: str, api_version: str) -> None:
    """Raises Refusal for an object of another kind than its place has."""
    given = (obj.get("apiVersion", api_version), obj.get("kind", kind))
    if given != (api_version, kind):
        message = f"{given[1]} in version {given[0]!r} cannot be handled as a {kind}: {api_version} is expected here"
        raise refusal.bad_request(message)


def check_metadata(kind: Kind, obj: Obj) -> Obj:
    """The metadata of an object that was sent. Raises Refusal."""
    shapes.check(kind, obj)
    return obj.get("metadata") or {}


def _typed(value: Any) -> DeleteOptions:
    try:
        return msgspec.convert(value, DeleteOptions)
    except msgspec.ValidationError as why:
        raise refusal.bad_request(f"DeleteOptions cannot be handled: {why}") from why


def _seconds(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise refusal.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _dry(word: str, what: str) -> bool:
    if word == DRY_RUN:
        return True
    why = f'Unsupported value: "{word}": supported values: "All"'
    causes = [{"reason": "FieldValueNotSupported", "message": why, "field": "dryRun"}]
    details = {"group": "meta.k8s.io", "kind": what, "causes": causes}
    raise refusal.Refusal(422, "Invalid", f'{what}.meta.k8s.io "" is invalid: dryRun: {why}', details)
