"""Over real sockets: what hostile servers do is bad, named, and never disturbs the pace."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from chaos_runner.wire import LoadClause, LoadPlan, Success, Tick
from chaos_runner.worker.open_loop import OpenLoop
from chaos_runner.worker.pool import Pool
from chaos_runner.worker.request import request_bytes
from chaos_runner.worker.tally import Schedule, Tally
from tests.worker.servers import OK, Misbehaving, answering, reset

CLAUSES = (LoadClause("success"), LoadClause("slower", 0.15))


def plan(port: int, rate: float = 50, timeout_s: float = 0.4, clauses=CLAUSES, **with_) -> LoadPlan:
    return LoadPlan("c", "127.0.0.1", port, rate, timeout_s, clauses, tick_s=0.1, **with_)


async def measured(wanted: LoadPlan, for_s: float = 0.25) -> list[Tick]:
    """All ticks of a load of this length."""
    told: list[Tick] = []
    load = OpenLoop(wanted, time.monotonic_ns(), told.append)
    load.start()
    end = time.monotonic() + for_s
    limit = end + wanted.timeout_s + 5
    while not load.done:
        load.beat()
        await asyncio.sleep(0.02)
        if time.monotonic() > end:
            load.stop()
        assert time.monotonic() < limit
    load.close()
    await asyncio.sleep(0.01)
    return told


async def against(behaviour, **with_) -> tuple[list[Tick], Misbehaving]:
    async with Misbehaving(behaviour) as server:
        return await measured(plan(server.port, **with_)), server


def total(ticks: list[Tick], clause: int) -> tuple[int, int, int]:
    rows = [t.counts[t.clauses.index(clause)] for t in ticks if clause in t.clauses]
    return sum(r[0] for r in rows), sum(r[1] for r in rows), sum(r[2] for r in rows)


def errors(ticks: list[Tick]) -> set[str]:
    return {error for tick in ticks for error in tick.errors}


def assert_accounted(ticks: list[Tick]) -> int:
    scheduled = sum(t.scheduled for t in ticks if t.last)
    assert scheduled >= 10
    for clause in range(2):
        assert sum(total(ticks, clause)) == scheduled
    return scheduled


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
UNDELIMITED = b"HTTP/1.1 200 OK\r\n\r\nok"
BODY_OF_9 = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
HUGE = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000

HONEST = {
    "sized": answering(OK),
    "in pieces": answering(OK[:9], 0.002, OK[9:]),
    "early hints": answering(b"HTTP/1.1 103 Early Hints\r\n\r\n", OK),
    "chunked": answering(CHUNKED),
    "until the end": answering(UNDELIMITED, then="close"),
    "closing each time": answering(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), then="close"),
    "a megabyte": answering(HUGE),
}


@pytest.mark.parametrize("behaviour", HONEST.values(), ids=HONEST)
def test_honest_replies_are_good(behaviour):
    ticks, _ = asyncio.run(against(behaviour))

    assert_accounted(ticks)
    assert total(ticks, 0)[1] == 0, errors(ticks)


HOSTILE = {
    "closes at once": (answering(then="close"), "eof"),
    "resets at once": (answering(then="reset"), "reset"),
    "cuts the head": (answering(b"HTTP/1.1 200 O", then="close"), "cut"),
    "cuts the body": (answering(BODY_OF_9, then="close"), "cut"),
    "cuts a chunk": (answering(CHUNKED[:52], then="close"), "cut"),
    "resets in the body": (answering(BODY_OF_9, 0.01, then="reset"), "reset"),
    "stalls in the body": (answering(BODY_OF_9, then="hang"), "timeout"),
    "drips its head": (answering(*[part for b in OK[:30] for part in (bytes([b]), 0.05)]), "timeout"),
    "never answers": (answering(then="hang"), "timeout"),
    "speaks another protocol": (answering(b"SSH-2.0-x\r\n", then="hang"), "malformed"),
    "sends an endless head": (answering(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, then="hang"), "too large"),
    "announces too much": (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"), "too large"),
}


@pytest.mark.parametrize(("behaviour", "error"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_complete_reply_is_bad_and_named(behaviour, error):
    for _ in range(4):  # where the machine stalls the worker, all is unknown and nothing is shown: once more
        ticks, _ = asyncio.run(against(behaviour))
        scheduled = assert_accounted(ticks)
        for clause in (0, 1):
            good, bad, unknown = total(ticks, clause)
            assert (good, bad + unknown) == (0, scheduled)
        if bad:
            break

    assert bad
    assert errors(ticks) == {error}
    assert {e.error for t in ticks for e in t.exemplars} == {error}


def test_a_port_without_listener_is_refused():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        ticks = asyncio.run(measured(plan(free.getsockname()[1])))

    assert_accounted(ticks)
    assert errors(ticks) == {"refused"}


def test_a_full_backlog_is_a_connect_timeout():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        ticks = asyncio.run(measured(plan(deaf.getsockname()[1])))

    assert_accounted(ticks)
    assert "connect timeout" in errors(ticks)


def test_an_honest_server_is_asked_over_few_connections():
    ticks, server = asyncio.run(against(answering(OK)))

    assert server.connections <= 3 < assert_accounted(ticks)


def test_slow_answers_never_slow_the_questions():
    ticks, server = asyncio.run(against(answering(0.25, OK)))

    scheduled = assert_accounted(ticks)
    assert server.connections >= 10
    assert total(ticks, 1)[0] == 0
    good, bad, unknown = total(ticks, 0)
    assert (good + unknown, bad) == (scheduled, 0)


def test_a_request_beyond_the_connections_waits_and_its_wait_counts():
    ticks, server = asyncio.run(against(answering(0.06, OK), connections_max=1, timeout_s=5))

    assert_accounted(ticks)
    assert server.connections == 1
    assert total(ticks, 1)[1] > total(ticks, 1)[0]


def test_a_request_decided_while_it_waited_is_never_sent():
    async def run() -> list[int]:
        async with Misbehaving(answering(0.02, OK)) as server:
            wanted = plan(server.port, connections_max=1)
            replied: list[int] = []
            pool = Pool(
                wanted,
                request_bytes(wanted),
                False,
                on_replied=lambda asked, _: replied.append(asked.due_ns),
                on_failed=lambda *_: None,
                clock_ns=time.monotonic_ns,
            )
            tally = Tally(wanted, Schedule(wanted, 0))
            tally.begin(0)
            asked = [tally.ask() for _ in range(3)]
            for one in asked:
                pool.send(one)
            tally.unknown(asked[1])
            await asyncio.sleep(0.3)
            pool.close()
            await asyncio.sleep(0.01)
            return [[one.due_ns for one in asked].index(due_ns) for due_ns in replied]

    assert asyncio.run(run()) == [0, 2]


def test_a_latency_clause_comes_before_the_timeout():
    async def first_bad() -> tuple[float, Tick]:
        async with Misbehaving(answering(then="hang")) as server:
            began, told = time.monotonic(), []
            load = OpenLoop(plan(server.port, timeout_s=3), time.monotonic_ns(), told.append)
            load.start()
            while not told and time.monotonic() < began + 3:
                load.beat()
                await asyncio.sleep(0.01)
            load.close()
            await asyncio.sleep(0.01)
            return time.monotonic() - began, told[0]

    after_s, tick = asyncio.run(first_bad())

    assert tick.clauses == (1,)
    assert after_s < 1.5  # 0.1 s tick + 0.15 s limit, against a timeout of 3 s


def test_an_idle_connection_closed_by_the_server_costs_no_request():
    ticks, server = asyncio.run(against(answering(OK, then="close"), rate=40))

    scheduled = assert_accounted(ticks)
    assert total(ticks, 0)[1] == 0, errors(ticks)
    assert server.connections >= scheduled - total(ticks, 0)[2] - 1


def test_an_unasked_reply_ends_its_connection():
    ticks, server = asyncio.run(against(answering(OK + OK)))

    assert total(ticks, 0)[1] == 0
    assert server.connections >= assert_accounted(ticks) - total(ticks, 0)[2] - 1


def test_a_connection_that_dies_between_two_requests_is_replaced():
    async def behave(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await asyncio.sleep(0.01)
        reset(writer)

    for _ in range(5):
        ticks, _ = asyncio.run(against(behave))
        scheduled, bad = assert_accounted(ticks), total(ticks, 0)[1]
        if not bad:
            break

    # On a busy machine a reset may overtake a reply, or meet the next request; not every second time.
    assert bad < 0.4 * scheduled, errors(ticks)


def test_body_clauses_are_judged():
    right, _ = asyncio.run(against(answering(CHUNKED), success=Success(contains="ok")))
    wrong, _ = asyncio.run(against(answering(CHUNKED), success=Success(contains="no")))

    assert total(right, 0)[1] == 0
    assert total(wrong, 0)[0] == 0
    assert {e.error for t in wrong for e in t.exemplars} == {"body"}


# --- the worker's own stalls -----------------------------------------------------------------------------------


def stalling(behaviour, at_s: float, for_s: float) -> tuple[list[Tick], int]:
    """A load whose own loop is blocked once; and how many connections the server saw."""

    async def run() -> tuple[list[Tick], int]:
        async with Misbehaving(behaviour) as server:
            asyncio.get_running_loop().call_later(at_s, time.sleep, for_s)
            return await measured(plan(server.port), for_s=0.8), server.connections

    return asyncio.run(run())


@pytest.mark.parametrize("behaviour", [answering(OK), answering(0.02, OK)], ids=["idle", "in flight"])
def test_what_a_stall_of_the_worker_touches_is_unknown_and_never_bad(behaviour):
    ticks, connections = stalling(behaviour, 0.3, 0.3)

    assert_accounted(ticks)
    for clause in (0, 1):
        assert total(ticks, clause)[1] == 0
        assert total(ticks, clause)[2] >= 14  # 50/s for 0.3 s
    assert max(t.stall_s for t in ticks) >= 0.25
    assert connections <= 12  # a burst after the stall would need 15 at once


def test_a_reply_that_waited_for_the_stalled_worker_is_unknown_and_not_slow(port):
    async def run() -> list[Tick]:
        asyncio.get_running_loop().call_later(0.3025, time.sleep, 0.4)  # between two sends
        return await measured(plan(port, rate=200, timeout_s=2), for_s=0.9)

    ticks = asyncio.run(run())  # the service answers on time: it is the worker that reads late

    assert_accounted(ticks)
    assert (total(ticks, 0)[1], total(ticks, 1)[1]) == (0, 0)
    assert total(ticks, 1)[2] >= 75


def test_a_start_that_comes_late_is_a_stall():
    async def run() -> list[Tick]:
        async with Misbehaving(answering(OK)) as server:
            told: list[Tick] = []
            load = OpenLoop(plan(server.port), time.monotonic_ns() - 500_000_000, told.append)
            load.start()
            load.stop()
            while not load.done:
                load.beat()
                await asyncio.sleep(0.01)
            return told

    assert total(asyncio.run(run()), 0)[2] >= 25


def test_a_load_of_long_ago_is_refused():
    async def run() -> None:
        OpenLoop(plan(1), time.monotonic_ns() - 61_000_000_000, print)

    with pytest.raises(ValueError, match="61 s ago"):
        asyncio.run(run())
