"""One line of the doctor."""

from __future__ import annotations

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """How it is, what was looked at, what was seen, what to do."""

    state: Literal["ok", "warn", "fail"]
    what: str
    said: str
    next: str = ""
