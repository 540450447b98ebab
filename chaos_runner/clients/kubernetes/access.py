"""Asks the API server what this user may do. Network; changes nothing."""

from __future__ import annotations

import msgspec

from chaos_runner.clients.kubernetes import answers
from chaos_runner.clients.kubernetes.connection import CALL_S, Cluster
from chaos_runner.clients.kubernetes.objects import Place

_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Access(msgspec.Struct, frozen=True):
    """Whether this user may; `why` where the server says so."""

    allowed: bool
    why: str = ""


class _Status(msgspec.Struct, frozen=True):
    allowed: bool
    reason: str = ""
    evaluationError: str = ""  # noqa: N815 - the API's name


class _Review(msgspec.Struct, frozen=True):
    status: _Status


async def may(
    cluster: Cluster,
    verb: str,
    at: Place,
    *,
    namespace: str | None = None,
    name: str = "",
    subresource: str = "",
    limit_s: float = CALL_S,
) -> Access:
    """Whether this user may do this; with no namespace in all of them, with no name to all objects."""
    attributes = {
        "verb": verb,
        "group": at.group,
        "version": at.version,
        "resource": at.plural,
        "subresource": subresource,
        "namespace": namespace or "",
        "name": name,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    answer = await cluster.call("POST", _PATH, msgspec.json.encode(body), limit_s=limit_s)
    status = answers.read(_Review, answer, f"POST {_PATH}").status
    return Access(status.allowed, status.reason or status.evaluationError)
