"""Paths of the API. No IO. An empty name would turn "this pod" into "all pods": none is ever put into a path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from chaos_runner.api import Refused
from chaos_runner.clients.kubernetes.objects import Place

_NAME = re.compile(r"[a-z0-9]([-.:a-z0-9]*[a-z0-9])?")  # with the colon of RBAC's names
NAME_MAX = 253


def collection(place: Place, namespace: str | None) -> str:
    """Where all objects of a kind are, in a namespace or (None) everywhere."""
    if namespace is None:
        return f"{place.root}/{place.plural}"
    if not place.namespaced:
        raise Refused(f"{place.plural} are in no namespace")
    return f"{place.root}/namespaces/{segment('namespace', namespace)}/{place.plural}"


def single(place: Place, namespace: str | None, name: str, subresource: str = "") -> str:
    """Where one object is. Raises Refused for a name that no object can have."""
    if place.namespaced and namespace is None:
        raise Refused(f"one of the {place.plural} is asked for without its namespace")
    path = f"{collection(place, namespace)}/{segment('name', name)}"
    return f"{path}/{subresource}" if subresource else path


def segment(what: str, text: str) -> str:
    """The text as part of a path. Raises Refused unless it is a name that Kubernetes gives."""
    if len(text) > NAME_MAX or not _NAME.fullmatch(text):
        raise Refused(f"{text!r:.80} is no {what} that an object in Kubernetes can have")
    return quote(text, safe="")


def query(**parameters: str | int | None) -> str:
    """`?a=b`; without those that are None or empty. Names in camel case are written with underscores."""
    given: Mapping[str, str] = {
        _camel(name): str(value) for name, value in parameters.items() if value not in {None, ""}
    }
    return f"?{urlencode(given)}" if given else ""


def _camel(name: str) -> str:
    first, *rest = name.strip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)
