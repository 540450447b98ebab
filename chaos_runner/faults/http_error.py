"""Requests that are answered with an error instead of by the service, or after it did the work."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from chaos_runner.faults._http import Field, HttpFault, Line


class HttpErrorFault(HttpFault, frozen=True, kw_only=True):
    """Answers requests with an HTTP error. Needs the embedded proxy, or an HTTP stage.

    `before`: the service never sees the request. `after`: it did the work, and its answer is thrown away, as when a
    load balancer gives up on it; who asks again asks for it to be done twice.
    """

    kind: ClassVar[str] = "http_error"
    finds_bare: ClassVar[bool] = True

    status: Annotated[int, Meta(description="the status of the answer", ge=200, le=599)] = 503
    when: Annotated[
        Literal["before", "after"], Meta(description="whether the service does the work first (after) or not")
    ] = "before"
    body: Annotated[str, Meta(description="the body of the answer", max_length=65536)] = ""
    headers: Annotated[
        dict[Field, Line], Meta(description='fields of the answer, such as {Retry-After: "30"}', max_length=50)
    ] = msgspec.field(default_factory=dict)

    def harm(self) -> dict[str, Any]:
        """The answer."""
        return {"status": self.status, "when": self.when, "body": self.body, "headers": dict(self.headers)}

    def told(self, seen: dict[str, float]) -> str:
        """What became of them."""
        return f"were answered {self.status}" + (", after the service did the work" if self.when == "after" else "")
