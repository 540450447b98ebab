"""Fakes and conformance checks for authors of plug-ins; the program's own tests use the same ones."""

from chaos_runner.testing.conformance import World, check_fault
from chaos_runner.testing.fakes import (
    FINE,
    HANGS,
    LANDS_AND_HANGS,
    LOST_REPLY,
    LOST_REQUEST,
    REFUSED,
    FakeFault,
    FakeKill,
    FakeProbe,
    FakeSelector,
    FakeWorld,
    PlainFault,
    Reply,
    late,
    slow,
)

__all__ = [
    "FINE",
    "HANGS",
    "LANDS_AND_HANGS",
    "LOST_REPLY",
    "LOST_REQUEST",
    "REFUSED",
    "FakeFault",
    "FakeKill",
    "FakeProbe",
    "FakeSelector",
    "FakeWorld",
    "PlainFault",
    "Reply",
    "World",
    "check_fault",
    "late",
    "slow",
]
