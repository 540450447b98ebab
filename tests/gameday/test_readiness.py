"""Days before: what a scenario, its times and readings of alerts say is to be done. Unknown is not ready."""

from __future__ import annotations

from typing import Any

import pytest

from chaos_runner.alerts import Alert, Heard, Rule
from chaos_runner.environment import AlwaysOn
from chaos_runner.gameday import readiness
from chaos_runner.gameday.readiness import Finding, Timed
from tests.gameday import kit

EVERYBODY = {
    "facilitator": "fay",
    "operator": "otto",
    "abort_authority": "abe",
    "incident_commander": "ines",
    "scribe": "sue",
    "responders": ["rob", "rita"],
}
NOW = 1_795_356_000.0
WATCHDOG = Alert({"alertname": "Watchdog"}, "firing", NOW - 900)
SLOW = Alert({"alertname": "CheckoutSlow", "severity": "page"}, "firing", NOW - 60)
RULES = (Rule("CheckoutSlow", {"severity": "page"}), Rule("DataLoss", {}))
ALWAYS_ON = AlwaysOn()


def people(**changed: Any) -> dict[str, Finding]:
    scenario = kit.scenario(roles={**EVERYBODY, **changed})
    return {one.looked_at: one for one in readiness.people(scenario)}


def test_somebody_is_named_for_each_part() -> None:
    assert readiness.ready(list(people().values()))
    assert people(comms="cora")["roles.comms"].found == "cora"


@pytest.mark.parametrize("nobody", ["TBD", "todo", "?", "<nobody>", "N/A", "n.n.", [], ["rob", "tbd"]])
def test_a_placeholder_is_nobody(nobody: Any) -> None:
    found = people(scribe=nobody)["roles.scribe"]
    assert (found.state, found.next) == ("no", "name who plays it: roles.scribe")


def test_a_part_that_the_program_knows_is_missed() -> None:
    scenario = kit.scenario()  # it has no incident commander
    found = [one for one in readiness.people(scenario) if one.state != "ok"]
    assert [one.what for one in found] == ["role incident_commander"]


def test_approvals_are_wanted_where_runs_are_confirmed() -> None:
    assert readiness.approvals(kit.scenario(approvals=[]), careful=False).state == "ok"
    assert readiness.approvals(kit.scenario(approvals=[]), careful=True).state == "no"
    assert readiness.approvals(kit.scenario(approvals=["anna"]), careful=True).state == "ok"
    assert readiness.approvals(kit.scenario(approvals=["anna", "tbd"]), careful=False).state == "no"


@pytest.mark.parametrize(
    ("address", "state"),
    [
        ("https://wiki.example.org/slow", "ok"),
        ("http://wiki:8080/x?y#z", "ok"),
        ("runbooks/slow.md", "ok"),
        ("runbooks/fast.md", "no"),
        ("https://", "no"),
        ("https://wiki .example.org/slow", "no"),
        ("javascript:alert(1)", "no"),
        ("wiki.example.org/slow", "no"),
        ("http://[::1", "no"),
        ("", "no"),
    ],
)
def test_a_runbook_is_an_address_or_a_file(address: str, state: str) -> None:
    (found,) = readiness.runbooks(
        kit.scenario(runbooks={"CheckoutSlow": address}), lambda text: text.endswith("slow.md")
    )
    assert found.state == state


def times(*worst: float, hard_end: float = 3600, **at: float) -> list[tuple[str, str]]:
    items = [{"at": when, "what": what.replace("_", " ")} for what, when in at.items()]
    scenario = kit.scenario(agenda={"hard_end": hard_end, "items": items})
    timed = [Timed(n, f"step {n}", one) for n, one in enumerate(worst)]
    return [(one.state, one.found) for one in readiness.times(scenario, timed)]


def test_a_step_fits_where_the_agenda_has_it() -> None:
    assert times(600, brief=0, step_0=60, end=660)[0] == (
        "ok",
        "10m at the longest, of the 10m that the agenda has for it",
    )
    assert times(601, brief=0, step_0=60, end=660)[0][0] == "no"
    assert times(3000, brief=0, step_0=600)[0][0] == "ok", "the last item has until the hard end"
    assert times(3001, brief=0, step_0=600)[0][0] == "no"
    assert times(600, brief=0, end=660)[0][1] == "10m at the longest; the agenda does not name it"


def test_all_runs_end_before_the_agenda_and_before_the_hard_end() -> None:
    assert times(1800, 1800)[-1] == (
        "ok",
        "2 runs take 1h at the longest; there is no agenda; the hard end is after 1h",
    )
    assert times(1800, 1801)[-1] == ("no", "2 runs take 1h 1s at the longest; the hard end is after 1h")
    assert times(1200, end=1200)[-1][0] == "ok"
    assert times(1201, end=1200)[-1] == ("no", "1 run takes 20m 1s at the longest; the agenda ends after 20m")


def alert(ref: str, *there: Alert, rules: Any = RULES, heard: Any = None) -> tuple[str, str]:
    found = readiness.alert(ref, rules, heard or Heard((WATCHDOG, *there), NOW), ALWAYS_ON)
    return found.state, found.found


def test_an_alert_is_made_by_a_rule_and_silent_now() -> None:
    assert alert("CheckoutSlow") == ("ok", "the rule CheckoutSlow makes it; it is silent now")
    assert alert("alertname=CheckoutSlow,team=shop")[0] == "ok", "a rule's labels may come from what it measures"
    assert alert("severity=page")[0] == "ok"


@pytest.mark.parametrize("ref", ["CheckoutSlo", "alertname=CheckoutSlow,severity=ticket", "severity=none", "team=shop"])
def test_an_alert_that_no_rule_makes_is_not_ready(ref: str) -> None:
    assert alert(ref) == ("no", "none of 2 rules makes it")


def test_a_rule_that_cannot_be_evaluated_makes_nothing() -> None:
    broken = Rule("CheckoutSlow", {}, "many-to-many matching not allowed")
    assert alert("CheckoutSlow", rules=(broken,))[0] == "no"
    assert alert("CheckoutSlow", rules=(broken, RULES[0]))[0] == "ok"


@pytest.mark.parametrize(
    ("state", "words"),
    [("firing", "is firing now"), ("pending", "is pending now"), ("suppressed", "firing now, suppressed by silence x")],
)
def test_an_alert_that_is_not_silent_is_not_ready(state: Any, words: str) -> None:
    loud = Alert(SLOW.labels, state, SLOW.starts_at, why="silence x")
    said = alert("CheckoutSlow", loud)
    assert said[0] == "no"
    assert words in said[1]


def test_silence_that_means_nothing_is_unknown() -> None:
    state, said = alert("CheckoutSlow", heard=Heard((), NOW))
    assert state == "unknown"
    assert said.endswith("it cannot be told that it is silent: the always-on alert Watchdog is not there")


def test_what_cannot_be_read_is_unknown() -> None:
    assert alert("CheckoutSlow", heard="http://am: no answer")[0] == "unknown"
    assert alert("CheckoutSlow", rules="http://prom: no answer")[0] == "unknown"
    assert alert("CheckoutSlow", SLOW, rules="http://prom: no answer")[0] == "no", "what fires is known all the same"
    assert not readiness.ready([Finding("unknown", "", "", "")])
