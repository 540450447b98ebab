"""Faults of requests on the real Toxiproxy: whoever dies, the proxy leads back to its service and traffic flows."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import slices
from tests.crash.relay import Call, Moment, Relay
from tests.real.stagebench import Asker, Site, asked, ended, kill
from tests.real.toxibench import Runner, waited

pytestmark = pytest.mark.real
SLACK_S = 6.0  # several cases at once, on few cores
MARK = "cx.run-1.0.4102444800"


@pytest.fixture
def site(ground_folder: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    with contextlib.closing(Site(ground_folder / request.node.name)) as site:
        yield site


def test_requests_are_hit_and_then_the_proxy_leads_back_and_nothing_is_left(site: Site) -> None:
    assert asked(site.front) == 200
    runner = site.staged()
    with Asker(site.front) as asker:
        time.sleep(1)
        assert set(asker.since(0)) == {503}
        runner.ask()
        assert runner.said()["state"] == "CLOSED"
        gone = time.monotonic()
        time.sleep(0.5)
    assert set(asker.since(gone)) == {200}
    assert runner.process.wait(10) == 3
    assert site.proxies() == site.found
    assert ended(runner.stage["pid"], SLACK_S)


class Death(NamedTuple):
    """Who dies, of `runner`, `guardian` and `stage`; and how soon the proxy must lead back."""

    who: str
    bound_s: float
    sign: int = signal.SIGKILL


DEATHS = [
    Death("runner", 1.0),
    Death("guardian", 2.0),
    Death("runner guardian", 6.0),
    Death("stage", 3.0),
    Death("stage", 4.0, signal.SIGSTOP),
    Death("stage", 1.0, signal.SIGTERM),
    Death("runner", 6.0, signal.SIGSTOP),
    Death("runner stage", 2.0),
    Death("guardian stage", 4.0),
]
ONE_OF_EACH = {"runner", "runner guardian", "stage"}  # the others are mixtures of these


def death(folder: Path, one: Death) -> dict[str, object]:
    """How long it took, what was asked then, and what a later recovery leaves."""
    with contextlib.closing(Site(folder)) as site:
        runner = site.staged()
        assert asked(site.front) == 503
        time.sleep(0.3)  # between two renewals of the lease
        pids = {"runner": runner.process.pid, "guardian": runner.guardian, "stage": runner.stage["pid"]}
        for who in one.who.split():
            kill(pids[who], one.sign)
        took = site.until_back(one.bound_s + SLACK_S)
        time.sleep(1.5)
        after = asked(site.front)
        kill(pids["stage"], signal.SIGCONT)
        runner.ask()
        if "runner" not in one.who and "guardian" not in one.who:
            runner.said()
            runner.process.wait(20)
        kill(pids["runner"], signal.SIGKILL)
        runner.kill_guardian()
        return {"took": took, "after": after, "left": site.cleaned(), "harm": site.harm()}


@pytest.fixture(scope="module")
def deaths(ground_folder: Path, request: pytest.FixtureRequest) -> Iterator[dict[Death, Future[dict[str, object]]]]:
    asked = [one for one in slices.asked(request, "one") if isinstance(one, Death)]
    with ThreadPoolExecutor(3) as pool:
        yield {one: pool.submit(death, ground_folder / f"death-{n}", one) for n, one in enumerate(asked)}


def _always(one: Death) -> bool:
    return one.who in ONE_OF_EACH and one.sign == signal.SIGKILL


@pytest.mark.parametrize(
    "one", slices.thin(DEATHS, _always), ids=lambda one: f"{one.who} {signal.Signals(one.sign).name}"
)
def test_whoever_dies_the_proxy_leads_back_in_time_and_recovery_leaves_nothing(
    deaths: dict[Death, Future[dict[str, object]]], one: Death
) -> None:
    found = deaths[one].result()
    print(f"{one}: led back after {found['took']:.2f} s")
    assert (found["after"], found["left"], found["harm"]) == (200, [], [])
    assert isinstance(found["took"], float)
    assert found["took"] < one.bound_s + SLACK_S


def test_runner_guardian_and_stage_dead_the_next_recovery_finds_the_way_back(site: Site) -> None:
    runner = site.staged()
    for pid in (runner.stage["pid"], runner.guardian, runner.process.pid):
        kill(pid)
    runner.kill()
    assert asked(site.front) == 0
    assert site.cleaned() == []
    assert site.proxies() == site.found
    assert asked(site.front) == 200


STEPS: dict[str, Callable[[Call, str], bool]] = {
    "claim": lambda call, _: (call.method, call.path) == ("POST", "/proxies/p/toxics"),
    "trial": lambda call, _: call.method == "POST" and call.body.get("name") == f"{MARK}.trial",
    "end of the trial": lambda call, _: call.method == "DELETE" and call.path.endswith(".trial"),
    "trace": lambda call, _: call.method == "POST" and call.body.get("name") == f"{MARK}.stage",
    "leading in": lambda call, home: call.method == "PATCH" and call.body.get("upstream", home) != home,
    "leading back": lambda call, home: call.method == "PATCH" and call.body.get("upstream") == home,
    "end of the claim": lambda call, _: (call.method, call.path) == ("DELETE", f"/proxies/p/toxics/{MARK}"),
    "end of the trace": lambda call, _: (call.method, call.path) == ("DELETE", f"/proxies/{MARK}.stage"),
}
MOMENTS: tuple[Moment, ...] = ("received", "forwarded", "answered")
LATE_S = 2.0  # what was received from the dead lands when it has been undone


class Crash(NamedTuple):
    """A request on whose way the runner is killed, and perhaps its guardian with it."""

    step: str
    moment: Moment
    guarded: bool


EVERY = [Crash(step, moment, guarded) for step in STEPS for moment in MOMENTS for guarded in (True, False)]
MOST = [one for one in EVERY if one.moment != "answered" and (one.guarded or one.step.startswith("leading"))]
CRASHES = EVERY if os.environ.get("STAGE_POINTS") == "all" else MOST
# Around the deed itself, and its first request.
ALWAYS = {
    Crash("claim", "received", True),
    Crash("leading in", "received", True),
    Crash("leading in", "forwarded", False),
    Crash("leading back", "forwarded", True),
}


def crash(folder: Path, one: Crash) -> dict[str, object]:
    """What was there once all had landed, and what recoveries leave."""
    with contextlib.closing(Site(folder)) as site:
        relay = Relay(site.port, lambda: True)
        hit: list[float] = []
        runner: list[Runner] = []

        def fail(call: Call, _number: int, moment: Moment) -> None:
            if hit or not runner or moment != one.moment or not STEPS[one.step](call, site.upstream):
                return
            hit.append(time.monotonic())
            for pid in (runner[0].process.pid, *(() if one.guarded else (runner[0].guardian,))):
                kill(pid)
            if moment == "received":
                time.sleep(LATE_S)

        relay.failpoint = fail
        try:
            runner.append(site.run("run-1", "http_error", url=relay.doors["runner"], others=site.url))
            assert runner[0].said()["guardian"]
            if runner[0].said():
                runner[0].ask()
            waited(lambda: bool(hit), 20, f"{one} was not reached: {relay.calls}")
            runner[0].process.wait(10)
            time.sleep(LATE_S if one.moment == "received" else 0)
            took = site.until_back(6 + SLACK_S)
            assert relay.quiet()
            runner[0].kill_guardian()
            return {"took": took, "left": site.cleaned(), "proxies": site.proxies() == site.found}
        finally:
            relay.close()


@pytest.fixture(scope="module")
def crashes(ground_folder: Path, request: pytest.FixtureRequest) -> Iterator[dict[Crash, Future[dict[str, object]]]]:
    asked = [one for one in slices.asked(request, "one") if isinstance(one, Crash)]
    with ThreadPoolExecutor(3) as pool:
        yield {one: pool.submit(crash, ground_folder / f"crash-{n}", one) for n, one in enumerate(asked)}


@pytest.mark.parametrize(
    "one",
    slices.thin(CRASHES, ALWAYS.__contains__),
    ids=lambda one: f"{one.step} {one.moment} {'guarded' if one.guarded else ''}",
)
def test_a_runner_killed_on_the_way_of_any_request_leaves_the_proxy_as_it_was(
    crashes: dict[Crash, Future[dict[str, object]]], one: Crash
) -> None:
    found = crashes[one].result()
    assert (found["left"], found["proxies"]) == ([], True)
