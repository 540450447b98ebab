"""All that a handler needs: where things are, who is known, what is being watched."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import msgspec

from chaos_runner.serve.door import Door
from chaos_runner.serve.halting import Halts, Waiting
from chaos_runner.serve.looking import Ledger, Shots
from chaos_runner.serve.sessions import Codes, Failures, Sessions
from chaos_runner.serve.streaming import Drop, Room
from chaos_runner.serve.tokens import Tokens
from chaos_runner.serve.views import Views


class Setting(msgspec.Struct, frozen=True):
    """Where things are, and what the pages cannot do themselves. `origins` are the addresses that are ours."""

    state_dir: Path
    reports: Path
    tokens: Tokens
    origins: frozenset[str]
    cookie: str
    secure: bool
    probes: Mapping[str, type]
    wait: Waiting
    report: Callable[[str], bytes]
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


class Site:
    """One server."""

    def __init__(self, setting: Setting, drop: Drop) -> None:
        self.setting = setting
        self.sessions = Sessions(setting.monotonic)
        self.codes = Codes(setting.monotonic)
        self.failures = Failures(setting.monotonic)
        self.door = Door(setting.tokens, self.sessions, setting.origins, setting.cookie)
        self.ledger = Ledger(setting.state_dir)
        self.shots = Shots(self.ledger)
        self.views = Views(self.shots)
        self.halts = Halts(setting.state_dir, setting.wait)
        self.room = Room()
        self.drop = drop
        self.hands = anyio.CapacityLimiter(1)  # who pulls levers and writes, one at a time; never behind a report
        self.press = anyio.CapacityLimiter(1)  # who renders
