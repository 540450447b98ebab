"""Lists: selected, in pages, as they were at one version."""

from __future__ import annotations

import base64
import itertools

import msgspec

from chaos_runner.pocket.cluster import refusal, selectors
from chaos_runner.pocket.cluster.api.answers import Query
from chaos_runner.pocket.cluster.api.routes import Place
from chaos_runner.pocket.cluster.kinds import Kind
from chaos_runner.pocket.cluster.objects import Obj
from chaos_runner.pocket.cluster.store import Shelf, Store

TOKEN_VERSION = "meta.k8s.io/v1"  # noqa: S105 - a version, no secret
NEWEST = -1
TOO_OLD_LIST = "The resourceVersion for the provided list is too old."
TOO_OLD_CONTINUE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


class Token(msgspec.Struct, frozen=True):
    """Where a list goes on: at which version, after which key."""

    v: str
    rv: int
    start: str


class Page(msgspec.Struct, frozen=True):
    """Some objects of a list, and what its metadata says."""

    found: list[Obj]
    metadata: Obj


def match_of(kind: Kind, query: Query, name: str = "") -> selectors.Match | None:
    """What the query selects. Raises Refusal."""
    fields = query.words.get("fieldSelector", "")
    fields = ",".join(filter(None, [fields, f"metadata.name={name}" if name else ""]))
    labels = selectors.of_text(query.words.get("labelSelector", ""))
    return selectors.both(labels, selectors.of_fields(kind, fields))


def page(store: Store, place: Place, query: Query) -> Page:
    """One page, or the whole list. Raises Refusal."""
    match = match_of(place.kind, query)
    limit = _limit(query)
    version, start = _from_where(store, query)
    if version == NEWEST:
        version = store.version
    shelf = store.shelf(place.kind)
    if version != store.version or limit < len(shelf.keys):  # what follows must find it as it is now
        shelf = shelf if version == store.version and not limit else _shelf(store, place, version, start)
    found, after = _cut(shelf, place, start, limit, match)
    metadata: Obj = {"resourceVersion": str(version)}
    if after:
        metadata["continue"] = written(Token(TOKEN_VERSION, version, after))
        if match is None:
            metadata["remainingItemCount"] = shelf.count_under(place.namespace, after)
    return Page(found, metadata)


def _cut(shelf: Shelf, place: Place, start: str, limit: int, match: selectors.Match | None) -> tuple[list[Obj], str]:
    """The objects of this page, and the key after which the next one begins."""
    rest = shelf.under(place.namespace, start)
    chosen = ((key, obj) for key, obj in rest if match is None or match(obj))
    if not limit:
        return [obj for _, obj in chosen], ""
    taken = list(itertools.islice(chosen, limit + 1))
    after = taken[limit - 1][0] + "\0" if len(taken) > limit else ""
    return [obj for _, obj in taken[:limit]], after


def _limit(query: Query) -> int:
    text = query.words.get("limit", "0")
    try:
        limit = int(text)
    except ValueError:
        raise refusal.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    return 0 if query.words.get("resourceVersion") == "0" else max(0, limit)


def _from_where(store: Store, query: Query) -> tuple[int, str]:
    wanted, exactly = query.words.get("resourceVersion", ""), query.words.get("resourceVersionMatch", "")
    given = query.words.get("continue", "")
    if given:
        if wanted not in ("", "0"):
            raise refusal.bad_request("specifying resource version is not allowed when using continue")
        token = read(given)
        return token.rv, token.start
    if exactly and not wanted:
        raise _match_without_version()
    if not wanted or wanted == "0":
        return NEWEST, ""
    version = version_of(wanted)
    if version > store.version:
        raise too_large(store, version)
    return (version if exactly == "Exact" else NEWEST), ""


def version_of(text: str) -> int:
    """A resourceVersion as a number. Raises Refusal."""
    if not text.isdecimal():
        raise refusal.bad_request(f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def too_large(store: Store, version: int) -> refusal.Refusal:
    """The client has seen a version that does not exist yet."""
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    message = f"Timeout: Too large resource version: {version}, current: {store.version}"
    details = {"causes": causes, "retryAfterSeconds": 1}
    return refusal.Refusal(504, "Timeout", message, details, {"retry-after": "1"})


def _match_without_version() -> refusal.Refusal:
    why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
    causes = [{"reason": "FieldValueForbidden", "message": f"Forbidden: {why}", "field": "resourceVersionMatch"}]
    message = f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: {why}'
    return refusal.Refusal(422, "Invalid", message, {"group": "meta.k8s.io", "kind": "ListOptions", "causes": causes})


def _shelf(store: Store, place: Place, version: int, start: str) -> Shelf:
    shelf = store.as_of(place.kind, version)
    if shelf is not None:
        return shelf
    if start:
        raise refusal.expired(TOO_OLD_CONTINUE, written(Token(TOKEN_VERSION, NEWEST, start)))
    raise refusal.expired(TOO_OLD_LIST)


def written(token: Token) -> str:
    """The token as text for a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).rstrip(b"=").decode()


def read(text: str) -> Token:
    """The token of a text. Raises Refusal."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        token = msgspec.json.decode(raw, type=Token)
    except ValueError as why:  # of base64 and of msgspec
        raise refusal.bad_request(f"invalid continue token: {why}") from why
    if token.v != TOKEN_VERSION:
        raise refusal.bad_request(f"invalid continue token: unrecognised version {token.v!r}")
    return token
