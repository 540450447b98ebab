"""One running cluster as the contract suite sees it; README.md says what each part means."""

from __future__ import annotations

import contextlib
from typing import Protocol

USERS = ("admin", "plain", "reader", "nobody")


class Ground(Protocol):
    kind: str
    url: str
    ca: bytes
    uid: str
    tokens: dict[str, str]

    def node(self) -> str: ...

    def ready(self, namespace: str, pod: str) -> None: ...

    def compact(self) -> None: ...

    def overload(self) -> contextlib.AbstractContextManager[None]: ...
