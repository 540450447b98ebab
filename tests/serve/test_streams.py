"""Server-sent events: nothing twice, nothing lost, and nobody who does not read holds anything up."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest

from chaos_runner import store
from chaos_runner.gameday.facts import Said
from chaos_runner.records import Noted
from chaos_runner.serve import server, streaming
from chaos_runner.serve.streaming import Room, Stream, last_seen
from tests.serve.kit import DAY, GOING, HELD, Served, fill, serving


class Event(NamedTuple):
    name: str
    number: int | None
    value: Any


def _open(served: Served, path: str, **headers: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = served.connect()
    connection.request("GET", path, headers={**served.bearer("viewer"), **headers})
    return connection, connection.getresponse()


def _events(response: http.client.HTTPResponse) -> Iterator[Event]:
    """What comes, until it ends."""
    name, number = "", None
    for raw in response:
        head, _, rest = raw.decode().rstrip("\n").partition(": ")
        if head == "id":
            number = int(rest)
        elif head == "event":
            name = rest
        elif head == "data":
            yield Event(name, number, json.loads(rest))
            name, number = "", None


def _records(events: Iterator[Event], upto: int) -> list[int]:
    found: list[int] = []
    for one in events:
        if one.name == "record" and one.number is not None:
            found.append(one.number)
        if found and found[-1] >= upto:
            return found
    return found


def _noted(state: Path, text: str) -> int:
    with store.open_store(state, allow_tmpfs=True) as ledger:
        return ledger.append(GOING, Noted(who="ann", text=text), time.time(), 41.0)


def test_a_reader_that_comes_back_gets_the_rest_once(tmp_path: Path) -> None:
    state = fill(tmp_path)
    with serving(state) as served:
        connection, response = _open(served, f"/runs/{GOING}/events")
        first = _records(_events(response), upto=5)
        connection.close()
        new = _noted(state, "meanwhile")
        connection, response = _open(served, f"/runs/{GOING}/events", **{"Last-Event-ID": str(first[-1])})
        events = _events(response)
        second = _records(events, upto=new)
        newer = _noted(state, "later")
        third = _records(events, upto=newer)
        connection.close()

    assert response.getheader("Content-Type") == "text/event-stream; charset=utf-8"
    assert first + second + third == list(range(1, newer + 1))


def test_the_stream_of_a_run_that_is_over_ends(served: Served) -> None:
    connection, response = _open(served, f"/runs/{HELD}/events?after=3")
    told = list(_events(response))
    connection.close()

    assert next(one.number for one in told if one.name == "record") == 4
    assert [one.name for one in told][-2:] == ["now", "ended"]
    assert "HELD" in told[-2].value["title"]


def test_words_said_on_a_day_are_on_every_open_page(tmp_path: Path) -> None:
    state = fill(tmp_path)
    with serving(state) as served:
        connection, response = _open(served, f"/days/{DAY}/events?after=1")
        events = _events(response)
        assert next(events).value["line"] == "ann noted: we begin"
        with store.open_store(state, allow_tmpfs=True) as ledger:
            ledger.say(DAY, Said(who="bob", text="from a terminal"))
        told = next(one for one in events if one.name == "record")
        connection.close()

    assert told.value["line"] == "bob noted: from a terminal"


@pytest.mark.parametrize("told", [None, "", "-1", "1e9", "٣", "9" * 4000, "abc", "1\n2"])
def test_nonsense_for_what_was_seen_last_means_nothing_was(told: str | None) -> None:
    assert last_seen(told) == 0


@pytest.mark.anyio
async def test_a_reader_that_does_not_read_is_cut_off() -> None:
    dropped: list[Any] = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b": x\n\n"

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await anyio.sleep_forever()

    async def receive() -> Any:
        await anyio.sleep_forever()

    room = Room(1)
    with anyio.fail_after(10):
        await Stream(endless(), room, dropped.append, send_s=0.05)({"type": "http"}, receive, send)
    assert dropped == [{"type": "http"}]
    assert not room.full()


def _sockets(served: Served) -> int:
    found = 0
    for fd in Path(f"/proc/{served.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += "socket:" in str(fd.readlink())
    return found


def _until(done: Any, limit_s: float) -> None:
    until = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_hundred_pages_at_once_leave_room_for_the_halt_button_and_are_all_forgotten(tmp_path: Path) -> None:
    with serving(fill(tmp_path)) as served:
        before = _sockets(served)
        opened = [_open(served, f"/runs/{GOING}/events") for _ in range(100)]
        statuses = [response.status for _, response in opened]
        halted = served.ask("POST", "/halt", served.bearer("viewer"), {"scope": "experiment.none"}).status
        for connection, response in opened:
            response.close()
            connection.close()
        _until(lambda: _sockets(served) <= before, 30)
        again = served.ask("GET", f"/runs/{HELD}/events", served.bearer("viewer")).status

    assert sorted(statuses) == [200] * streaming.STREAMS_MAX + [503] * (100 - streaming.STREAMS_MAX)
    assert (halted, again) == (303, 200)


@pytest.mark.campaign
def test_who_sends_half_a_request_or_reads_nothing_is_cut_off(tmp_path: Path) -> None:
    """On real sockets: a megabyte of events for somebody who takes none, and forty beginnings of requests."""
    state = fill(tmp_path)
    with store.open_store(state, allow_tmpfs=True) as ledger:
        for n in range(4000):
            ledger.append(GOING, Noted(who="ann", text=f"{n} " + "x" * 550), time.time(), 41.0)
    with serving(state) as served:
        host, _, port = served.host.partition(":")
        before = _sockets(served)
        halves = [socket.create_connection((host, int(port))) for _ in range(40)]
        for one in halves:
            one.sendall(b"GET / HTTP/1.1\r\nHost: " + served.host.encode() + b"\r\nX-Slow: ")
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((host, int(port)))
        token = served.tokens["viewer"]
        lines = (f"GET /runs/{GOING}/events HTTP/1.1", f"Host: {served.host}", f"Authorization: Bearer {token}", "", "")
        deaf.sendall("\r\n".join(lines).encode())
        assert served.ask("GET", "/login").status == 200
        _until(lambda: _sockets(served) <= before, server.HEAD_S + streaming.SEND_S + 30)
        for one in (*halves, deaf):
            one.close()
