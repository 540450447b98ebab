"""Expected and forbidden alerts: what each story of readings comes to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chaos_runner.alerts import Alert, Heard, State, labels_of, meant
from chaos_runner.detection import Detection, Times
from chaos_runner.environment import AlwaysOn
from chaos_runner.model import Alerts, ExpectedAlert
from chaos_runner.records import AlertGone, AlertSeen, AlertsHeard, AlertsUnheard

AT = 1_800_000_000.0  # the source's time at second 0 of the run
WATCHDOG = Alert({"alertname": "Watchdog"}, "firing", AT - 9999, heard_at=AT + 1e6)
INJECTED, CONFIRMED = 10.0, 11.0
WITHIN = 20.0


def alert(name: str, starts_t: float, state: State = "firing", *, fires: bool = True, **labels: str) -> Alert:
    at = AT + starts_t
    return Alert({"alertname": name, **labels}, state, at, fired_at=at if fires else None, heard_at=AT + 1e6)


def there(*alerts: Alert, since: float, until: float = 1e9) -> Callable[[float], tuple[Alert, ...]]:
    return lambda t: alerts if since <= t < until else ()


def watched(
    *stories: Callable[[float], tuple[Alert, ...]],
    blind: tuple[float, float] = (1e9, 1e9),
    no_watchdog: tuple[float, float] = (1e9, 1e9),
    until: int = 40,
    skew: float = 0.0,
    named: Alerts | None = None,
) -> Detection:
    """A run that listened once a second."""
    expected = Alerts(expect=(ExpectedAlert(name="Slow", within=WITHIN),))
    found = Detection(named or expected, AlwaysOn())
    for t in range(until + 1):
        if blind[0] <= t < blind[1]:
            found.observe(t, "no answer")
            continue
        always = () if no_watchdog[0] <= t < no_watchdog[1] else (WATCHDOG,)
        found.observe(t, Heard(always + tuple(one for story in stories for one in story(t)), AT + t + skew))
    return found


def state(found: Detection, until: float = 40.0, confirmed: float | None = CONFIRMED) -> tuple[str, str]:
    (one,) = found.judged(Times(INJECTED, confirmed, until))
    return one.state, one.why


def test_an_alert_that_fires_in_time_is_ok() -> None:
    told = state(watched(there(alert("Slow", 20.0), since=21)))

    assert told == ("ok", "Slow fired 9s after the fault was confirmed")


@pytest.mark.parametrize(
    ("stories", "options", "expected", "why"),
    [
        ((), {}, "violated", "did not fire within 20s"),
        ((there(alert("Slow", 32.0), since=32),), {}, "violated", "fired 21s after the fault was confirmed, later"),
        ((there(alert("Slow", -5.0), since=0),), {}, "violated", "was firing before the fault"),
        ((there(alert("Slow", 2.0), since=2, until=6), there(alert("Slow", 15.0), since=15)), {}, "violated", "before"),
        ((there(alert("Slow", 2.0), since=14),), {"blind": (12, 14)}, "violated", "began 8s before the fault"),
        ((there(alert("Slow", 15.0, "suppressed"), since=15),), {}, "violated", "nobody was told"),
        ((there(alert("Other", 15.0), since=15),), {}, "violated", "did not fire"),
        ((there(alert("Slow", 15.0, "pending", fires=False), since=15),), {}, "violated", "it was pending"),
        ((), {"blind": (14, 20)}, "unknown", "nobody can tell that it did not fire"),
        ((), {"no_watchdog": (14, 20)}, "unknown", "the always-on alert Watchdog is not there"),
        ((there(alert("Slow", 15.0), since=15),), {"blind": (0, 9)}, "unknown", "was not firing before the fault"),
        ((there(alert("Slow", 15.0), since=15),), {"no_watchdog": (0, 9)}, "unknown", "not firing before the fault"),
        ((there(alert("Slow", 15.0), since=15),), {"no_watchdog": (13, 99)}, "ok", "fired 4s after"),
        ((there(alert("Slow", 15.0), since=15),), {"blind": (13, 35)}, "ok", "fired 4s after"),
        ((there(alert("Slow", 15.0), since=15, until=18),), {}, "ok", "fired 4s after"),
    ],
)
def test_every_other_story_is_told_for_what_it_is(
    stories: tuple[Callable[[float], tuple[Alert, ...]], ...],
    options: dict[str, tuple[float, float]],
    expected: str,
    why: str,
) -> None:
    told, said = state(watched(*stories, **options))  # type: ignore[arg-type]

    assert told == expected, said
    assert why in said


def test_nothing_is_judged_without_a_fault_that_took_effect() -> None:
    assert state(watched(there(alert("Slow", 15.0), since=15)), confirmed=None)[0] == "unknown"


def test_a_run_that_ended_before_the_time_was_over_cannot_tell() -> None:
    told, said = state(watched(until=25), until=25.0)

    assert told == "unknown"
    assert "6s before its time was over" in said


def test_a_source_whose_clock_is_an_hour_off_changes_nothing() -> None:
    hour = 3600.0
    slow = alert("Slow", 15.0 + hour)

    assert state(watched(there(slow, since=15), skew=hour)) == ("ok", "Slow fired 4s after the fault was confirmed")


def test_where_only_the_start_is_told_the_first_reading_that_fires_counts() -> None:
    """Prometheus tells since when the condition has held, not when `for:` was over."""
    pending, firing = (alert("Slow", 12.0, one, fires=False) for one in ("pending", "firing"))

    told = state(watched(there(pending, since=12, until=17), there(firing, since=17)))

    assert told == ("ok", "Slow fired 6s after the fault was confirmed")


def test_a_silence_that_ends_in_time_lets_it_be_seen() -> None:
    hidden, seen = alert("Slow", 15.0, "suppressed"), alert("Slow", 15.0)

    assert state(watched(there(hidden, since=15, until=22), there(seen, since=22)))[1].startswith("Slow fired 11s")


def test_an_always_on_alert_that_its_source_has_not_heard_lately_is_no_evidence() -> None:
    """Alertmanager keeps alerts for minutes when Prometheus is dead."""
    found = Detection(Alerts(forbid=("DataLoss",)), AlwaysOn(heard_within=30.0))
    kept = Alert({"alertname": "Watchdog"}, "firing", AT, heard_at=AT)
    for t in range(60):
        found.observe(t, Heard((kept,), AT + t))

    (told,) = found.judged(Times(INJECTED, CONFIRMED, 59.0))

    assert told.state == "unknown"
    assert "was not heard for 59 s" in told.why


FORBID = Alerts(forbid=("severity=page",))


@pytest.mark.parametrize("kind", ["firing", "suppressed"])
def test_a_forbidden_alert_counts_also_where_somebody_silenced_it(kind: State) -> None:
    told, said = state(watched(there(alert("Loss", 20.0, kind, severity="page"), since=20), named=FORBID))

    assert told == "violated"
    assert "Loss (severity=page) fired 10s after the fault began" in said


@pytest.mark.parametrize(
    ("story", "options", "expected"),
    [
        ((), {}, "ok"),
        ((there(alert("Loss", 20.0, "pending", severity="page"), since=20),), {}, "ok"),
        ((there(alert("Loss", 20.0, severity="ticket"), since=20),), {}, "ok"),
        ((), {"blind": (20, 30)}, "unknown"),
        ((), {"no_watchdog": (20, 30)}, "unknown"),
    ],
)
def test_silence_is_believed_only_while_somebody_listens(
    story: tuple[Callable[[float], tuple[Alert, ...]], ...], options: dict[str, tuple[float, float]], expected: str
) -> None:
    assert state(watched(*story, named=FORBID, **options))[0] == expected  # type: ignore[arg-type]


def test_a_forbidden_alert_or_a_deaf_baseline_speaks_against_the_fault() -> None:
    fires = watched(there(alert("Loss", 2.0, severity="page"), since=2), named=FORBID, until=9)
    deaf = watched(named=FORBID, until=9, no_watchdog=(0, 99))

    assert "severity=page" in fires.against(9.0)
    assert "the always-on alert Watchdog is not there" in deaf.against(9.0)
    assert watched(named=FORBID, until=9).against(9.0) == ""
    assert watched(there(alert("Slow", 2.0), since=2), until=9).against(9.0) == ""  # expected: judged, not refused


def test_listening_goes_on_only_while_something_is_due() -> None:
    waiting = watched(until=15)
    fired = watched(there(alert("Slow", 13.0), since=13), until=15)
    early = watched(there(alert("Slow", 1.0), since=1), until=15)

    assert waiting.outstanding_s(Times(INJECTED, CONFIRMED, 15.0)) == 16.0
    assert [one.outstanding_s(Times(INJECTED, CONFIRMED, 15.0)) for one in (fired, early)] == [0.0, 0.0]
    assert waiting.outstanding_s(Times(INJECTED, None, 15.0)) == 0.0


def test_what_is_new_is_told_once() -> None:
    found = Detection(Alerts(forbid=("Loss",)), AlwaysOn())
    loss = alert("Loss", 1.0)
    readings: list[Heard | str] = [
        Heard((WATCHDOG,), AT),
        Heard((WATCHDOG, loss), AT + 1),
        Heard((WATCHDOG, loss), AT + 2),
        "no answer",
        "no answer",
        Heard((WATCHDOG,), AT + 5),
    ]

    told = [type(one) for t, heard in enumerate(readings) for one in found.observe(float(t), heard)]

    assert told == [AlertsHeard, AlertSeen, AlertsUnheard, AlertsHeard, AlertGone]


def test_an_alert_that_matches_without_end_is_bounded() -> None:
    found = Detection(FORBID, AlwaysOn())
    many = tuple(alert("Loss", 1.0, severity="page", pod=str(n)) for n in range(1000))

    assert len(found.observe(1.0, Heard((WATCHDOG, *many), AT))) < 250
    assert found.judged(Times(0.0, 0.0, 2.0))[0].state == "violated"


@pytest.mark.parametrize(
    ("ref", "labels"),
    [
        ("DataLoss", {"alertname": "DataLoss"}),
        ("Data loss, all of it", {"alertname": "Data loss, all of it"}),
        ("severity=page", {"severity": "page"}),
        ('severity = "page", team=shop', {"severity": "page", "team": "shop"}),
        ("alertname=A,job=b=c", {"alertname": "A", "job": "b=c"}),
    ],
)
def test_an_alert_is_named_by_its_name_or_its_labels(ref: str, labels: dict[str, str]) -> None:
    assert labels_of(ref) == labels
    assert meant(ref, Alert({"alertname": "x", "extra": "y", **labels}, "firing", AT))
    assert not meant(ref, Alert({"alertname": "x"}, "firing", AT))
