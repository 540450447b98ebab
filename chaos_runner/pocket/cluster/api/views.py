"""How an object or a list is shown: whole, its metadata alone, or as the rows of a table. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaos_runner.pocket.cluster import refusal
from chaos_runner.pocket.cluster.api import tables
from chaos_runner.pocket.cluster.kinds import Kind
from chaos_runner.pocket.cluster.objects import Obj

META = "meta.k8s.io/v1"
JSON_TYPES = ("application/json", "application/*", "*/*")

View = Callable[[Kind, Obj], Obj]


def whole(kind: Kind, obj: Obj) -> Obj:
    """The object with its kind, as it is shown alone."""
    return {"kind": kind.name, "apiVersion": kind.api_version, **obj}


def partial(_: Kind, obj: Obj) -> Obj:
    """Its metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": obj["metadata"]}


def asked_for(accept: str, *, many: bool) -> str:
    """`whole`, `Table` or `partial`: the first way of the Accept header that is known here. Raises Refusal."""
    if not accept:
        return "whole"
    for choice in accept.split(","):
        media, *parameters = (part.strip() for part in choice.split(";"))
        if media not in JSON_TYPES:
            continue
        wish = dict(part.split("=", 1) for part in parameters if "=" in part)
        shown = _known(wish, many=many)
        if shown:
            return shown
    raise refusal.not_acceptable()


def _known(wish: dict[str, str], *, many: bool) -> str:
    if "as" not in wish:
        return "whole"
    if wish.get("g") != "meta.k8s.io" or wish.get("v") not in ("v1", "v1beta1"):
        return ""
    metadata = "PartialObjectMetadataList" if many else "PartialObjectMetadata"
    return {"Table": "Table", metadata: "partial"}.get(wish["as"], "")


def single(shown: str, kind: Kind, obj: Obj, include: str = "Metadata") -> Obj:
    """One object in the way that was asked for."""
    if shown == "Table":
        return table(kind, [obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")}, include)
    return partial(kind, obj) if shown == "partial" else whole(kind, obj)


def many(shown: str, kind: Kind, found: list[Obj], metadata: Obj, include: str = "Metadata") -> Obj:
    """A list in the way that was asked for."""
    if shown == "Table":
        return table(kind, found, metadata, include)
    if shown == "partial":
        items = [partial(kind, obj) for obj in found]
        return {"kind": "PartialObjectMetadataList", "apiVersion": META, "metadata": metadata, "items": items}
    return {"kind": f"{kind.name}List", "apiVersion": kind.api_version, "metadata": metadata, "items": found}


def table(kind: Kind, found: list[Obj], metadata: Obj, include: str, *, head: bool = True) -> Obj:
    """Rows for people."""
    columns = tables.columns(kind)
    rows: list[dict[str, Any]] = []
    for obj in found:
        row: dict[str, Any] = {"cells": [column.cell(obj) for column in columns]}
        if include != "None":
            row["object"] = whole(kind, obj) if include == "Object" else partial(kind, obj)
        rows.append(row)
    definitions = [column.definition() for column in columns] if head else None
    return {"kind": "Table", "apiVersion": META, "metadata": metadata, "columnDefinitions": definitions, "rows": rows}
