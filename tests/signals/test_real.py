"""Whole runs beside a real Prometheus and a real Alertmanager, which scrape and watch the demo shop.

The last tests stop and restart Prometheus: their order matters, and nothing else runs on this station meanwhile.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from typing import Any

import anyio
import pytest

from chaos_runner import slo
from chaos_runner.api import Doubt, Env, Refused, Unknown
from chaos_runner.clients import prometheus, slos, sources
from chaos_runner.environment import (
    Alertmanager,
    AlwaysOn,
    Environment,
    Gates,
    Prometheus,
    Ratio,
    Signal,
    Slo,
    Threshold,
)
from chaos_runner.gameday.scenario import ROLES
from chaos_runner.pocket import world
from chaos_runner.probes.prometheus import PrometheusProbe
from chaos_runner.scheduler.gates import Asked
from chaos_runner.scheduler.signals import NAMES, Signals
from chaos_runner.store import Reading, open_store
from tests.signals import station
from tests.signals.station import Station

pytestmark = [pytest.mark.real, pytest.mark.world, pytest.mark.anyio]

NOOP = {"fault": "noop", "for": "4s", "confirm": ["read-back"]}
CATALOG = {
    "fault": "toxic",
    "target": {"proxy": "catalog"},
    "with": {"type": "latency", "latency": "50ms"},
    "for": "8s",
    "confirm": ["read-back"],
}
ORDERS = "sum(rate(shop_orders_total[5s]))"
FAILED = 'sum(rate(shop_orders_total{outcome="failed"}[5s])) / sum(rate(shop_orders_total[5s]))'


def asking(query: str) -> dict[str, Any]:
    """A steady state of one query."""
    asked = {"query": query, "max_age": "6s", "timeout": "5s"}
    return {"orders": {"probe": "prometheus", "with": asked, "expect": ["value > 0"], "interval": "2s"}}


QUIET = asking(ORDERS)


def env(watched: Station, **changes: Any) -> Env:
    given: dict[str, Any] = {
        "prometheus": Prometheus(url=watched.prometheus.url),
        "alertmanager": Alertmanager(url=watched.alertmanager.url),
        "always_on": AlwaysOn(),
    }
    return Env("demo", Environment(**(given | changes)))


@pytest.fixture(scope="module")
def runs(watched: Station) -> dict[str, tuple[int, dict[str, Any], str]]:
    """Runs two at a time: they touch different things of one shop."""
    places = {
        "as it is": watched.place("as-it-is"),
        "broken rule": watched.place(
            "broken-rule",
            method=[CATALOG],
            steady_state=QUIET,
            alerts={"expect": [{"name": "CatalogSlow", "within": "8s"}]},
        ),
        "already firing": watched.place(
            "already-firing",
            method=[NOOP | {"target": {"name": "one"}, "with": {"file": str(watched.folder / "noop")}}],
            steady_state=QUIET,
            alerts={"expect": [{"name": "StuckOn", "within": "8s"}]},
        ),
        "forbidden": watched.place(
            "forbidden", method=[CATALOG], steady_state=QUIET, alerts={"forbid": ["severity=noise"]}
        ),
        "not silent": watched.place("not-silent", environment={"require": {"silent_alerts": ["StuckOn"]}}),
        "no query": watched.place("no-query", steady_state=asking("sum(rate(")),
    }
    seen = {}
    for some in (("as it is", "broken rule"), ("already firing", "forbidden"), ("not silent", "no query")):
        started = {name: watched.start(places[name]) for name in some}
        seen |= {name: station.ended(process) for name, process in started.items()}
    return seen


def test_an_experiment_whose_alert_fires_in_time_holds(runs: dict[str, Any], watched: Station) -> None:
    code, answer, said = runs["as it is"]

    assert answer["headline"] == "HELD", (answer, said)
    assert code == 0
    assert "OrdersTakenForLater (severity=ticket, team=shop) fired" in answer["outcome"]["why"]
    assert "alert severity=page: does not fire" in answer["outcome"]["why"]
    (page,) = [watched.folder / "as-it-is" / one for one in answer["reports"] if one.endswith(".html")]
    assert "Alerts that were there" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ("broken rule", "alert CatalogSlow: fires within 8s: it did not fire within 8s"),
        ("already firing", "was firing before"),
    ],
)
def test_an_experiment_whose_alert_says_nothing_about_it_deviates(runs: dict[str, Any], run: str, why: str) -> None:
    code, answer, said = runs[run]

    assert answer.get("headline") == "DEVIATED", (answer, said)
    assert code == 1
    assert why in answer["outcome"]["why"]


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ("forbidden", "the forbidden alert StuckOn (severity=noise) is firing"),
        ("not silent", "the alert StuckOn (StuckOn) is firing; `require.silent_alerts` wants it silent"),
        ("no query", "parse error"),
    ],
)
def test_nothing_is_started_where_alerts_or_the_server_speak_against_it(
    runs: dict[str, Any], run: str, why: str
) -> None:
    code, _answer, said = runs[run]

    assert code == 3
    assert why in said


async def test_a_silenced_alert_says_by_whom(watched: Station) -> None:
    stamp = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + s)) for s in (-5, 300)]
    matcher = {"name": "alertname", "value": "StuckOn", "isRegex": False, "isEqual": True}
    body = {"matchers": [matcher], "startsAt": stamp[0], "endsAt": stamp[1], "createdBy": "us", "comment": "a test"}
    silence = watched.alertmanager.post("/api/v2/silences", body)["silenceID"]
    here = env(watched)

    def silenced() -> bool:
        told = watched.alertmanager.get("/api/v2/alerts", filter='alertname="StuckOn"')
        return bool(told) and told[0]["status"]["state"] == "suppressed"

    station.wait(silenced)
    heard = await sources.source(here, ("StuckOn",)).heard(here)
    await here.aclose()

    (stuck,) = [one for one in heard.alerts if one.name == "StuckOn"]
    assert (stuck.state, stuck.why) == ("suppressed", f"silence {silence}")
    assert [one.name for one in heard.alerts if one.name not in {"StuckOn", "Watchdog"}] == []


async def test_prometheus_alone_is_a_source_too(watched: Station) -> None:
    here = env(watched, alertmanager=None)
    heard = await sources.source(here, ("StuckOn", "OrdersFailing")).heard(here)
    await here.aclose()

    assert sorted((one.name, one.state) for one in heard.alerts) == [("StuckOn", "firing"), ("Watchdog", "firing")]
    assert all(abs(heard.at - one.starts_at) < 3600 for one in heard.alerts)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"query": "shop_orders_total"}, "series, not to one"),
        ({"query": "no_such_metric"}, "stale"),
        ({"query": 'sum(shop_orders_total{outcome="nope"})'}, "stale"),
        ({"query": "sum(shop_orders_total) / 0 * 0"}, "NaN"),
        ({"query": "sum(shop_orders_total) / 0"}, "+Inf"),
        ({"query": '"text"'}, "string"),
        ({"query": "sum(rate(shop_orders_total[5s]))", "range": 600.0, "step": 5.0}, "points"),
    ],
)
async def test_what_is_not_one_fresh_number_is_unknown(watched: Station, fields: dict[str, Any], why: str) -> None:
    here = env(watched)
    with pytest.raises(Unknown, match=why.replace("+", r"\+")):
        await PrometheusProbe(**fields).read(here)
    await here.aclose()


async def test_a_number_and_a_range_of_numbers_are_read(watched: Station) -> None:
    here = env(watched)
    now = await PrometheusProbe(query=ORDERS, max_age=5.0).read(here)
    over = await PrometheusProbe(query=ORDERS, range=3.0, step=1.0).read(here)
    await here.aclose()

    assert now.values["value"] > 0
    assert 0 < over.values["min"] <= over.values["mean"] <= over.values["max"]


async def test_a_query_is_checked_in_the_servers_own_words(watched: Station) -> None:
    here = env(watched)
    await PrometheusProbe(query=ORDERS).understood(here)
    with pytest.raises(Refused, match="parse error"):
        await PrometheusProbe(query="sum(rate(").understood(here)
    with pytest.raises(Refused, match="write `fresh: SELECTOR`"):
        await PrometheusProbe(query=ORDERS, fresh="up{").understood(here)
    await here.aclose()


def counted(objective: float, **part: str) -> Slo:
    return Slo(objective=objective, over=60.0, ratio=Ratio(total="shop_orders_total", **part))


GOOD = counted(0.99, bad='shop_orders_total{outcome="failed"}')
SPENT = counted(0.999, good='shop_orders_total{outcome="failed"}')
QUICK = Slo(objective=0.5, over=60.0, threshold=Threshold(query=ORDERS, op=">", value=0.0, slice=5.0))


async def test_the_budget_left_is_told_with_its_number(watched: Station) -> None:
    async with prometheus.connect(watched.prometheus.url) as client:
        good, spent, quick = [await slos.budget_left(client, one, station.now()) for one in (GOOD, SPENT, QUICK)]
        burns = await slos.burns(client, SPENT, slo.PRESETS["14.4"], station.now())

    assert isinstance(good, slo.Known), good
    assert isinstance(spent, slo.Known), spent
    assert good.left == pytest.approx(1.0)
    assert spent.left == pytest.approx(-999.0, rel=0.01)
    assert isinstance(quick, slo.Known), quick
    assert quick.left == pytest.approx(1.0)
    assert burns is True


async def test_a_budget_that_nobody_counted_is_unknown(watched: Station) -> None:
    typo = counted(0.99, bad='shop_orders_total{outcome="fialed"}')
    async with prometheus.connect(watched.prometheus.url) as client:
        told = await slos.budget_left(client, typo, station.now())

    assert isinstance(told, slo.Unknown)
    assert "no series" in told.why


def test_a_game_day_is_checked_against_the_rules_and_the_alerts_that_are_there(watched: Station) -> None:
    folder = watched.place("checked", environment={"require": {"silent_alerts": []}})
    refs = ["OrdersFailing", "alertname=OrdersTakenForLater,team=shop", "StuckOn", "OrdersFialing", "team=nobody"]
    day = {
        "kind": "scenario/v1",
        "name": "a-day",
        "environment": "demo-resilient",
        "roles": {role: role for role in ROLES},
        "alerts": {"expect": [{"name": "OrdersTakenForLater", "within": "1m"}], "forbid": refs},
        "steps": [{"run": "experiment.yaml"}],
    }
    (folder / "day.yaml").write_text(json.dumps(day))
    station.wait(lambda: not {"OrdersFailing", "OrdersTakenForLater"} & set(watched.alerts()))

    argv = [
        sys.executable,
        "-P",
        "-m",
        "chaos_runner",
        "gameday",
        "check",
        "day.yaml",
        "--state",
        "state",
        "-o",
        "json",
    ]
    done = subprocess.run(argv, cwd=folder, env=world.environment(), capture_output=True, timeout=60, check=False)
    told = {one["what"]: one for one in json.loads(done.stdout)["findings"]}

    assert done.returncode == 3, done.stderr
    assert {what for what, one in told.items() if one["state"] != "ok"} == {
        "alert StuckOn",
        "alert OrdersFialing",
        "alert team=nobody",
    }
    assert told["alert OrdersFailing"]["found"] == "the rule OrdersFailing makes it; it is silent now"
    # Another test may have silenced it: that it fires is the same.
    assert told["alert StuckOn"]["found"].startswith("the rule StuckOn makes it; it is firing now")
    assert told["alert OrdersFialing"]["found"].startswith("none of ")


def asked(watched: Station, signal: Signal) -> Reading:
    """What the gate of a schedule makes of a signal now."""
    environment = Environment(
        prometheus=Prometheus(url=watched.prometheus.url),
        alertmanager=Alertmanager(url=watched.alertmanager.url),
        always_on=AlwaysOn(),
        slos={"good": GOOD, "spent": SPENT},
        gates=Gates(budget=signal),
    )

    async def read() -> Reading:
        async with Signals() as signals:
            return (await signals.read(Asked("slow", "x", "demo", "shop", 0.0), environment))[NAMES.index("budget")]

    return anyio.run(read)


def test_a_schedule_s_gates_go_by_what_the_server_says(watched: Station) -> None:
    burn = (slo.PRESETS["14.4"], slo.PRESETS["6"])
    yes = [Signal(slo="good"), Signal(slo="good", burn=burn), Signal(query="vector(1)"), Signal(silent=("Nothing",))]
    no = {
        "of the error budget of spent; 25% must be": Signal(slo="spent", burn=burn),
        "the error budget of spent burns at 6 or faster": Signal(slo="spent", left=-1e9, burn=burn[1:]),
        "the query comes to 0, not 1": Signal(query="vector(0)"),
        "parse error": Signal(query="sum("),
        "firing: StuckOn": Signal(silent=("StuckOn",)),
    }

    assert [asked(watched, one).why for one in yes] == [""] * 4
    for why, one in no.items():
        reading = asked(watched, one)
        assert not reading.ok
        assert why in reading.why


SCHEDULED = """\
kind: config/v1
environments:
  shop:
    prometheus: {{url: "{url}"}}
    slos:
      orders: {{objective: 99.9%, over: 60s, ratio: {{total: shop_orders_total, good: '{good}'}}}}
    gates:
      healthy: {{query: "{orders} > bool 0"}}
      deploy: {{not_used: a test}}
      incident: {{not_used: a test}}
      budget: {{slo: orders, left: 25%}}
      external: {{not_used: a test}}
schedules:
  - {{name: orders, experiment: experiment.yaml, environment: shop, calendar: always, cron: "* * * * * *"}}
"""


def test_a_schedule_whose_budget_is_spent_is_skipped_with_the_number(watched: Station) -> None:
    folder = watched.place("scheduled", method=[NOOP | {"target": {"name": "one"}, "with": {"file": "/nowhere"}}])
    good = 'shop_orders_total{outcome="failed"}'  # as if only those were good: all the others spend it
    text = SCHEDULED.format(url=watched.prometheus.url, good=good, orders=ORDERS)
    (folder / "chaos-runner.yaml").write_text(text)
    with open_store(folder / ".chaos-runner", allow_tmpfs=True) as store:
        store.arm("shop", "a test", time.time() + 600)
        argv = [sys.executable, "-P", "-m", "chaos_runner", "schedule", "run"]
        log = (folder / "daemon.log").open("wb")
        with log, subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log, env=world.environment()) as daemon:
            station.wait(lambda: len(store.slots()) >= 2, 60.0)
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(30) == 0
        row = store.slots()[0]

    assert row.decision == "SKIP"
    found = re.fullmatch(r"budget: (-\d+\.\d% left) of the error budget of orders; 25% must be", row.reason)
    assert found, row.reason
    values = {one.gate: (one.ok, one.value) for one in row.readings}
    assert values["budget"] == (False, found[1])
    assert values["healthy"] == (True, "1")
    assert float(found[1].split("%")[0]) == pytest.approx(-99900, rel=0.05)


async def test_prometheus_stopped_in_the_middle_is_blindness_and_restarted_it_knows_nothing_yet(
    watched: Station,
) -> None:
    folder = watched.place(
        "stopped", alerts={"forbid": ["OrdersFailing"]}, steady_state=QUIET, recovery={"within": "15s"}
    )
    process = watched.start(folder)
    station.wait(lambda: bool(watched.harmed()) or process.poll() is not None, 60.0)
    assert process.poll() is None, station.ended(process)
    before = watched.value("sum(shop_orders_total)")
    watched.prometheus.stop(signal.SIGKILL)
    code, answer, said = station.ended(process)

    assert answer.get("headline") == "ABORTED", (answer, said)
    assert (code, answer["outcome"]["stopped_by"], answer["outcome"]["cleanup"]) == (4, "blind", "CLEAN")
    assert watched.harmed() == []

    async with prometheus.connect(watched.prometheus.url) as client:
        with pytest.raises(Doubt):
            await client.value(ORDERS)
        told = await slos.budget_left(client, GOOD, station.now())
        assert isinstance(told, slo.Unknown)
    gate = await anyio.to_thread.run_sync(asked, watched, Signal(slo="good"))
    assert (gate.ok, gate.value) == (False, "unknown")

    watched.prometheus.start()
    here = env(watched)
    probe = PrometheusProbe(query="sum(shop_orders_total)", max_age=3.0)
    told_first = watched.value(
        "sum(shop_orders_total)"
    )  # the server tells what it knew before it died, as if it were now
    with pytest.raises(Unknown, match="stale"):
        await probe.read(here)
    assert float(told_first[0]["value"][1]) >= float(before[0]["value"][1])
    station.wait(lambda: bool(watched.value("count(timestamp(shop_orders_total) > time() - 2)")))
    assert (await probe.read(here)).values["value"] > 0
    await here.aclose()
