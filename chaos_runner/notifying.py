"""Sends word of a run's end to whom the operator named; the only place that retries, and it never changes a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anyio

from chaos_runner.api import Doubt, Env, Refused
from chaos_runner.history import Run
from chaos_runner.model import Notification

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


async def _send(notifier: Any, env: Env, run: Run, pauses_s: tuple[float, ...]) -> str:
    why = ""
    for pause_s in (*pauses_s, 0.0):
        try:
            await notifier.send(env, run)
        except Refused as refusal:
            return str(refusal)
        except Doubt as doubt:
            why = str(doubt)
            await anyio.sleep(pause_s)
        else:
            return ""
    return why
