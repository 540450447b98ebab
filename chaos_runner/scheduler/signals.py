"""Asks what the operator named, before each scheduled run: healthy, deploy, incident, budget, external. GET only.

Each is asked once for a service at a time, and an answer counts for two seconds. Whatever is no clear yes is a no.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from chaos_runner.clients import http
from chaos_runner.model import Gates, Signal
from chaos_runner.scheduler.gates import Asked
from chaos_runner.store import Reading

NAMES = Gates.__struct_fields__
FRESH_S = 2.0
AT_ONCE = 256
BODY_BYTES_MAX = 64 << 10

Key = tuple[str, str, str, float]


class Word(msgspec.Struct, frozen=True):
    """What a gate's address answers."""

    ok: bool
    reason: Annotated[str, Meta(max_length=2000)] = ""


class Signals:
    """The answers of the last two seconds. One for each daemon; of one event loop."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._known: dict[Key, tuple[float, asyncio.Task[Reading]]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    async def read(self, asked: Asked, gates: Gates) -> tuple[Reading, ...]:
        """One reading a signal, in the order of their names."""
        self._forget()
        return tuple(await asyncio.gather(*(self._one(asked, name, getattr(gates, name)) for name in NAMES)))

    async def _one(self, asked: Asked, name: str, signal: Signal | None) -> Reading:
        if signal is None:
            why = f"nobody said where to ask in {asked.environment}; gates.{name} takes an address or `not_used: WHY`"
            return Reading(name, False, why, "not configured", self._now())
        if signal.not_used:
            return Reading(name, True, "", f"not used: {signal.not_used}", self._now())
        address = _address(signal, asked)
        key = (name, address, asked.service, signal.limit)
        if key not in self._known:
            self._known[key] = (time.monotonic(), asyncio.create_task(self._ask(name, signal, address)))
        return await asyncio.shield(self._known[key][1])

    async def _ask(self, name: str, signal: Signal, address: str) -> Reading:
        async with self._room, http.opened() as client:
            began = self._now()
            try:
                answer = await http.exchange(
                    client, "GET", address, limit_s=signal.limit, connect_s=signal.limit, body_max=BODY_BYTES_MAX
                )
            except (http.NotSent, http.NoAnswer, http.BrokenAnswer) as why:
                return Reading(name, False, f"{address} did not answer: {why}", "no answer", began)
        return _judged(name, signal, answer, began)

    def _forget(self) -> None:
        limit = time.monotonic() - FRESH_S
        self._known = {key: one for key, one in self._known.items() if one[0] > limit or not one[1].done()}


def _judged(name: str, signal: Signal, answer: http.Answer, at: float) -> Reading:
    value = f"{answer.status}"
    if not 200 <= answer.status < 300:
        return Reading(name, False, f"it answered {answer.status}", value, at)
    if signal.answers:
        return Reading(name, True, "", value, at)
    try:
        word = msgspec.json.decode(answer.body, type=Word)
    except (msgspec.DecodeError, UnicodeDecodeError) as why:
        return Reading(name, False, f'it did not answer {{"ok": …, "reason": …}}: {why}', value, at)
    return Reading(name, word.ok, "" if word.ok else word.reason or "it said no", word.reason or value, at)


def _address(signal: Signal, asked: Asked) -> str:
    address = signal.url or signal.answers
    for word in ("service", "experiment", "environment"):
        address = address.replace(f"{{{word}}}", getattr(asked, word))
    return address
