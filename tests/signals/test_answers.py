"""Odd answers of Prometheus and Alertmanager: what is not one clear answer is doubt, never zero and never silence."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from chaos_runner import slo
from chaos_runner.admission import loud
from chaos_runner.alerts import Heard
from chaos_runner.api import Doubt, Env, Refused, Unknown
from chaos_runner.clients import alertmanager, prometheus, slos, sources
from chaos_runner.environment import Alertmanager, AlwaysOn, Environment, Prometheus, Ratio, Require, Slo
from chaos_runner.probes.prometheus import PrometheusProbe
from tests.clients.hostile import Act, Hostile, reply, reset, serving

pytestmark = pytest.mark.anyio
LIMIT_S = 3.0
Asked = Callable[[prometheus.Client], Awaitable[Any]]


def vector(*values: str, **more: Any) -> bytes:
    result = [{"metric": {"n": str(n)}, "value": [1.0, value]} for n, value in enumerate(values)]
    return success({"resultType": "vector", "result": result}, **more)


def matrix(*values: str) -> bytes:
    points = [[float(n), value] for n, value in enumerate(values)]
    return success({"resultType": "matrix", "result": [{"metric": {}, "values": points}]})


def success(data: Any, **more: Any) -> bytes:
    return reply(200, json.dumps({"status": "success", "data": data, **more}).encode())


def error(status: int, kind: str, said: str) -> bytes:
    return reply(status, json.dumps({"status": "error", "errorType": kind, "error": said}).encode())


def hangs(connection: Any) -> None:
    connection.recv(1)


async def now(client: prometheus.Client) -> float:
    return await client.value("up", limit_s=LIMIT_S)


async def over(client: prometheus.Client) -> list[float]:
    return await client.points("up", 60, 15, limit_s=LIMIT_S)


async def firing(client: prometheus.Client) -> Heard:
    return await client.alerts(limit_s=LIMIT_S)


@pytest.mark.parametrize(
    ("answer", "asked", "kind", "why"),
    [
        (vector(), now, Doubt, "no series"),
        (vector("1", "2"), now, Doubt, "2 series, not to one; aggregate it"),
        (vector("NaN"), now, Doubt, "NaN"),
        (vector("+Inf"), now, Doubt, "Inf"),
        (vector("soup"), now, Doubt, "'soup' is no number"),
        (vector("1", warnings=["partial response: store gateway is down"]), now, Doubt, "warns: partial response"),
        (success({"resultType": "string", "result": [1.0, "x"]}), now, Refused, "string, not to a number"),
        (success({"resultType": "matrix", "result": []}), now, Refused, "matrix, not to a number"),
        (success({"resultType": "matrix", "result": []}), over, Doubt, "no series"),
        (matrix("1", "NaN"), over, Doubt, "NaN"),
        (error(400, "bad_data", "1:3: parse error: unclosed"), now, Refused, "parse error: unclosed"),
        (error(422, "execution", "too many samples"), now, Doubt, "too many samples"),
        (error(503, "timeout", "query timed out"), now, Doubt, "query timed out"),
        (error(200, "internal", "odd"), now, Doubt, "odd"),
        (reply(400, b"<html>a gateway</html>", "text/html"), now, Doubt, "answered 400"),
        (reply(404, b"404 page not found", "text/plain"), now, Doubt, "answered 404"),
        (reply(302, b"", "text/html", "Location: http://127.0.0.1:1/"), now, Doubt, "answered 302"),
        (reply(200, b'{"status": "success"}'), now, Doubt, "do not understand"),
        (success({"resultType": "vector", "result": {"no": "list"}}), now, Doubt, "do not understand"),
        (success({"resultType": "vector", "result": [{"value": [1, 2, 3]}]}), now, Doubt, "do not understand"),
        (reply(200, b"[" * 100_000), now, Doubt, ""),
        (reply(200, b" " * (prometheus.BODY_BYTES_MAX + 10)), now, Doubt, "above"),
        (reply(200, b"")[:-30], now, Doubt, ""),
        (reset, now, Doubt, ""),
        (hangs, now, Doubt, "no answer within 3 s"),
        (success({"alerts": [{"labels": {}, "state": "firing", "activeAt": "soon"}]}), firing, Doubt, "is no time"),
        (success({"alerts": None}), firing, Doubt, "do not understand"),
        (vector("1"), firing, Doubt, "do not understand"),
    ],
)
async def test_what_prometheus_does_not_say_clearly_is_no_number(
    answer: Act | bytes, asked: Asked, kind: type[Exception], why: str
) -> None:
    with serving(answer) as server:
        async with prometheus.connect(server.url) as client:
            with pytest.raises(kind) as told:
                await asked(client)

    assert why in str(told.value)
    assert len(server.requests) == 1  # one attempt


async def test_a_server_that_is_not_there_is_doubt() -> None:
    with serving(b"") as server:
        url = server.url
    async with prometheus.connect(url) as client, alertmanager.connect(url) as manager:
        for ask in (now(client), manager.alerts()):
            with pytest.raises(Doubt):
                await ask  # type: ignore[misc]


async def test_a_scalar_one_series_and_points_are_numbers() -> None:
    with serving(success({"resultType": "scalar", "result": [1.0, "2.5"]})) as server:
        async with prometheus.connect(server.url, "secret") as client:
            assert await now(client) == 2.5
    assert b"GET /api/v1/query?query=up&timeout=3s" in server.requests[0]
    assert b"Authorization: Bearer secret" in server.requests[0]
    with serving(vector("0")) as server:
        async with prometheus.connect(server.url) as client:
            assert await now(client) == 0.0
    with serving(matrix("1", "2")) as server:
        async with prometheus.connect(server.url) as client:
            assert await over(client) == [1.0, 2.0]


# --- Alertmanager ------------------------------------------------------------------------------------------------


LATER = "2999-01-01T00:00:00.123456789Z"


def listed(*alerts: dict[str, Any]) -> bytes:
    return reply(200, json.dumps(alerts).encode())


def one(
    name: str = "Watchdog", state: str = "active", updated: str = "2999-01-01T00:00:00.123456789Z"
) -> dict[str, Any]:
    return {
        "labels": {"alertname": name},
        "startsAt": "2026-01-01T00:00:00.5Z",
        "updatedAt": updated,
        "status": {"state": state, "silencedBy": ["s1"] if state == "suppressed" else [], "inhibitedBy": []},
    }


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (reply(500, b'"broken"'), "answered 500"),
        (reply(400, b'"bad matcher format"'), "answered 400"),
        (reply(200, b"{}"), "do not understand"),
        (listed({"labels": {}}), "do not understand"),
        (listed(one(state="asleep")), "no state of an alert"),
        (listed(one(updated="yesterday")), "is no time"),
        (reply(302, b"", "text/html", "Location: http://127.0.0.1:1/"), "answered 302"),
        (reply(200, b" " * (alertmanager.BODY_BYTES_MAX + 10)), "above"),
        (hangs, "no answer"),
        (reset, ""),
    ],
)
async def test_what_alertmanager_does_not_say_clearly_is_no_silence(answer: Act | bytes, why: str) -> None:
    with serving(answer) as server:
        async with alertmanager.connect(server.url) as client:
            with pytest.raises(Doubt) as told:
                await client.alerts(limit_s=LIMIT_S)

    assert why in str(told.value)


async def test_states_silences_and_times_of_alertmanager_are_read() -> None:
    with serving(listed(one(), one("Slow", "suppressed"), one("New", "unprocessed"))) as server:
        async with alertmanager.connect(server.url) as client:
            heard = await client.alerts(("Slow", 'Odd "name".*'), limit_s=2.0)

    assert [(alert.name, alert.state, alert.why) for alert in heard.alerts] == [
        ("Watchdog", "firing", ""),
        ("Slow", "suppressed", "silence s1"),
        ("New", "firing", ""),
    ]
    assert heard.alerts[0].starts_at == 1767225600.5
    assert b"alertname%3D~%22%5E%28%3F%3ASlow%7COdd" in server.requests[0]


async def test_labels_are_looked_for_in_all_alerts() -> None:
    with serving(listed(one())) as server:
        async with alertmanager.connect(server.url) as client:
            await client.alerts(("Slow", "severity=page"))

    assert b"GET /api/v2/alerts HTTP" in server.requests[0]


# --- what goes by them -------------------------------------------------------------------------------------------


def env(url: str, **more: Any) -> Env:
    given: dict[str, Any] = {
        "prometheus": Prometheus(url=url),
        "alertmanager": Alertmanager(url=url),
        "always_on": AlwaysOn(),
        "require": Require(silent_alerts=("Page",)),
    }
    return Env("here", Environment(**(given | more)))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (listed(one()), ""),
        (listed(one(), one("Page")), "the alert Page (Page) is firing"),
        (listed(one(), one("Page", "suppressed")), "suppressed by silence s1"),
        (listed(), "the always-on alert Watchdog is not there"),
        (listed(one(updated="2026-01-01T00:00:00Z")), "was not heard for"),
        (reply(500, b"no"), "answered 500"),
        (reset, "it cannot be told that Page is silent"),
    ],
)
async def test_a_run_starts_only_where_silence_was_heard(answer: Act | bytes, why: str) -> None:
    with serving(answer) as server:
        here = env(server.url)
        told = await loud(here)
        await here.aclose()

    assert why in told
    assert bool(told) == bool(why)


async def test_silence_without_a_source_or_an_always_on_alert_is_none() -> None:
    assert "no source of alerts" in await loud(env("http://127.0.0.1:1", prometheus=None, alertmanager=None))
    assert "no `always_on:` alert" in await loud(env("http://127.0.0.1:1", always_on=None))
    with pytest.raises(Refused):
        sources.source(env("http://127.0.0.1:1", always_on=None), ("Page",))


def sometimes(fresh: bytes, answer: bytes) -> Callable[[Hostile], Act]:
    """Answers the question for freshness with one, any other with the other."""

    def made(server: Hostile) -> Act:
        def act(connection: Any) -> None:
            connection.sendall(fresh if b"timestamp%28" in server.requests[-1] else answer)

        return act

    return made


async def read(probe: PrometheusProbe, fresh: bytes, answer: bytes) -> dict[str, Any]:
    with serving(b"") as server:
        server.act = sometimes(fresh, answer)(server)
        here = env(server.url)
        try:
            return (await probe.read(here)).values
        finally:
            await here.aclose()


async def test_the_probe_reads_a_number_only_from_fresh_series() -> None:
    probe = PrometheusProbe(query="sum(rate(errors_total[1m]))")

    assert await read(probe, vector("3"), vector("0.25")) == {"value": 0.25}
    with pytest.raises(Unknown, match="stale: no series of the query was scraped in the last 120 s"):
        await read(probe, vector(), vector("0"))
    with pytest.raises(Unknown, match="answered 500"):
        await read(probe, reply(500, b"no"), vector("0"))
    assert await read(PrometheusProbe(query="vector(1)"), reply(500, b"no"), vector("1")) == {"value": 1.0}


async def test_a_range_with_holes_is_no_measurement() -> None:
    probe = PrometheusProbe(query="up", range=40.0, step=10.0)

    assert await read(probe, vector("1"), matrix("1", "3", "2", "4", "5")) == {"last": 5, "min": 1, "max": 5, "mean": 3}
    with pytest.raises(Unknown, match="4 of 5 points, 5 are needed"):
        await read(probe, vector("1"), matrix("1", "3", "2", "4"))


async def test_a_slow_server_costs_a_read_its_time_limit_and_no_more() -> None:
    with serving(hangs) as server:
        here = env(server.url)
        with anyio.fail_after(8), pytest.raises(Unknown, match=r"no answer within 0\.3 s"):
            await PrometheusProbe(query="up", timeout=0.3).read(here)
        await here.aclose()


SHOP = Slo(objective=0.99, ratio=Ratio(bad="bad_total", total="all_total"))


@pytest.mark.parametrize(
    ("fresh", "answer", "expected"),
    [
        (vector("1"), vector("NaN"), "NaN"),
        (vector("1"), vector(), "no series"),
        (vector("1"), vector("0"), "nothing was counted"),
        (vector(), vector("1"), "nothing that the SLO counts was scraped"),
        (error(422, "execution", "too many samples"), vector("1"), "too many samples"),
    ],
)
async def test_a_budget_that_cannot_be_told_is_unknown_never_full(fresh: bytes, answer: bytes, expected: str) -> None:
    with serving(b"") as server:
        server.act = sometimes(fresh, answer)(server)
        async with prometheus.connect(server.url) as client:
            told = await slos.budget_left(client, SHOP, 1_800_000_000.0)

    assert isinstance(told, slo.Unknown)
    assert expected in told.why


async def test_a_budget_is_what_is_left_of_what_may_be_bad() -> None:
    with serving(b"") as server:

        def act(connection: Any) -> None:
            connection.sendall(vector("5" if b"bad_total" in server.requests[-1] else "1000"))

        server.act = act
        async with prometheus.connect(server.url) as client:
            told = await slos.budget_left(client, SHOP, 1_800_000_000.0)
            burns = [await slos.burns(client, SHOP, slo.burn(text), 1_800_000_000.0) for text in ("14.4", "1")]

    assert isinstance(told, slo.Known)
    assert told.left == pytest.approx(0.5)
    assert told.why == "0.5 % bad over 30d, 1 % may be: 50 % of the error budget is left"
    assert burns == [False, False]
