"""Ledger and journal: what was done to which target and how to undo it, what was recorded, what was measured."""

from chaos_runner.store.errors import Busy, Fenced, NoLedger, StoreError
from chaos_runner.store.owner import KILL_S, Owner, alive, signalled, since_s
from chaos_runner.store.protocol import Store
from chaos_runner.store.rows import (
    Armed,
    Block,
    DayRow,
    Digest,
    FaultRow,
    Lease,
    Paused,
    Reading,
    RunRow,
    RunState,
    SlotRow,
    Stamped,
    Summary,
)
from chaos_runner.store.sqlite import SqliteStore, open_store

__all__ = [
    "KILL_S",
    "Armed",
    "Block",
    "Busy",
    "DayRow",
    "Digest",
    "FaultRow",
    "Fenced",
    "Lease",
    "NoLedger",
    "Owner",
    "Paused",
    "Reading",
    "RunRow",
    "RunState",
    "SlotRow",
    "SqliteStore",
    "Stamped",
    "Store",
    "StoreError",
    "Summary",
    "alive",
    "open_store",
    "signalled",
    "since_s",
]
