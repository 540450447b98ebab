"""Laws of the gates that ask monitoring: a number that says yes is a yes; each way in which one is broken is a no."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from chaos_runner import slo
from chaos_runner.environment import Alertmanager, AlwaysOn, Environment, Gates, Prometheus, Ratio, Signal, Slo
from chaos_runner.scheduler import gates
from chaos_runner.scheduler.gates import Asked
from chaos_runner.scheduler.signals import NAMES, Signals
from chaos_runner.store import Reading
from tests.proxy.toxi import LOOP, free_port
from tests.signals import monitor
from tests.signals.monitor import Monitor

ASKED = Asked("slow", "slow-payments", "demo", "shop", 0.0)
LIMIT_S = 2.0
OBJECTIVE = Slo(objective=0.99, over=30 * 86400.0, ratio=Ratio(total="orders", bad='orders{outcome="failed"}'))
QUERY = Signal(query="deploys_going_on == bool 0", limit=LIMIT_S)
BUDGET = Signal(slo="checkout", left=0.25, limit=LIMIT_S)
QUIET = Signal(silent=("OrdersFailing", "severity=page"), limit=LIMIT_S)


@pytest.fixture
def there() -> Iterator[Monitor]:
    with monitor.serving() as one:
        yield one


def ask(there: Monitor, signal: Signal, *, url: str = "", token: str | None = None) -> Reading:
    url = url or there.url
    environment = Environment(
        prometheus=Prometheus(url=url, token=token),
        alertmanager=Alertmanager(url=url, token=token),
        always_on=AlwaysOn(alert="Watchdog", heard_within=60.0),
        slos={"checkout": OBJECTIVE},
        gates=Gates(incident=signal),
    )

    async def read() -> Reading:
        async with Signals() as signals:
            return (await signals.read(ASKED, environment))[NAMES.index("incident")]

    reading = asyncio.run(read())
    assert reading.ok is not bool(reading.why)
    assert gates.reason((reading,)) == ("" if reading.ok else f"incident: {reading.why}")
    return reading


def counted(bad: float, total: float = 1000.0, fresh: int = 1) -> dict[str, list[float | str]]:
    """What the queries of the SLO come to."""
    return {"timestamp(": [1] * fresh, "failed": [bad], "orders": [total]}


def burning(long: float, short: float, *, long_s: int = 3600, short_s: int = 300) -> dict[str, list[float]]:
    """Bad orders of a thousand in a long and in a short window; of a month ten in a million, which is nothing."""
    return {
        "timestamp(": [1],
        f'failed"}}[{long_s}s]': [long],
        f'failed"}}[{short_s}s]': [short],
        "failed": [10],
        "[2592000s]": [1_000_000],
        "orders": [1000],
    }


def closed() -> str:
    return f"http://{LOOP}:{free_port()}"


# --- yes ----------------------------------------------------------------------------------------------------------


def test_a_query_that_comes_to_one_a_budget_that_is_left_and_silent_alerts_are_a_yes(there: Monitor) -> None:
    there.values = {"deploys": [1], **counted(2.5)}

    readings = [ask(there, signal) for signal in (QUERY, BUDGET, QUIET)]

    assert [(one.ok, one.value) for one in readings] == [(True, "1"), (True, "75.0% left"), (True, "silent")]


# --- a query ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([0], "the query comes to 0, not 1"),
        ([2], "the query comes to 2, not 1"),
        ([0.999], "the query comes to 0.999, not 1"),
        ([], "no series"),
        ([1, 1], "2 series"),
        (["NaN"], "NaN"),
        (["+Inf"], "Inf"),
        (["yes"], "yes"),
        (monitor.refused("parse error: unexpected end of input"), "parse error"),
    ],
)
def test_a_query_that_is_not_one_is_a_no_with_what_it_came_to(there: Monitor, values: object, why: str) -> None:
    there.values = {"deploys": values}

    reading = ask(there, QUERY)

    assert not reading.ok
    assert why in reading.why


# --- an error budget ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "ok", "value"),
    [(7.5, True, "25.0% left"), (7.6, False, "24.0% left"), (10, False, "0.0% left"), (25, False, "-150.0% left")],
)
def test_a_budget_that_is_spent_is_a_no_with_its_number(there: Monitor, bad: float, ok: bool, value: str) -> None:
    there.values = counted(bad)

    reading = ask(there, BUDGET)

    assert (reading.ok, reading.value) == (ok, value)
    assert ok or reading.why == f"{value} of the error budget of checkout; 25% must be"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (counted(0, 0), "nothing was counted"),
        (counted(0, fresh=0), "nothing that the SLO counts was scraped in the last 300 s"),
        ({"timestamp(": [1], "orders": [1000], "failed": []}, ""),
        ({"timestamp(": [1], "failed": [0]}, "no series"),
        (counted(float("nan")), "comes to nan"),
        (counted(2000), "no share between 0 and 1"),
        (counted(-5), "no share between 0 and 1"),
        ({"timestamp(": monitor.refused("unknown function")}, "unknown function"),
    ],
)
def test_a_budget_that_nobody_can_tell_is_unknown_and_a_no(there: Monitor, values: dict[str, object], why: str) -> None:
    there.values = {key: values[key] for key in ("timestamp(", "failed", "orders") if key in values}

    reading = ask(there, BUDGET)

    assert (reading.ok, reading.value) == (False, "unknown")
    assert reading.why.startswith("the error budget of checkout is unknown: ")
    assert why in reading.why


@pytest.mark.parametrize(
    ("rate", "bad", "ok"),
    [
        ("14.4", (143, 143), True),
        ("14.4", (144.1, 144.1), False),
        ("14.4", (900, 0), True),  # it burnt, and does not any more
        ("14.4", (0, 900), True),  # for five minutes of an hour
        ("2 %/h", (143, 143), True),
        ("2 %/h", (145, 145), False),
    ],
)
def test_a_budget_that_burns_too_fast_in_both_windows_is_a_no(
    there: Monitor, rate: str, bad: tuple[float, float], ok: bool
) -> None:
    there.values = burning(*bad)

    reading = ask(there, Signal(slo="checkout", burn=(slo.burn(rate),), limit=LIMIT_S))

    assert (reading.ok, reading.value) == (ok, "99.9% left")
    assert ok or reading.why == f"the error budget of checkout burns at {rate} or faster"


def test_every_preset_asks_for_its_own_windows(there: Monitor) -> None:
    for rate, long_s in (("6", 21600), ("3", 86400), ("1", 259200), ("5 %/d", 86400)):
        there.values = burning(999, 999, long_s=long_s, short_s=long_s // 12)

        assert not ask(there, Signal(slo="checkout", burn=(slo.burn(rate),), limit=LIMIT_S)).ok
        there.values = burning(0, 999, long_s=long_s, short_s=long_s // 12)
        assert ask(there, Signal(slo="checkout", burn=(slo.burn(rate),), limit=LIMIT_S)).ok


def test_a_burn_rate_that_nobody_can_tell_is_a_no(there: Monitor) -> None:
    there.values = burning(0, 0) | {'failed"}[300s]': ["NaN"]}

    reading = ask(there, Signal(slo="checkout", burn=(slo.burn("14.4"),), limit=LIMIT_S))

    assert not reading.ok
    assert reading.why.startswith("how fast the error budget of checkout burns is unknown: ")


# --- alerts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alerts", "why"),
    [
        (lambda: [monitor.alert("Watchdog"), monitor.alert("OrdersFailing")], "firing: OrdersFailing"),
        (lambda: [monitor.alert("Watchdog"), monitor.alert("Other", severity="page")], "firing: Other"),
        (lambda: [monitor.alert("Watchdog"), monitor.alert("OrdersFailing", "suppressed")], "firing: OrdersFailing"),
        (lambda: [monitor.alert("Watchdog"), monitor.alert("OrdersFailing", "unprocessed")], "firing: OrdersFailing"),
        (lambda: [monitor.alert("Watchdog"), monitor.alert("OrdersFailing", "what")], "no state of an alert"),
        (list, "the always-on alert Watchdog is not there"),
        (lambda: [monitor.alert("Other")], "the always-on alert Watchdog is not there"),
        (lambda: [monitor.alert("Watchdog", ago_s=600)], "the always-on alert Watchdog was not heard for 6"),
        (lambda: [{"labels": {}}], "words we do not understand"),
    ],
)
def test_silence_counts_only_while_the_always_on_alert_is_heard(
    there: Monitor, alerts: Callable[[], list[dict[str, object]]], why: str
) -> None:
    there.alerts = alerts()  # heard now, not when the tests were collected

    reading = ask(there, QUIET)

    assert not reading.ok
    assert why in reading.why


def test_an_alert_that_nobody_meant_says_nothing(there: Monitor) -> None:
    there.alerts += [monitor.alert("OrdersSlow", severity="ticket")]

    assert ask(there, QUIET).ok


# --- whatever is asked --------------------------------------------------------------------------------------------


def _down(there: Monitor) -> None:
    there.status, there.body = 503, b"no"


def _page(there: Monitor) -> None:
    there.body = b"<html>please log in</html>"


def _late(there: Monitor) -> None:
    there.delay_s = LIMIT_S + 0.5


def _full(there: Monitor) -> None:
    there.body = b"[" + b" " * (5 << 20) + b"]"


@pytest.mark.parametrize("signal", [QUERY, BUDGET, QUIET], ids=["query", "slo", "silent"])
@pytest.mark.parametrize("break_it", [_down, _page, _late, _full])
def test_a_server_that_gives_no_valid_answer_is_a_no(
    there: Monitor, signal: Signal, break_it: Callable[[Monitor], None]
) -> None:
    there.values = {"deploys": [1], **counted(0)}
    break_it(there)

    reading = ask(there, signal)

    assert (reading.ok, reading.value) in {(False, "no answer"), (False, "unknown")}


@pytest.mark.parametrize("signal", [QUERY, BUDGET, QUIET], ids=["query", "slo", "silent"])
def test_a_server_that_is_not_there_and_a_secret_that_is_not_set_are_a_no(there: Monitor, signal: Signal) -> None:
    gone = ask(there, signal, url=closed())
    unset = ask(there, signal, token="env:NO_SUCH_TOKEN_OF_A_TEST")

    assert not gone.ok
    assert unset.why == "no answer: not started: the secret env:NO_SUCH_TOKEN_OF_A_TEST is not set in the environment"


@pytest.mark.parametrize(
    ("signal", "valid"),
    [
        (Signal(slo="checkout", burn=(slo.PRESETS["14.4"],)), True),
        (Signal(query="up", burn=(slo.PRESETS["14.4"],)), False),
    ],
)
def test_only_a_budget_burns(signal: Signal, valid: bool) -> None:
    assert (not list(signal.problems())) is valid


@pytest.mark.parametrize("text", ["7", "2 %", "2/h", "0 %/h", "", "%/d", True, None])
def test_what_is_no_burn_rate_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is no burn rate; write 14"):
        slo.burn_as_written(text)
