"""Whole runs against worlds of real processes, all at once: each case has a world and a folder of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from chaos_runner.pocket.world import start_world
from chaos_runner.records import RunEnded
from tests.gates.bench import Bench, benched
from tests.proxy import toxi

pytestmark = pytest.mark.world
SLACK_S = 3.0  # every world is busy at the same time, on few cores
HELD = {"hold": "30s", "rate": "15/s", "success": "95%"}  # its verdict is not waited for, so few requests are enough
CONFIRM = 'confirm: ["shoppers p50 rises >= 200ms"]'


def plain(bench: Bench, **fields: str) -> dict[str, Any]:
    """One run to its end."""
    bench.write(**fields)
    code, said = bench.run()
    return {"code": code, "said": said, **bench.left()}


def bypassed(bench: Bench) -> dict[str, Any]:
    """The checks ask a service that does not pass the proxy: the fault hits nobody."""
    direct = bench.world.services["payments"]
    return plain(bench, check=f'url: "{direct}", path: /readyz')


def killed(bench: Bench) -> dict[str, Any]:
    """SIGKILL in the middle of the window; then the next run recovers nothing, for the guardian did it."""
    bench.write(**HELD)
    with bench.start("run", "e.yaml", "--no-report") as process:
        bench.until_toxic(process)
        os.kill(process.pid, signal.SIGKILL)
        took = bench.clean_after(1 + SLACK_S)
        process.wait(10)
        process.communicate()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with bench.ledger() as ledger:
            run = ledger.latest_run()
            ended = [entry.record for entry in ledger.records(run) if isinstance(entry.record, RunEnded)]
        if ended:
            break
        time.sleep(0.1)
    return {"took": took, "ended": ended, "toxics": bench.toxics()}


def stopped(bench: Bench) -> dict[str, Any]:
    """SIGSTOP: the guardian acts after five seconds of silence."""
    bench.write(**HELD)
    with bench.start("run", "e.yaml", "--no-report") as process:
        bench.until_toxic(process)
        os.kill(process.pid, signal.SIGSTOP)
        took = bench.clean_after(6 + SLACK_S)
        code = process.wait(10)
        process.communicate()
    return {"took": took, "code": code}


def abandoned(bench: Bench) -> dict[str, Any]:
    """Runner and guardian killed at once: the embedded proxy's lease lapses."""
    bench.write(**HELD)
    with bench.start("run", "e.yaml", "--no-report") as process:
        bench.until_toxic(process)
        for pid in (*bench.guardians(), process.pid):
            os.kill(pid, signal.SIGKILL)
        took = bench.clean_after(5 + SLACK_S)
        process.wait(10)
        process.communicate()
    code, said = bench.command("recover")
    return {"took": took, "code": code, "said": said}


def unguarded(bench: Bench) -> dict[str, Any]:
    """The guardian dies: the runner stops and undoes."""
    bench.write(**HELD)
    with bench.start("run", "e.yaml", "--no-report") as process:
        bench.until_toxic(process)
        for pid in bench.guardians():
            os.kill(pid, signal.SIGKILL)
        took = bench.clean_after(1 + SLACK_S)
        out, err = process.communicate(timeout=60)
    return {"took": took, "code": process.returncode, "said": (out + err).decode()}


def interrupted(bench: Bench) -> dict[str, Any]:
    """Ctrl-C, and again."""
    bench.write(**HELD)
    with bench.start("run", "e.yaml", "--no-report") as process:
        bench.until_toxic(process)
        os.kill(process.pid, signal.SIGINT)
        os.kill(process.pid, signal.SIGINT)
        took = bench.clean_after(1 + SLACK_S)
        out, err = process.communicate(timeout=60)
    return {"took": took, "code": process.returncode, "said": (out + err).decode()}


class Case(NamedTuple):
    """Something to happen to a run in a world; cases of one world come one after the other, in this order."""

    world: str
    mode: str
    real: bool
    work: Callable[[Bench], dict[str, Any]]


# What leaves a fence behind comes last in its world.
CASES = {
    "resilient": Case("a", "resilient", False, plain),
    "bypassed": Case("a", "resilient", False, bypassed),
    "interrupted": Case("a", "resilient", False, interrupted),
    "abandoned": Case("a", "resilient", False, abandoned),
    "fragile": Case("b", "fragile", False, plain),
    "unguarded": Case("c", "resilient", False, unguarded),
    "killed": Case("c", "resilient", False, killed),
    "stopped": Case("d", "resilient", False, stopped),
    "real fragile": Case("e", "fragile", True, lambda bench: plain(bench, confirm=CONFIRM)),
    "real unconfirmed": Case("f", "resilient", True, plain),
    "real read back": Case("f", "resilient", True, lambda bench: plain(bench, confirm="confirm: [read-back]")),
    "real killed": Case("f", "resilient", True, killed),
}


def lived(ground: Path, cases: list[str], results: dict[str, Future[dict[str, Any]]]) -> None:
    """The cases of one world."""
    mode, real = CASES[cases[0]].mode, CASES[cases[0]].real
    with start_world(mode, str(toxi.REAL) if real else None) as world:
        for name in cases:
            try:
                with benched(ground / name.replace(" ", "-"), world) as bench:
                    results[name].set_result(CASES[name].work(bench))
            except (Exception, pytest.fail.Exception) as why:  # told by the test of this case; the others go on
                results[name].set_exception(why)


@pytest.fixture(scope="module")
def results(ground: Path) -> Iterator[dict[str, Future[dict[str, Any]]]]:
    """Six worlds at a time: more would be slow by themselves, and a slow baseline is no baseline."""
    names = [name for name, case in CASES.items() if not case.real or toxi.REAL.exists()]
    found: dict[str, Future[dict[str, Any]]] = {name: Future() for name in names}
    worlds = {
        CASES[name].world: [other for other in names if CASES[other].world == CASES[name].world] for name in names
    }
    with ThreadPoolExecutor(6) as pool:
        lives = [pool.submit(lived, ground, cases, found) for cases in worlds.values()]
        yield found
    for life in lives:
        life.result()


def took(result: dict[str, Any], limit_s: float) -> None:
    print(f"clean after {result['took'] * 1000:.0f} ms")
    assert result["took"] < limit_s


def clean(result: dict[str, Any]) -> None:
    assert result["toxics"] == []
    assert result["guardians"] == []


def test_the_fragile_shop_is_stopped_by_its_criterion(results: Any) -> None:
    result = results["fragile"].result()

    assert result["code"] == 4, result["said"]
    assert "ABORTED: shoppers:" in result["said"]
    clean(result)


def test_the_resilient_shop_holds(results: Any) -> None:
    result = results["resilient"].result()

    assert result["code"] == 0, result["said"]
    assert "HELD: " in result["said"]
    clean(result)


def test_traffic_that_does_not_pass_the_proxy_teaches_nothing(results: Any) -> None:
    result = results["bypassed"].result()

    assert result["code"] == 3, result["said"]
    assert "UNKNOWN: proxy/payments: the effect was not shown" in result["said"]
    clean(result)


def test_a_killed_runner_leaves_no_toxic(results: Any) -> None:
    result = results["killed"].result()

    took(result, 1 + SLACK_S)
    assert result["toxics"] == []
    assert [(end.by, end.outcome.stopped_by) for end in result["ended"]] == [("guardian", "died")]


def test_a_stopped_runner_leaves_no_toxic_and_never_wakes_up(results: Any) -> None:
    result = results["stopped"].result()

    took(result, 6 + SLACK_S)
    assert result["code"] == -signal.SIGKILL


def test_a_run_that_nobody_looks_after_is_undone_by_its_lease_and_ended_by_the_next_recovery(results: Any) -> None:
    result = results["abandoned"].result()

    took(result, 5 + SLACK_S)
    assert result["code"] == 0, result["said"]
    assert "undone" in result["said"]


def test_a_run_without_its_guardian_stops(results: Any) -> None:
    result = results["unguarded"].result()

    took(result, 1 + SLACK_S)
    assert result["code"] == 4, result["said"]
    assert "the guardian died" in result["said"]


def test_asking_twice_undoes_all_the_same(results: Any) -> None:
    result = results["interrupted"].result()

    took(result, 1 + SLACK_S)
    assert result["code"] == 4, result["said"]
    assert "asked to stop" in result["said"]


@pytest.mark.real
def test_on_the_real_proxy_the_fragile_shop_is_stopped(results: Any, real_path: str) -> None:
    result = results["real fragile"].result()

    assert result["code"] == 4, result["said"]
    clean(result)


@pytest.mark.real
def test_on_the_real_proxy_an_effect_that_nothing_shows_is_unknown(results: Any, real_path: str) -> None:
    result = results["real unconfirmed"].result()

    assert result["code"] == 3, result["said"]
    assert "nothing here can show its effect" in result["said"]
    clean(result)


@pytest.mark.real
def test_on_the_real_proxy_the_resilient_shop_holds_where_reading_back_is_enough(results: Any, real_path: str) -> None:
    result = results["real read back"].result()

    assert result["code"] == 0, result["said"]
    clean(result)


@pytest.mark.real
def test_on_the_real_proxy_a_killed_runner_leaves_no_toxic(results: Any, real_path: str) -> None:
    result = results["real killed"].result()

    took(result, 1 + SLACK_S)
    assert result["toxics"] == []
    assert [end.by for end in result["ended"]] == ["guardian"]
