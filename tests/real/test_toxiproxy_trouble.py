"""A real Toxiproxy that stalls, freezes, restarts or loses its proxy: clean or stuck-then-clean, never silently dirty.

Each case has a server of its own, and all run at once; the target is looked at by plain HTTP only.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.proxy import toxi
from tests.real.toxibench import Ground, Runner, waited

pytestmark = pytest.mark.real
SLACK_S = 6.0  # all cases at once, on few cores
Found = dict[str, Any]


def stalled(ground: Ground, runner: Runner, end: Callable[[Runner], None]) -> None:
    """A client that does not read: the server never answers a DELETE of the toxic, nor anything after it."""
    ground.stall()
    end(runner)
    ground.until_clean(4 + SLACK_S)


def restarted(ground: Ground, runner: Runner, end: Callable[[Runner], None]) -> None:
    """The server died and came back with the same proxies and without toxics."""
    ground.restart()
    end(runner)


def deleted(ground: Ground, runner: Runner, end: Callable[[Runner], None]) -> None:
    """Somebody else deleted the proxy."""
    assert ground.api("DELETE", "/proxies/p").status == 204
    end(runner)


def frozen(ground: Ground, runner: Runner, end: Callable[[Runner], None]) -> None:
    """The server neither answers nor does anything, and then both; nobody's connections are lost by that."""
    line = ground.rig.line() if ground.proxies()["p"]["enabled"] else None
    with ground.frozen():
        end(runner)
        until = time.monotonic() + 3.5
        while time.monotonic() < until:
            assert not set(runner.states()) & {"UNDONE", "WATCHING", "CLOSED"}, "clean, while nobody could look"
            time.sleep(0.1)
    ground.until_clean(8 + SLACK_S)
    if line is not None:
        line.client.sendall(b"still there")
        assert toxi.read(line.server, 11) == b"still there"


def stuck(ground: Ground, runner: Runner, end: Callable[[Runner], None]) -> None:
    """The server is frozen for longer than anybody's patience: that is said, and the undo is tried on."""
    with ground.frozen():
        end(runner)
        waited(lambda: runner.states() == ["STUCK"], 40, "nobody said that it is stuck")
    ground.until_clean(30 + SLACK_S)


def gone(ground: Ground, runner: Runner, end: Callable[[Runner], None]) -> None:
    """The server is down when the undo begins, and back some seconds later."""
    ground.api.process.kill()
    ground.api.process.wait(5)
    end(runner)
    time.sleep(1.5)
    assert not set(runner.states()) & {"UNDONE", "WATCHING", "CLOSED"}, "clean, while nobody could look"
    ground.restart()


TROUBLES = {
    "stalled": stalled,
    "restarted": restarted,
    "deleted": deleted,
    "frozen": frozen,
    "stuck": stuck,
    "gone": gone,
}


def killed(runner: Runner) -> None:
    runner.kill()


def asked(runner: Runner) -> None:
    runner.ask()


ENDS = {"runner": asked, "guardian": killed}
CASES = [  # those that wait longest first; a proxy that is down has no clients that could stall
    ("stuck", "latency", "guardian"),
    ("stuck", "latency", "runner"),
    ("stuck", "proxy_down", "guardian"),
    ("frozen", "latency", "guardian"),
    ("frozen", "latency", "runner"),
    ("stalled", "latency", "guardian"),
    ("stalled", "latency", "runner"),
    ("frozen", "proxy_down", "guardian"),
    ("gone", "latency", "guardian"),
    ("gone", "proxy_down", "guardian"),
    ("restarted", "latency", "guardian"),
    ("restarted", "proxy_down", "runner"),
    ("deleted", "latency", "guardian"),
    ("deleted", "proxy_down", "runner"),
]


def case(folder: Path, trouble: str, kind: str, by: str) -> Found:
    """One fault, one trouble, and who undoes; then a recovery when all that could be under way has landed."""
    with contextlib.closing(Ground(folder)) as ground:
        runner = ground.run(kind=kind).injected()
        assert ground.harm()
        TROUBLES[trouble](ground, runner, ENDS[by])
        states = ground.agreed(runner)
        left = ground.proxies()
        runner.kill_guardian()
        runner.kill()
        recovered = ground.recovered()
        if trouble == "stalled":
            ground.exchange()
        return {
            "states": states,
            "left": left,
            "recovered": [(one.run, one.left) for one in recovered],
            "closed": runner.states(),
            "drift": runner.drift(),
            "after": ground.proxies(),
            "found": ground.found,
        }


@pytest.fixture(scope="module")
def results(ground_folder: Path) -> Iterator[dict[tuple[str, str, str], Future[Found]]]:
    with ThreadPoolExecutor(8) as pool:
        yield {one: pool.submit(case, ground_folder / "-".join(one), *one) for one in CASES}


def expected(found: dict[str, Any], trouble: str) -> dict[str, Any]:
    """What a server looks like after that trouble, had there been no fault."""
    if trouble == "deleted":
        return {}
    if trouble in ("restarted", "gone"):
        return {name: one | {"toxics": []} for name, one in found.items()}
    return found


def without_fences(proxies: dict[str, Any]) -> dict[str, Any]:
    """What is there beside names that are occupied by nothing."""
    return {
        name: one | {"toxics": [toxic for toxic in one["toxics"] if (toxic["type"], toxic["toxicity"]) != ("noop", 0)]}
        for name, one in proxies.items()
    }


@pytest.mark.parametrize(("trouble", "kind", "by"), CASES)
def test_whatever_the_server_does_it_is_left_as_it_was_and_the_ledger_says_so(
    trouble: str, kind: str, by: str, results: dict[tuple[str, str, str], Future[Found]]
) -> None:
    ran = results[trouble, kind, by].result()

    wanted = expected(ran["found"], trouble)
    assert without_fences(ran["left"]) == wanted, "when the ledger first said that it was clean"
    told = {"deleted": ["proxy/p was deleted by somebody else"], "frozen": [""], "stalled": [""], "stuck": [""]}
    assert ran["drift"] == told.get(trouble, ["by somebody else: toxic theirs removed"])
    assert not [left for _run, left in ran["recovered"] if left]
    assert ran["closed"] == ["CLOSED"], ran
    assert ran["after"] == wanted, "after the recovery: no fence and no trace either"
