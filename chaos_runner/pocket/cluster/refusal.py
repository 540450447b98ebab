"""What the API answers when it does not do it: Status bodies as a real API server writes them. Pure."""

from __future__ import annotations

from typing import Any

from chaos_runner.pocket.cluster.kinds import Kind

STALE = "the object has been modified; please apply your changes to the latest version and try again"
IMMUTABLE = "field is immutable"


class Refusal(Exception):
    """A Status of failure on its way to the client."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = headers or {}
        self.metadata = metadata or {}

    def body(self) -> dict[str, Any]:
        """The Status."""
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure"}
        status |= {"message": self.message}
        status |= {"reason": self.reason} if self.reason else {}
        status |= {"details": self.details} if self.details is not None else {}
        return {**status, "code": self.code}


def details(kind: Kind, name: str = "", **more: Any) -> dict[str, Any]:
    """Whom it is about."""
    found = {"name": name, "group": kind.group, "kind": kind.plural}
    return {**{word: value for word, value in found.items() if value}, **more}


def bad_request(message: str) -> Refusal:
    """400: it cannot be understood."""
    return Refusal(400, "BadRequest", message)


def unauthorized() -> Refusal:
    """401: the credentials are not known here."""
    return Refusal(401, "Unauthorized", "Unauthorized")


def nowhere() -> Refusal:
    """404 for a resource that is not served."""
    return Refusal(404, "NotFound", "the server could not find the requested resource", {})


def not_found(kind: Kind, name: str) -> Refusal:
    """404 for an object."""
    return Refusal(404, "NotFound", f'{kind.resource} "{name}" not found', details(kind, name))


def no_method(what: str = "the server does not allow this method on the requested resource") -> Refusal:
    """405: not this verb, not here."""
    return Refusal(405, "MethodNotAllowed", what, {})


def not_acceptable() -> Refusal:
    """406: no common language for the answer."""
    listed = "application/json"
    return Refusal(406, "NotAcceptable", f"only the following media types are accepted: {listed}")


def unsupported(allowed: str) -> Refusal:
    """415: the body is in a language that is not read here."""
    message = f"the body of the request was in an unknown format - accepted media types include: {allowed}"
    return Refusal(415, "UnsupportedMediaType", message)


def exists(kind: Kind, name: str) -> Refusal:
    """409: the name is taken."""
    return Refusal(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', details(kind, name))


def conflict(kind: Kind, name: str, why: str = STALE) -> Refusal:
    """409: it is not as the client believes."""
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return Refusal(409, "Conflict", message, details(kind, name))


def precondition(kind: Kind, name: str, what: str, wanted: str, found: str) -> Refusal:
    """409 of a delete whose precondition does not hold."""
    said = "UID" if what == "uid" else "ResourceVersion"
    ending = (
        " The object might have been deleted and then recreated"
        if what == "uid"
        else " The object might have been modified"
    )
    why = f"the {said} in the precondition ({wanted}) does not match the {said} in record ({found}).{ending}"
    message = f'Operation cannot be fulfilled on {kind.name} "{name}": {why}'
    return Refusal(409, "Conflict", message, {"name": name, "kind": kind.name})


def invalid(kind: Kind, name: str, field: str, why: str, reason: str = "FieldValueInvalid") -> Refusal:
    """422: understood, and not possible."""
    about = {"name": name, "group": kind.group, "kind": kind.name}
    about = {word: value for word, value in about.items() if value}
    causes = [{"reason": reason, "message": why, "field": field}]
    message = f'{kind.name}{"." + kind.group if kind.group else ""} "{name}" is invalid: {field}: {why}'
    return Refusal(422, "Invalid", message, {**about, "causes": causes})


def blank() -> Refusal:
    """422 of a JSON patch that does not apply; the real server tells no more."""
    return Refusal(422, "Invalid", "the server rejected our request due to an error in our request", {})


def forbidden(kind_details: dict[str, Any], what: str, why: str) -> Refusal:
    """403: it may not."""
    return Refusal(403, "Forbidden", f"{what} is forbidden: {why}", kind_details)


def expired(message: str, fresh: str = "") -> Refusal:
    """410: too long ago."""
    return Refusal(410, "Expired", message, metadata={"continue": fresh} if fresh else None)
