"""What `doctor` looks at in an environment's monitoring: Prometheus, alerts, error budgets. Reads only."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Iterator

from chaos_runner import alerts, slo
from chaos_runner.api import Env
from chaos_runner.cli.finding import Finding
from chaos_runner.clients import alertmanager, prometheus, slos, sources

SLOS_MAX = 20  # each may take seconds
SKEW_S = 5.0  # more, and what is fresh looks stale, or the other way round

Check = Callable[[], Awaitable[Finding]]


def checks(env: Env) -> Iterator[tuple[str, Check]]:
    """What there is to look at: a name, and how."""
    settings = env.environment
    if settings.prometheus is not None:
        yield f"{env.name}: prometheus", functools.partial(_prometheus, env)
    if settings.alertmanager is not None:
        yield f"{env.name}: alertmanager", functools.partial(_alertmanager, env)
    if settings.always_on is not None and not settings.deaf():
        yield f"{env.name}: always-on alert", functools.partial(_always_on, env, settings.always_on.alert)
    if settings.prometheus is not None:
        for name in list(settings.slos)[:SLOS_MAX]:
            yield f"{env.name}: SLO {name}", functools.partial(_budget, env, name)


async def _prometheus(env: Env) -> Finding:
    client = await prometheus.open_client(env)
    asked = time.time()
    at = await client.value("time()")
    ahead_s = at - (asked + time.time()) / 2
    if abs(ahead_s) > SKEW_S:
        said = f"{client.url}: its clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} ours"
        return Finding("fail", "", said, "set the clocks: fresh values would be taken for stale ones")
    up = await client.count("up == 1")
    said = f"{client.url}: answers, and scrapes {up} {'target' if up == 1 else 'targets'}"
    if not up:
        return Finding("warn", "", said, "nothing that it measures itself is fresh: look at its targets")
    return Finding("ok", "", said)


async def _alertmanager(env: Env) -> Finding:
    client = await alertmanager.open_client(env)
    heard = await client.alerts()
    many = len(heard.alerts)
    said = f"{client.url}: answers, and has {many} {'alert' if many == 1 else 'alerts'}"
    if env.environment.always_on is None:
        step = "name one, such as `always_on: Watchdog`: until then no absence of an alert is believed"
        return Finding("warn", "", f"{said}; this environment names no always-on alert", step)
    return Finding("ok", "", said)


async def _always_on(env: Env, ref: str) -> Finding:
    heard = await sources.source(env, ()).heard(env)
    always = env.environment.always_on
    assert always is not None
    deaf = alerts.unheard(ref, always.heard_within, heard)
    if deaf:
        return Finding(
            "fail", "", deaf, "until it fires no absence of an alert is believed: look at its rule and route"
        )
    return Finding("ok", "", f"{ref} is heard: that another one is not there means something")


async def _budget(env: Env, name: str) -> Finding:
    left = await slos.budget_left(await prometheus.open_client(env), env.environment.slos[name], time.time())
    if isinstance(left, slo.Unknown):
        return Finding("warn", "", f"its error budget is unknown: {left.why}", "a gate that asks for it says no")
    return Finding("ok", "", left.why)
