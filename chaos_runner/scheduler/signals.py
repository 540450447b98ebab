"""Asks what the operator named, before each scheduled run: healthy, deploy, incident, budget, external. GET only.

Each is asked once for a service at a time, and an answer counts for two seconds. Whatever is no clear yes is a no.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import ssl
import time
from collections.abc import Callable
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta

from chaos_runner import alerts, configure, slo
from chaos_runner.api import Doubt, Refused
from chaos_runner.clients import alertmanager, http, prometheus, slos
from chaos_runner.environment import Burn, Environment, Gates, Signal, Slo
from chaos_runner.model import SecretRef
from chaos_runner.plan import Refusal
from chaos_runner.scheduler.gates import Asked
from chaos_runner.store import Reading

NAMES = Gates.__struct_fields__
FRESH_S = 2.0
CLIENTS = 4
AT_ONCE = CLIENTS * http.CONNECTIONS_MAX
BODY_BYTES_MAX = 64 << 10

Key = tuple[str, str, str, str]


class Word(msgspec.Struct, frozen=True):
    """What a gate's address answers."""

    ok: bool
    reason: Annotated[str, Meta(max_length=2000)] = ""


class Signals:
    """The answers of the last two seconds. One for each daemon; of one event loop, for as long as it is entered."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._known: dict[Key, tuple[float, asyncio.Task[Reading]]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._clients: list[Any] = []  # opened once: that takes longer than a question
        self._turn = itertools.count()
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        for _ in range(CLIENTS):
            self._clients.append(await self._open.enter_async_context(http.opened(verify=_trust())))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def read(self, asked: Asked, environment: Environment) -> tuple[Reading, ...]:
        """One reading a signal, in the order of their names; all are asked at the same time."""
        begun = [self._begun(asked, name, getattr(environment.gates, name), environment) for name in NAMES]
        return tuple([one if isinstance(one, Reading) else await asyncio.shield(one) for one in begun])

    def _begun(
        self, asked: Asked, name: str, signal: Signal | None, environment: Environment
    ) -> Reading | asyncio.Task[Reading]:
        if signal is None:
            why = f"nobody said what to ask in {asked.environment}; see gates.{name}, or say `not_used: WHY` there"
            return Reading(name, False, why, "not configured", self._now())
        if signal.not_used:
            return Reading(name, True, "", f"not used: {signal.not_used}", self._now())
        key = (name, asked.environment, asked.service, _address(signal, asked))
        known = self._known.get(key)
        if known is None or not _fresh(known):
            self._forget()
            known = time.monotonic(), asyncio.create_task(self._ask(name, signal, asked, environment))
            self._known[key] = known
        return known[1]

    async def _ask(self, name: str, signal: Signal, asked: Asked, environment: Environment) -> Reading:
        """One reading, within the signal's limit, queue included."""
        began = self._now()
        try:
            client = self._clients[next(self._turn) % CLIENTS]
            async with asyncio.timeout(signal.limit), self._room:
                why, value = await _answer(client, signal, asked, environment, began)
        except TimeoutError:
            why, value = f"no answer within {signal.limit:g} s", "no answer"
        except (Doubt, Refused, Refusal, http.NotSent, http.NoAnswer, http.BrokenAnswer) as trouble:
            why, value = f"no answer: {trouble}", "no answer"
        return Reading(name, not why, why, value, began)

    def _forget(self) -> None:
        self._known = {key: one for key, one in self._known.items() if _fresh(one)}


def _fresh(known: tuple[float, asyncio.Task[Reading]]) -> bool:
    return known[0] > time.monotonic() - FRESH_S or not known[1].done()


async def _answer(client: Any, signal: Signal, asked: Asked, environment: Environment, now: float) -> tuple[str, str]:
    """Why not, empty for yes; and the value that was read."""
    if signal.slo:
        return await _budget(_prometheus(client, environment), signal, environment, now)
    if signal.query:
        value = await _prometheus(client, environment).value(signal.query, limit_s=signal.limit)
        return ("" if value == 1 else f"the query comes to {value:g}, not 1"), f"{value:g}"
    if signal.silent:
        return await _silent(client, signal, environment)
    answer = await http.exchange(
        client, "GET", _address(signal, asked), limit_s=signal.limit, connect_s=signal.limit, body_max=BODY_BYTES_MAX
    )
    return _judged(signal, answer)


def _judged(signal: Signal, answer: http.Answer) -> tuple[str, str]:
    value = f"{answer.status}"
    if not 200 <= answer.status < 300:
        return f"it answered {answer.status}", value
    if signal.answers:
        return "", value
    try:
        word = msgspec.json.decode(answer.body, type=Word)
    except (msgspec.DecodeError, UnicodeDecodeError) as why:
        return f'it did not answer {{"ok": …, "reason": …}}: {why}', value
    return ("" if word.ok else word.reason or "it said no"), word.reason or value


def _prometheus(client: Any, environment: Environment) -> prometheus.Client:
    settings = environment.prometheus
    assert settings is not None  # the configuration was refused without
    return prometheus.Client(settings.url, client, _token(settings.token))


async def _budget(client: prometheus.Client, signal: Signal, environment: Environment, now: float) -> tuple[str, str]:
    budget = await slos.budget_left(client, environment.slos[signal.slo], now)
    if isinstance(budget, slo.Unknown):
        return f"the error budget of {signal.slo} is unknown: {budget.why}", "unknown"
    value = f"{budget.left:.1%} left"
    if budget.left < signal.left:
        return f"{value} of the error budget of {signal.slo}; {signal.left:.0%} must be", value
    for limit in signal.burn:
        if why := await _burning(client, signal.slo, environment.slos[signal.slo], limit, now):
            return why, value
    return "", value


async def _burning(client: prometheus.Client, name: str, objective: Slo, limit: Burn, now: float) -> str:
    """Why a burn rate says no; a share of the budget counts by the period of this SLO."""
    burns = await slos.burns(client, objective, slo.burn(limit.text, objective.over), now)
    if isinstance(burns, slo.Unknown):
        return f"how fast the error budget of {name} burns is unknown: {burns.why}"
    return f"the error budget of {name} burns at {limit.text} or faster" if burns else ""


async def _silent(client: Any, signal: Signal, environment: Environment) -> tuple[str, str]:
    settings, always = environment.alertmanager, environment.always_on
    assert settings is not None  # the configuration was refused without
    assert always is not None
    heard = await alertmanager.Client(settings.url, client, _token(settings.token)).alerts(limit_s=signal.limit)
    deaf = alerts.unheard(always.alert, always.heard_within, heard)
    if deaf:
        return deaf, "not heard"
    firing = [one.name for one in heard.alerts if any(alerts.meant(ref, one) for ref in signal.silent)]
    told = ", ".join(sorted(set(firing))[:5])
    return (f"firing: {told}" if firing else ""), told or "silent"


def _token(reference: SecretRef | None) -> str:
    return configure.secrets({reference})[reference] if reference else ""


@functools.cache
def _trust() -> ssl.SSLContext:
    """Read once: it takes longer than a question."""
    return ssl.create_default_context()


def _address(signal: Signal, asked: Asked) -> str:
    address = signal.url or signal.answers
    for word in ("service", "experiment", "environment"):
        address = address.replace(f"{{{word}}}", getattr(asked, word))
    return address
