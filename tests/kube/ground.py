"""One running cluster as the contract suite sees it; README.md says what each part means."""

from __future__ import annotations

import contextlib
from typing import Protocol

USERS = ("admin", "plain", "reader", "nobody")


class Crowd(Protocol):
    """An overloaded server: at `url`, until `end` is called."""

    url: str

    def end(self) -> None: ...


class Ground(Protocol):
    kind: str
    uid: str
    tokens: dict[str, str]

    @property
    def url(self) -> str: ...

    @property
    def ca(self) -> bytes: ...

    def node(self) -> str: ...

    def ready(self, namespace: str, pod: str) -> None: ...

    def compact(self) -> None: ...

    def overload(self) -> contextlib.AbstractContextManager[Crowd]: ...
