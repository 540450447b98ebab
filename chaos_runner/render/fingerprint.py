"""The fingerprint of a run's records. No IO."""

from __future__ import annotations

import hashlib

import msgspec

from chaos_runner.records import Entry


def of(entries: list[Entry]) -> str:
    """SHA-256 over the records as JSON, one a line, in order."""
    found = hashlib.sha256()
    for entry in entries:
        found.update(msgspec.json.encode(entry) + b"\n")
    return found.hexdigest()
