"""As much of OpenAPI as kubectl needs to leave the validation of fields to the server. Pure.

There are no schemas behind it: unknown fields are kept, not refused.
"""

from __future__ import annotations

from typing import Any

from chaos_runner.pocket.cluster import kinds
from chaos_runner.pocket.cluster.api import answers
from chaos_runner.pocket.cluster.api.answers import Answer
from chaos_runner.pocket.cluster.kinds import Kind

INFO = {"title": "Kubernetes", "version": "pocket"}
PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
# Field 1 is the version of Swagger, field 2 its info with a title: the shortest document that older clients read.
SWAGGER = b"\x0a\x032.0\x12\x0c\x0a\x0aKubernetes"
DRY_RUN = {"name": "dryRun", "in": "query", "schema": {"type": "string"}}
FIELD_VALIDATION = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}


def answer(path: str, accept: str) -> Answer | None:
    """The document at a path; None where there is none."""
    if path == "/openapi/v2":
        if "protobuf" in accept:
            return Answer(200, SWAGGER, {"content-type": PROTOBUF})
        return answers.json_answer(200, {"swagger": "2.0", "info": INFO, "paths": {}})
    if path == "/openapi/v3":
        places = {_place(kind): {"serverRelativeURL": f"/openapi/v3/{_place(kind)}"} for kind in kinds.KINDS}
        return answers.json_answer(200, {"paths": places})
    place = path.removeprefix("/openapi/v3/")
    served = [kind for kind in kinds.KINDS if _place(kind) == place]
    return answers.json_answer(200, _document(served)) if served else None


def _place(kind: Kind) -> str:
    return f"apis/{kind.api_version}" if kind.group else f"api/{kind.version}"


def _document(served: list[Kind]) -> dict[str, Any]:
    return {"openapi": "3.0.0", "info": INFO, "paths": dict(_path(kind) for kind in served)}


def _path(kind: Kind) -> tuple[str, dict[str, Any]]:
    scope = "namespaces/{namespace}/" if kind.namespaced else ""
    about = {"group": kind.group, "version": kind.version, "kind": kind.name}
    patch = {
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": about,
        "parameters": [DRY_RUN, FIELD_VALIDATION],
        "responses": {"200": {"description": "OK"}},
    }
    return f"/{_place(kind)}/{scope}{kind.plural}/{{name}}", {"patch": patch}
