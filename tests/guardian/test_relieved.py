"""A guardian whose target is gone for good: it tries on as promised, and ends only when nobody wants that any more."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos_runner import store
from chaos_runner.store import Owner
from tests.guardian.bench import Small
from tests.guardian.runner import RUN
from tests.proxy import toxi

FAULT = f"{RUN}.0"
SOON_S = 30.0  # a look and a try, and the journal's own patience at the end


@pytest.fixture
def stuck(tmp_path: Path, api: toxi.Api) -> Iterator[Small]:
    """A dead runner's toxic on a proxy whose server is dead too."""
    bench = stranded(Small(tmp_path / "state", api, "--patience", "0.5"))
    bench.until(lambda ledger: ledger.faults(RUN)[0].state == "STUCK")
    yield bench
    bench.close()


def stranded(bench: Small) -> Small:
    bench.api.process.kill()
    bench.api.process.wait(10)
    bench.kill(signal.SIGKILL)
    return bench


@pytest.fixture
def revived(tmp_path: Path, stuck: Small) -> Iterator[Callable[[], None]]:
    """Starts the server again, with the toxic."""
    started: list[toxi.Api] = []

    def revive() -> None:
        started.append(
            toxi.start_embedded(
                tmp_path / "again.log", "-port", str(stuck.api.port), env={"CHAOS_RUNNER_PROXY_TOKEN": ""}
            )
        )
        started[0].make("p")
        assert started[0]("PUT", f"/chaos-runner/v1/leases/{RUN}", {"ttl": 3600}).status == 200
        started[0].toxic("latency", name=f"cx.{FAULT}.4102444800", latency=50)

    yield revive
    for api in started:
        toxi.stop(api)


def test_it_tries_on_while_the_fault_is_open(stuck: Small, revived: Callable[[], None]) -> None:
    assert not stuck.guardian_gone(5.0)
    revived()

    stuck.clean_after(SOON_S)


def test_a_fault_that_a_person_has_forgotten_is_left_as_it_is(stuck: Small) -> None:
    with store.open_store(stuck.state) as ledger:
        ledger.forget(FAULT, "the machine was scrapped", "me")

    assert stuck.guardian_gone(SOON_S)
    assert f"left as it is: {FAULT}: {FAULT} is FORGOTTEN" in stuck.log()
    with stuck.ledger() as ledger:
        assert [row.state for row in ledger.faults(RUN)] == ["FORGOTTEN"]


def test_of_a_run_that_somebody_else_took_over_it_lets_go_only_once_the_fault_is_closed(stuck: Small) -> None:
    with store.open_store(stuck.state) as ledger:
        epoch = ledger.take_over(RUN, Owner.mine())
        assert not stuck.guardian_gone(5.0), "nobody else may be looking at this fault"
        ledger.set_fault_state(FAULT, epoch, "CLOSED")

    assert stuck.guardian_gone(SOON_S)
    assert f"left as it is: {FAULT}: {FAULT} is CLOSED" in stuck.log()


def test_without_its_ledger_it_tries_on(stuck: Small, revived: Callable[[], None]) -> None:
    stuck.state.rename(stuck.state.with_name("elsewhere"))
    assert not stuck.guardian_gone(5.0)
    revived()

    stuck.clean_after(SOON_S)


def test_without_a_ledger_it_makes_none_and_ends_after_a_stated_time(tmp_path: Path, api: toxi.Api) -> None:
    bench = Small(tmp_path / "state", api, "--patience", "0.5", "--forsaken", "4")
    try:
        bench.state.rename(bench.state.with_name("elsewhere"))
        began = time.monotonic()
        stranded(bench)

        assert bench.guardian_gone(4.0 + SOON_S)
        assert time.monotonic() - began > 4.0
        assert not bench.state.exists()
        log = (bench.state.with_name("elsewhere") / "guardian.log").read_text()
        assert f"left as it is: {FAULT}: the ledger has not been readable for " in log
    finally:
        bench.close()
