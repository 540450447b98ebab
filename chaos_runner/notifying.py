"""Sends word of a run's end to whom the operator named; the only place that retries, and it never changes a verdict."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio

from chaos_runner.api import Announces, Doubt, Env, Notice, Refused
from chaos_runner.config import Notification
from chaos_runner.history import Run

PAUSES_S = (0.5, 2.0)  # between three attempts


async def notify(
    notifications: tuple[Notification, ...],
    verdict: str,
    env: Env,
    run: Run,
    notifiers: Mapping[str, type[Any]],
    tell: Callable[[str], None],
    pauses_s: tuple[float, ...] = PAUSES_S,
) -> None:
    """Each that asked for this verdict is told, at most three times; what fails is told to the person instead."""
    for notification in notifications:
        if verdict.lower() in notification.on:
            notifier = notifiers[notification.notifier](notification.reference)
            why = await _send(notifier, env, run, pauses_s)
            if why:
                tell(f"warning: not notified: {why}")


async def announce(
    notifications: tuple[Notification, ...],
    env: Env,
    notice: Notice,
    notifiers: Mapping[str, type[Any]],
    tell: Callable[[str], None],
    pauses_s: tuple[float, ...] = PAUSES_S,
) -> None:
    """Each that wants to know before something happens is told, at most three times; a deaf one stops nothing."""
    for notification in notifications:
        notifier: object = notifiers[notification.notifier](notification.reference)
        if "before" in notification.on and isinstance(notifier, Announces):
            why = await _tried(functools.partial(notifier.announce, env, notice), pauses_s)
            if why:
                tell(f"warning: not announced: {why}")


async def _send(notifier: Any, env: Env, run: Run, pauses_s: tuple[float, ...]) -> str:
    return await _tried(functools.partial(notifier.send, env, run), pauses_s)


async def _tried(send: Callable[[], Awaitable[None]], pauses_s: tuple[float, ...]) -> str:
    """Why it was not sent; empty when it was. A receiver that saw an attempt already knows it by its id."""
    why = ""
    for pause_s in (*pauses_s, 0.0):
        try:
            await send()
        except Refused as refusal:
            return str(refusal)
        except Doubt as doubt:
            why = str(doubt)
            await anyio.sleep(pause_s)
        else:
            return ""
    return why
