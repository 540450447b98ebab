"""One service of the demo shop: `python -m chaos_runner.pocket.shop SERVICE`, every address by environment variable.

LISTEN (default 127.0.0.1:0), MODE (fragile or resilient), CHECKOUT_URL, PAYMENTS_URL, CATALOG_URL; of payments
CAPACITY (charges in a second), of all WARM_UP (seconds before it is ready) and WARM_BEFORE (Unix time; who starts
before it is ready at once).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Coroutine, Mapping
from typing import Any

import msgspec

from chaos_runner.pocket import http_client, http_server, lifeline, rules
from chaos_runner.pocket.catalog import catalog
from chaos_runner.pocket.checkout import Checkout
from chaos_runner.pocket.gateway import Gateway
from chaos_runner.pocket.payments import Payments
from chaos_runner.pocket.service import Service, log

SERVICES = ("gateway", "checkout", "payments", "catalog")
Environment = Mapping[str, str]


class SettingError(ValueError):
    """An environment variable is missing or says something impossible."""


def build(name: str, env: Environment) -> tuple[Service, Coroutine[Any, Any, None] | None]:
    """The service, and what it does in the background."""
    mode = _mode(env)
    if name == "gateway":
        return Gateway(_needed(env, "CHECKOUT_URL"), _needed(env, "CATALOG_URL"), mode).as_service(), None
    if name == "checkout":
        checkout = Checkout(_needed(env, "PAYMENTS_URL"), mode)
        return checkout.as_service(), checkout.complete_waiting()
    if name == "payments":
        return Payments(_number(env, "CAPACITY")).as_service(), None
    return catalog(), None


async def serve(name: str, env: Environment, *, until_eof: bool) -> None:
    """Serves until asked to end; what is in flight then may finish."""
    asked = await lifeline.end_asked(until_eof=until_eof)
    host, port = _listen(env)
    service, background = build(name, env)
    server = http_server.HttpServer(service.handle)
    task = asyncio.create_task(background) if background is not None else None
    bound_host, bound_port = await server.start(host, port)
    warming = asyncio.create_task(_warm_up(service, _warm_up_s(env)))
    _announce({"listening": f"{bound_host}:{bound_port}", "service": name, "pid": os.getpid()})
    await asked.wait()
    warming.cancel()
    service.ready = False
    await server.stop()
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    log(service=name, event="stopped")


async def _warm_up(service: Service, seconds: float) -> None:
    # It answers already, as a program does whose caches are still empty; only /readyz says no.
    if seconds:
        await asyncio.sleep(seconds)
    service.ready = True


def _warm_up_s(env: Environment) -> float:
    return 0.0 if time.time() < (_number(env, "WARM_BEFORE") or 0.0) else (_number(env, "WARM_UP") or 0.0)


def main(argv: list[str] | None = None) -> int:
    """Runs one service in the foreground."""
    parser = argparse.ArgumentParser(prog="python -m chaos_runner.pocket.shop", description=__doc__)
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("--until-eof", action="store_true", help="end when stdin ends")
    options = parser.parse_args(argv)
    try:
        asyncio.run(serve(options.service, os.environ, until_eof=options.until_eof))
    except (SettingError, OSError) as refusal:
        sys.stderr.write(f"not started: {options.service}: {refusal}\n")
        return 2
    return 0


def _mode(env: Environment) -> rules.Rules:
    name = env.get("MODE", "fragile")
    if name not in rules.MODES:
        raise SettingError(f"MODE is {name!r}; it can be {' or '.join(rules.MODES)}")
    return rules.MODES[name]


def _number(env: Environment, name: str) -> float | None:
    if not env.get(name):
        return None
    try:
        number = float(env[name])
    except ValueError:
        number = -1.0
    if not 0.0 <= number < float("inf"):
        raise SettingError(f"{name} is {env[name]!r}; it is a number, not below zero")
    return number


def _needed(env: Environment, name: str) -> str:
    if not env.get(name):
        raise SettingError(f"{name} is not set; it is an address like http://127.0.0.1:8080")
    try:
        http_client.address_of(env[name])
    except ValueError as refusal:
        raise SettingError(f"{name} is {refusal}") from refusal
    return env[name]


def _listen(env: Environment) -> tuple[str, int]:
    text = env.get("LISTEN", "127.0.0.1:0")
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise SettingError(f"LISTEN is {text!r}; it is host:port, and port 0 lets the system choose")
    return host or "127.0.0.1", int(port)


def _announce(value: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
