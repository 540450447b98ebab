"""What makes the loss of a payments pod felt: it has a capacity, and a new one has to warm up."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chaos_runner.pocket import payments, service, world


async def charged(books: payments.Payments, count: int) -> tuple[float, list[int]]:
    """How long so many charges at once take, and how each was answered."""
    began = time.monotonic()
    calls = [service.Call("r", json.dumps({"order": f"o{n}"}).encode()) for n in range(count)]
    answers = await asyncio.gather(*map(books.charge, calls))
    return time.monotonic() - began, [answer.status for answer in answers]


@pytest.mark.anyio
async def test_a_pod_charges_no_more_than_its_capacity() -> None:
    took_s, statuses = await charged(payments.Payments(capacity=100), 50)

    assert set(statuses) == {200}
    assert took_s >= 0.5 - 0.02


@pytest.mark.anyio
async def test_a_pod_without_a_capacity_charges_all_at_once() -> None:
    took_s, statuses = await charged(payments.Payments(), 400)

    assert set(statuses) == {200}
    assert took_s < 400 * payments.WORK_S / 2


@pytest.mark.anyio
async def test_charges_that_would_wait_too_long_are_refused_and_do_not_lengthen_the_wait() -> None:
    books = payments.Payments(capacity=100, backlog_max_s=0.2)
    _, statuses = await charged(books, 100)

    assert 15 <= statuses.count(200) <= 25
    assert statuses.count(503) == 100 - statuses.count(200)
    assert (await charged(books, 1))[1] == [200]


@contextmanager
def pod(**env: str) -> Iterator[str]:
    argv = [sys.executable, "-P", "-m", "chaos_runner.pocket.shop", "payments", "--until-eof"]
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=world.environment() | env,
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://{json.loads(process.stdout.readline())['listening']}"
        finally:
            process.terminate()


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return refusal.code


def test_a_new_pod_answers_but_is_not_ready_until_it_has_warmed_up() -> None:
    with pod(WARM_UP="60") as url:
        assert (status(f"{url}/healthz"), status(f"{url}/readyz")) == (200, 503)


def test_a_pod_that_starts_with_the_demo_is_ready_at_once() -> None:
    with pod(WARM_UP="60", WARM_BEFORE=str(time.time() + 60)) as url:
        assert status(f"{url}/readyz") == 200
    with pod(WARM_UP="60", WARM_BEFORE=str(time.time() - 1)) as url:
        assert status(f"{url}/readyz") == 503


@pytest.mark.parametrize("value", ["soon", "-1", "inf", "nan"])
def test_a_number_that_is_none_is_refused(value: str) -> None:
    argv = [sys.executable, "-P", "-m", "chaos_runner.pocket.shop", "payments"]
    env = {**os.environ, **world.environment(), "WARM_UP": value}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert f"WARM_UP is {value!r}" in done.stderr
