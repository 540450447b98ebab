"""Label and field selectors: read from text or objects, and asked whether an object matches. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from chaos_runner.pocket.cluster.kinds import Kind
from chaos_runner.pocket.cluster.objects import Obj, at
from chaos_runner.pocket.cluster.refusal import Refusal, bad_request

KEY = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
SET = re.compile(rf"\s*({KEY})\s+(in|notin)\s*\(([^()]*)\)\s*")
EQUAL = re.compile(rf"\s*({KEY})\s*(==|=|!=)\s*({VALUE})\s*")
PRESENT = re.compile(rf"\s*(!?)\s*({KEY})\s*")
TERMS = re.compile(r",(?![^(]*\))")
LENGTH_MAX = 8192
EVERY_KIND = ("metadata.name", "metadata.namespace")
FIELDS: dict[str, tuple[str, ...]] = {
    "Pod": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "Node": ("spec.unschedulable",),
    "Namespace": ("status.phase",),
    "Event": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "ReplicaSet": ("status.replicas",),
    "Secret": ("type",),
}

Match = Callable[[Obj], bool]


class Requirement(msgspec.Struct, frozen=True):
    """One term of a label selector: In, NotIn, Exists or DoesNotExist."""

    key: str
    op: str
    values: frozenset[str] = frozenset()

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy it; NotIn also fits what lacks the key."""
        if self.op == "In":
            return labels.get(self.key) in self.values
        if self.op == "NotIn":
            return labels.get(self.key) not in self.values
        return (self.key in labels) == (self.op == "Exists")


Requirements = tuple[Requirement, ...]


def fits(requirements: Requirements, labels: Mapping[str, str]) -> bool:
    """Whether the labels satisfy all."""
    return all(requirement.fits(labels) for requirement in requirements)


def of_text(text: str) -> Requirements:
    """A label selector from a query. Raises Refusal."""
    if len(text) > LENGTH_MAX:
        raise bad_request(f"a label selector is at most {LENGTH_MAX} characters long")
    return tuple(_term(term) for term in TERMS.split(text)) if text.strip() else ()


def of_object(selector: Mapping[str, Any] | None) -> Requirements | None:
    """A LabelSelector; None where there is none, which matches nothing (an empty one matches everything)."""
    if selector is None:
        return None
    equal = [Requirement(key, "In", frozenset([value])) for key, value in (selector.get("matchLabels") or {}).items()]
    expressions = [
        Requirement(term["key"], term["operator"], frozenset(term.get("values") or ()))
        for term in selector.get("matchExpressions") or ()
    ]
    return (*equal, *expressions)


def of_map(labels: Mapping[str, str] | None) -> Requirements | None:
    """A plain map, as Services have it; an empty one matches nothing."""
    return of_object({"matchLabels": labels}) if labels else None


def text_of(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as text, as `scale` and tables show it."""
    words = []
    for term in of_object(selector) or ():
        values = ",".join(sorted(term.values))
        by_op = {
            "In": f"{term.key}={values}" if len(term.values) == 1 else f"{term.key} in ({values})",
            "NotIn": f"{term.key} notin ({values})",
            "Exists": term.key,
            "DoesNotExist": f"!{term.key}",
        }
        words.append(by_op[term.op])
    return ",".join(sorted(words))


def _term(term: str) -> Requirement:
    if found := SET.fullmatch(term):
        values = frozenset(value.strip() for value in found[3].split(","))
        return Requirement(found[1], "In" if found[2] == "in" else "NotIn", values)
    if found := EQUAL.fullmatch(term):
        return Requirement(found[1], "NotIn" if found[2] == "!=" else "In", frozenset([found[3]]))
    if found := PRESENT.fullmatch(term):
        return Requirement(found[2], "DoesNotExist" if found[1] else "Exists")
    raise _unreadable(term)


def _unreadable(term: str) -> Refusal:
    odd = re.search(r"[=!]=?|[^\s\w./-]", term)
    found = odd[0] if odd else term.strip()
    return bad_request(f"unable to parse requirement: found '{found}', expected: identifier")


def of_fields(kind: Kind, text: str) -> Match | None:
    """A field selector from a query; None for an empty one. Raises Refusal for fields that cannot be selected by."""
    if not text:
        return None
    terms = [_field(kind, term) for term in text.split(",") if term]

    def match(obj: Obj) -> bool:
        return all((field_of(obj, path) == value) == equal for path, equal, value in terms)

    return match


def _field(kind: Kind, term: str) -> tuple[str, bool, str]:
    found = re.fullmatch(r"([^=!]+)(==|=|!=)(.*)", term)
    if found is None:
        raise bad_request(f"invalid selector: '{term}'; can't understand '{term}'")
    if found[1] not in (*EVERY_KIND, *FIELDS.get(kind.name, ())):
        raise bad_request(f"field label not supported: {found[1]}")
    return found[1], found[2] != "!=", found[3]


def field_of(obj: Obj, path: str) -> str:
    """The text of a field; what is absent is empty."""
    if path == "source":
        return str(at(obj, "source", "component", default=""))
    value = at(obj, *path.split("."), default="")
    return str(value).lower() if isinstance(value, bool) else str(value if value is not None else "")


def both(requirements: Requirements, fields: Match | None) -> Match | None:
    """Both selectors as one question; None when everything matches."""
    if not requirements and fields is None:
        return None

    def match(obj: Obj) -> bool:
        return fits(requirements, obj["metadata"].get("labels") or {}) and (fields is None or fields(obj))

    return match


def counted(match: Match | None, objects: Iterable[Obj]) -> list[Obj]:
    """Those that match."""
    return list(objects) if match is None else [obj for obj in objects if match(obj)]
