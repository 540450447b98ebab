"""A guardian whose target is gone for good: it tries on as promised, and ends only when nobody wants that any more.

Each story waits most of its time, so all are told at once.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from chaos_runner import store
from chaos_runner.store import Owner
from tests.guardian.bench import Small
from tests.guardian.runner import RUN
from tests.proxy import toxi

FAULT = f"{RUN}.0"
SOON_S = 30.0  # a look and a try, and the journal's own patience at the end
ALL_S = 120.0
FORSAKEN_S = 4.0


class Stranded(Small):
    """A dead runner's toxic on a proxy whose server is dead too."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.servers = [self._serve(folder / "proxy.log")]
        super().__init__(folder / "state", self.servers[0], "--patience", "0.5", *arguments)

    def _serve(self, log: Path, *flags: str) -> toxi.Api:
        api = toxi.start_embedded(log, *flags, env={"CHAOS_RUNNER_PROXY_TOKEN": ""})
        api.make("p")
        return api

    def strand(self) -> None:
        self.api.process.kill()
        self.api.process.wait(10)
        self.kill(signal.SIGKILL)

    def stuck(self) -> None:
        self.strand()
        self.until(lambda ledger: ledger.faults(RUN)[0].state == "STUCK")

    def revive(self) -> None:
        """Starts the server again, with the toxic."""
        again = self._serve(self.folder / "again.log", "-port", str(self.api.port))
        self.servers.append(again)
        assert again("PUT", f"/chaos-runner/v1/leases/{RUN}", {"ttl": 3600}).status == 200
        again.toxic("latency", name=f"cx.{FAULT}.4102444800", latency=50)

    def close(self) -> None:
        super().close()
        for server in self.servers:
            toxi.stop(server)


@contextlib.contextmanager
def stranded(folder: Path, *arguments: str) -> Iterator[Stranded]:
    bench = Stranded(folder, *arguments)
    try:
        yield bench
    finally:
        bench.close()


def it_tries_on_while_the_fault_is_open(folder: Path) -> None:
    with stranded(folder) as bench:
        bench.stuck()
        assert not bench.guardian_gone(5.0)
        bench.revive()

        bench.clean_after(SOON_S)


def it_leaves_a_fault_as_it_is_that_a_person_has_forgotten(folder: Path) -> None:
    with stranded(folder) as bench:
        bench.stuck()
        with store.open_store(bench.state) as ledger:
            ledger.forget(FAULT, "the machine was scrapped", "me")

        assert bench.guardian_gone(SOON_S)
        assert f"left as it is: {FAULT}: {FAULT} is FORGOTTEN" in bench.log()
        with bench.ledger() as ledger:
            assert [row.state for row in ledger.faults(RUN)] == ["FORGOTTEN"]


def it_lets_go_of_a_run_that_somebody_took_over_only_once_the_fault_is_closed(folder: Path) -> None:
    with stranded(folder) as bench:
        bench.stuck()
        with store.open_store(bench.state) as ledger:
            epoch = ledger.take_over(RUN, Owner.mine())
            assert not bench.guardian_gone(5.0), "nobody else may be looking at this fault"
            ledger.set_fault_state(FAULT, epoch, "CLOSED")

        assert bench.guardian_gone(SOON_S)
        assert f"left as it is: {FAULT}: {FAULT} is CLOSED" in bench.log()


def it_tries_on_without_its_ledger(folder: Path) -> None:
    with stranded(folder) as bench:
        bench.stuck()
        bench.state.rename(bench.state.with_name("elsewhere"))
        assert not bench.guardian_gone(5.0)
        bench.revive()

        bench.clean_after(SOON_S)


def it_makes_no_ledger_and_ends_after_a_stated_time_without_one(folder: Path) -> None:
    with stranded(folder, "--forsaken", f"{FORSAKEN_S:g}") as bench:
        bench.state.rename(bench.state.with_name("elsewhere"))
        began = time.monotonic()
        bench.strand()

        assert bench.guardian_gone(FORSAKEN_S + SOON_S)
        assert time.monotonic() - began > FORSAKEN_S
        assert not bench.state.exists()
        log = (bench.state.with_name("elsewhere") / "guardian.log").read_text()
        assert f"left as it is: {FAULT}: the ledger has not been readable for " in log


Story = Callable[[Path], None]
STORIES: tuple[Story, ...] = (
    it_tries_on_while_the_fault_is_open,
    it_leaves_a_fault_as_it_is_that_a_person_has_forgotten,
    it_lets_go_of_a_run_that_somebody_took_over_only_once_the_fault_is_closed,
    it_tries_on_without_its_ledger,
    it_makes_no_ledger_and_ends_after_a_stated_time_without_one,
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Story, Future[None]]]:
    with ThreadPoolExecutor(len(STORIES)) as pool:
        yield {story: pool.submit(story, tmp_path_factory.mktemp(story.__name__[:20])) for story in STORIES}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_of_a_guardian_whose_target_is_gone_for_good(story: Story, told: dict[Story, Future[None]]) -> None:
    told[story].result(ALL_S)
