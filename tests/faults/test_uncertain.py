"""Replies that are lost, cut off or false, and requests that land late: uncertain, undone, watched; then closed."""

from __future__ import annotations

import contextlib
import http.client
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from chaos_runner import recover, store
from chaos_runner.clock import Clock
from chaos_runner.drive import Drive
from chaos_runner.faults.proxy_down import ProxyDown
from chaos_runner.lifecycle import WATCH_S
from tests.faults.conftest import ToxiWorld
from tests.proxy.relay import Fate, Relay
from tests.proxy.toxi import LOOP
from tests.real import runner
from tests.real.toxibench import Observer

pytestmark = pytest.mark.anyio
RUN = "run-1"
LANDED: tuple[Fate, ...] = ("lost", "reset", "error")


class Case:
    """One fault of a run with a real ledger, whose requests pass a relay. Looked at by plain HTTP beside it."""

    def __init__(self, world: ToxiWorld, relay: Relay, folder: Path) -> None:
        self.world, self.relay, self.folder = world, relay, folder
        self.env = runner.environment(relay.url)

    async def drive(self, kind: str) -> Drive:
        journal = runner.begun(RUN, self.folder, self.env, Clock())
        return await runner.drive_of(RUN, kind, self.env, journal, None)

    def harm(self) -> bool:
        line = http.client.HTTPConnection(LOOP, self.world.api.port, timeout=5)
        try:
            line.request("GET", "/proxies/p")
            proxy = json.loads(line.getresponse().read())
        finally:
            line.close()
        ours = [toxic for toxic in proxy["toxics"] if toxic["name"].startswith("cx.") and toxic["type"] != "noop"]
        return bool(ours) or not proxy["enabled"]

    def states(self) -> list[str]:
        with store.open_store(self.folder, read_only=True) as ledger:
            return [row.state for row in ledger.faults(RUN)]

    async def recovered(self, *, aged_s: float = WATCH_S + 1, watch: bool = True) -> None:
        """A recovery after the next boot, so much later; whoever had the run before is dead."""
        with contextlib.closing(sqlite3.connect(self.folder / "ledger.sqlite")) as ledger, ledger:
            ledger.execute("UPDATE run SET owner = replace(owner, '\"start_time\":', '\"start_time\":1')")
            ledger.execute("UPDATE fault SET outcome = '', updated_at = updated_at - ?", (aged_s,))
        with store.open_store(self.folder, allow_tmpfs=True) as ledger:
            await recover.recover(ledger, None, lambda _: None, patience_s=5, watch=watch)


@pytest.fixture
def relay(world: ToxiWorld) -> Iterator[Relay]:
    with Relay(world.api.port) as relay:
        yield relay


@pytest.fixture
async def case(world: ToxiWorld, relay: Relay, tmp_path: Path) -> AsyncIterator[Case]:
    case = Case(world, relay, tmp_path / "state")
    yield case
    await case.env.aclose()


SENT = {"latency": "POST", "proxy_down": "PATCH"}


@pytest.mark.parametrize("fate", LANDED)
@pytest.mark.parametrize("kind", SENT)
async def test_a_fault_whose_reply_is_lost_is_unknown_undone_and_watched(kind: str, fate: Fate, case: Case) -> None:
    drive = await case.drive(kind)
    case.relay.once(SENT[kind], fate)
    assert (await drive.inject()).state == "UNKNOWN"
    assert case.harm(), "it has landed"
    assert (await drive.undo(patience_s=5)).state == "WATCHING"
    assert not case.harm()


@pytest.mark.parametrize("kind", SENT)
async def test_an_uncertain_fault_is_closed_by_the_look_after_its_watch_and_not_before(kind: str, case: Case) -> None:
    drive = await case.drive(kind)
    case.relay.once(SENT[kind], "lost")
    await drive.inject()
    await drive.undo(patience_s=5)
    drive.tell()
    await case.recovered(aged_s=WATCH_S / 2, watch=False)
    assert case.states() == ["WATCHING"], "a minute is not over"
    await case.recovered()
    assert case.states() == ["CLOSED"]
    assert case.world.toxics() == {"theirs"}


@pytest.mark.parametrize("kind", SENT)
async def test_an_undo_that_is_told_that_there_is_nothing_is_clean_only_once_a_read_says_so(
    kind: str, case: Case
) -> None:
    drive = await case.drive(kind)
    assert (await drive.inject()).state == "INJECTED"
    case.relay.once("DELETE", "denied")
    assert (await drive.undo(patience_s=5)).state == "CLOSED"
    assert [asked.method for asked in case.relay.asked].count("DELETE") == 2, "it was there, and was removed"
    assert case.world.toxics() == {"theirs"}
    assert not case.harm()


@pytest.mark.parametrize("fate", [*LANDED, "held"])
@pytest.mark.parametrize("kind", SENT)
async def test_an_undo_whose_reply_is_lost_is_read_back_and_repeated(kind: str, fate: Fate, case: Case) -> None:
    drive = await case.drive(kind)
    assert (await drive.inject()).state == "INJECTED"
    case.relay.once("DELETE", fate)
    assert (await drive.undo(patience_s=5)).state == "CLOSED"
    drive.tell()
    assert not case.harm()
    assert case.world.toxics() == {"theirs"}
    case.relay.release()
    assert case.world.toxics() == {"theirs"}
    assert case.states() == ["CLOSED"]


async def test_a_toxic_that_lands_after_its_undo_was_verified_lives_for_no_time_at_all(case: Case) -> None:
    drive = await case.drive("latency")
    case.relay.once("POST", "held")
    with Observer(case.harm) as observer:
        assert (await drive.inject()).state == "UNKNOWN"
        assert (await drive.undo(patience_s=5)).state == "WATCHING"
        drive.tell()
        assert case.relay.release() == [409], "its name is taken"
        await case.recovered()
    assert len(observer.seen) > 5
    assert not any(harm for _at, harm in observer.seen)
    assert case.states() == ["CLOSED"]
    assert case.world.toxics() == {"theirs"}


async def test_a_down_that_lands_after_its_undo_was_verified_is_found_by_the_watch(case: Case) -> None:
    drive = await case.drive("proxy_down")
    case.relay.once("PATCH", "held")
    assert (await drive.inject()).state == "UNKNOWN"
    assert (await drive.undo(patience_s=5)).state == "WATCHING"
    drive.tell()
    assert not case.harm()
    assert case.relay.release() == [200], "nothing on the real server can keep it out"
    assert case.harm()
    await case.recovered(watch=False)
    assert not case.harm(), "the look at the end of the watch finds it"
    assert case.states() == ["WATCHING"], "and not closed: what came late once may come again"
    await case.recovered()
    assert case.states() == ["CLOSED"]
    assert case.world.toxics() == {"theirs"}


async def test_on_the_embedded_server_a_down_cannot_land_once_the_lease_is_over(
    own_world: ToxiWorld, tmp_path: Path
) -> None:
    with Relay(own_world.api.port) as relay:
        case = Case(own_world, relay, tmp_path / "state")
        drive = await case.drive("proxy_down")
        relay.once("PATCH", "held")
        assert (await drive.inject()).state == "UNKNOWN"
        assert (await drive.undo(patience_s=5)).state == "WATCHING"
        assert isinstance(drive.fault, ProxyDown)
        await drive.fault.release(case.env, drive.undo_record)
        assert relay.release() == [409]
        assert not case.harm()
        await case.env.aclose()
