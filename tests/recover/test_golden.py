"""A ledger that the first release wrote is brought up to date and recovered by today's code, at a real proxy."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from chaos_runner import recover, store
from chaos_runner.lifecycle import WATCH_S
from chaos_runner.records import FaultReverted, RunEnded
from chaos_runner.store import Owner, schema
from tests.proxy import toxi
from tests.recover.kit import began_in
from tests.store.golden.make_v1_open import ADDRESS, AT, HOST, PORT, RUN

GOLDEN = Path(__file__).parents[1] / "store" / "golden" / "v1-open.sqlite"
LATE, SLOW = (f"cx.{RUN}.{n}.{int(AT) + 60}" for n in (0, 1))
TAKEN_S = 30.0  # by the same test of another checkout


def ask(method: str, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection(HOST, PORT, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, None if body is None else json.dumps(body))
        reply = connection.getresponse()
        content = reply.read()
    assert reply.status < 300, content
    return json.loads(content or b"null")


def toxics() -> dict[str, str]:
    return {toxic["name"]: toxic["type"] for toxic in ask("GET", "/proxies/payments/toxics")}


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[None]:
    """A proxy at the address that the ledger knows, as the dead run left it; somebody else's toxic is there too."""
    api = _started(tmp_path / "proxy.log")
    try:
        ask("PUT", f"/chaos-runner/v1/leases/{RUN}", {"ttl": 600})
        ask("POST", "/proxies", {"name": "payments", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"})
        for name, kind, stream, attributes in (
            ("theirs", "latency", "upstream", {"latency": 1}),
            (LATE, "latency", "downstream", {"latency": 200}),
        ):
            body = {"name": name, "type": kind, "stream": stream, "attributes": attributes}
            ask("POST", "/proxies/payments/toxics", body)
        ask("POST", "/proxies/payments/toxics", {"name": SLOW, "type": "noop", "stream": "upstream", "toxicity": 0})
        yield
    finally:
        toxi.stop(api)


def _started(log: Path) -> toxi.Api:
    end = time.monotonic() + TAKEN_S
    while True:
        try:
            return toxi.start_embedded(log, "-host", HOST, "-port", str(PORT), env={"CHAOS_RUNNER_PROXY_TOKEN": ""})
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The old ledger; its run died on this host."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    shutil.copyfile(GOLDEN, folder / "ledger.sqlite")
    (folder / "ledger.sqlite").chmod(0o600)
    owner = msgspec.structs.replace(Owner.nobody(), boot_id="an-earlier-boot", pid=1)
    with contextlib.closing(sqlite3.connect(folder / "ledger.sqlite")) as con:
        assert con.execute("SELECT version, program FROM schema").fetchall() == [(1, "0.1.0")]
        con.execute("UPDATE run SET owner = ?", (msgspec.json.encode(owner).decode(),))
        con.commit()
    return folder


def recovered(state: Path) -> list[recover.Recovered]:
    async def work() -> list[recover.Recovered]:
        return await recover.recover(ledger, None, print)

    with store.open_store(state, allow_tmpfs=True) as ledger:
        return anyio.run(work)


def states(state: Path) -> list[str]:
    with store.open_store(state, read_only=True) as ledger:
        return [row.state for row in ledger.faults(RUN)]


def test_it_names_the_address_that_the_test_uses() -> None:
    with contextlib.closing(sqlite3.connect(f"file:{GOLDEN}?mode=ro&immutable=1", uri=True)) as con:
        (connections,) = con.execute("SELECT connections FROM run").fetchone()
        found = con.execute("SELECT state, outcome FROM fault ORDER BY n").fetchall()

    assert json.loads(connections)["toxiproxy"]["url"] == ADDRESS
    assert found == [("INJECTED", ""), ("WATCHING", "")]


def test_what_the_first_release_left_is_undone_and_what_it_watched_is_closed(proxy: None, state: Path) -> None:
    assert toxics() == {"theirs": "latency", LATE: "latency", SLOW: "noop"}
    (told,) = recovered(state)

    assert (told.run, told.left) == (RUN, ())
    assert states(state) == ["WATCHING", "CLOSED"]
    assert toxics() == {"theirs": "latency", LATE: "noop"}  # fenced: its request might still be on the way
    with contextlib.closing(sqlite3.connect(state / "ledger.sqlite")) as con:
        assert con.execute("SELECT max(version) FROM schema").fetchone() == (len(schema.MIGRATIONS),)

    with store.open_store(state) as ledger:
        ledger.take_over(RUN, Owner.nobody())
        records = [entry.record for entry in ledger.records(RUN)]
    assert [one.by for one in records if isinstance(one, FaultReverted)] == ["runner", "recovery"]
    assert [one.outcome.cleanup for one in records if isinstance(one, RunEnded)] == ["WATCHING"]
    began_in(state / "ledger.sqlite", WATCH_S + 1)
    recovered(state)
    assert states(state) == ["CLOSED", "CLOSED"]
    assert toxics() == {"theirs": "latency"}
