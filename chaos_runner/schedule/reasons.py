"""Why something does not run: a word to count by, and a sentence. No IO."""

from __future__ import annotations

import msgspec


class Reason(msgspec.Struct, frozen=True):
    """One reason for a "no"."""

    code: str
    said: str
