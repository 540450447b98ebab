"""Every refusal of the API: its status and its words, which clients of Toxiproxy compare."""

from __future__ import annotations


class ApiError(Exception):
    """One refusal: the HTTP status and the text of the `error` key."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text

    def body(self) -> dict[str, object]:
        return {"error": self.text, "status": self.status}


class AddressError(ValueError):
    """A listen address that cannot be understood or found; the words are Go's, without their prefix."""


def bad_body(why: str) -> ApiError:
    return ApiError(400, f"bad request body: {why}")


def missing(field: str, position: int | None = None) -> ApiError:
    where = "" if position is None else f" at proxy {position}"
    return ApiError(400, f"missing required field: {field}{where}")


def proxy_not_found() -> ApiError:
    return ApiError(404, "proxy not found")


def toxic_not_found() -> ApiError:
    return ApiError(404, "toxic not found")


def lease_not_found() -> ApiError:
    return ApiError(404, "lease not found")


def proxy_exists() -> ApiError:
    return ApiError(409, "proxy already exists")


def toxic_exists() -> ApiError:
    return ApiError(409, "toxic already exists")


def no_live_lease(run: str) -> ApiError:
    return ApiError(409, f"no live lease for run {run}")


def too_many(what: str, limit: int) -> ApiError:
    return ApiError(409, f"too many {what}: at most {limit}")
