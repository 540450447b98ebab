"""The ledger on SQLite."""

from __future__ import annotations

from pathlib import Path

from chaos_runner.store.protocol import Store


class SqliteStore(Store):
    """The ledger of one host."""


def open_store(state_dir: Path, *, read_only: bool = False, allow_tmpfs: bool = False) -> SqliteStore:
    """Opens the ledger in `state_dir`, and makes both when opening for writing."""
    raise NotImplementedError
