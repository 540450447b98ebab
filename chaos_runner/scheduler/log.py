"""What the daemon says of itself: one JSON object a line. May be lost; what counts is in the store."""

from __future__ import annotations

import sys
import time
from typing import Any

import msgspec


def say(event: str, **words: Any) -> None:
    """One line on stderr, if that can be written; `run` and `schedule` are among the words where there are any."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = msgspec.json.encode({"at": at, "event": event} | words)
    try:
        sys.stderr.buffer.write(line + b"\n")
        sys.stderr.buffer.flush()
    except (OSError, ValueError):
        pass
