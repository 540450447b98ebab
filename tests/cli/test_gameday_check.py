"""`gameday check`: days before, every line says what was looked at; what cannot be told is not ready."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from chaos_runner import files, store
from chaos_runner.store import levers
from tests.cli import kit
from tests.cli.conftest import Call
from tests.clients import hostile

EXPERIMENT = kit.EXPERIMENT.replace("for: 50s", "for: 20s")
SCENARIO = """\
kind: scenario/v1
name: a-day
environment: here
roles:
  {{facilitator: fay, operator: otto, abort_authority: abe, incident_commander: ines, scribe: sue, responders: rob}}
steps:
  - {{run: x.yaml, name: a file appears, tighten: {{for: 10s}}}}
agenda: {{hard_end: 2h, items: [{{at: 0m, what: brief}}, {{at: 20m, what: a file appears}}, {{at: 40m, what: end}}]}}
{more}
"""
CONFIG = "kind: config/v1\nenvironments:\n  here: {{{}}}\n"
CALENDAR = """\
calendars: {{work: {{days: mon-fri, between: "{between}", timezone: Europe/Berlin, except: [{closed}]}}}}
schedules: [{{experiment: x.yaml, environment: {environment}, calendar: {calendar}, cron: '30 10 * * *'}}]
"""


class Folder:
    """A project with one experiment that hurts nobody, and one scenario."""

    def __init__(self, home: Path, call: Call) -> None:
        self.home, self.call = home, call
        (home / "x.yaml").write_text(EXPERIMENT.format(port=1, file=home / "mark"))
        self.scenario()
        self.config()

    def scenario(self, more: str = "") -> None:
        (self.home / "day.yaml").write_text(SCENARIO.format(more=more))

    def config(self, environment: str = "", more: str = "") -> None:
        (self.home / "chaos-runner.yaml").write_text(CONFIG.format(environment) + more)

    def check(self, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """The exit code, and each finding by what it is about."""
        said = self.call("gameday", "check", "day.yaml", *words, "-o", "json")
        assert said.err == ""
        return said.code, {one["what"]: one for one in said.json["findings"]}

    def left(self, *words: str) -> dict[str, str]:
        """What is to be done: about what, and what was found."""
        code, found = self.check(*words)
        left = {what: f"{one['state']}: {one['found']}" for what, one in found.items() if one["state"] != "ok"}
        assert code == (3 if left else 0)
        assert all(one["looked_at"] for one in found.values())
        assert all(found[what]["next"] for what in left)
        return left


@pytest.fixture
def folder(home: Path, call: Call) -> Folder:
    return Folder(home, call)


def test_a_day_that_has_all_it_needs_is_ready(folder: Folder) -> None:
    assert folder.left() == {}
    code, found = folder.check()
    assert code == 0
    assert found["step 1: a file appears"]["found"].startswith("noop/thing; may be harmed and undone")
    assert (
        found["time of step 1: a file appears"]["found"] == "25s at the longest, of the 20m that the agenda has for it"
    )
    assert {"levers", "leftovers", "alerts", "calendar", "approvals", "environment", "time of the day"} <= set(found)


def test_nothing_is_changed(folder: Folder) -> None:
    before = sorted(path for path in folder.home.rglob("*"))
    folder.check()
    assert sorted(path for path in folder.home.rglob("*")) == before


def test_people_read_a_table_that_says_what_was_looked_at_and_what_is_next(folder: Folder, call: Call) -> None:
    folder.scenario("runbooks: {a file appears: wiki}")
    said = call("gameday", "check", "day.yaml")
    lines = said.out.splitlines()
    assert said.code == 3
    (bad,) = [n for n, line in enumerate(lines) if line.startswith("no ")]
    assert "'wiki' is neither an address such as" in lines[bad]
    assert lines[bad + 1].split() == ["looked", "at:", "runbooks.a", "file", "appears"]
    assert lines[bad + 2].split() == ["next:", "correct", "it"]
    assert lines[-1].startswith("not ready: a-day, in 'here': 1 of ")
    folder.scenario()
    assert call("gameday", "check", "day.yaml").out.splitlines()[-1].startswith("ready: a-day, in 'here' (")


def test_an_invalid_scenario_is_a_file_to_mend(folder: Folder, call: Call) -> None:
    folder.scenario("agenda_: {}")
    said = call("gameday", "check", "day.yaml")
    assert (said.code, said.out) == (2, "")
    assert "unknown key 'agenda_'" in said.err


def test_what_the_plan_of_a_step_refuses_is_to_be_done(folder: Folder) -> None:
    folder.config("protected: [noop/*]")
    assert folder.left() == {"step 1: a file appears": "no: noop/thing is protected in this environment"}
    folder.config("ceilings: {max_duration: 30s}")
    (said,) = folder.left().values()
    assert "exceeds the ceiling of 30s in 'here'" in said


def test_the_tightened_experiment_is_planned_and_not_the_file_s(folder: Folder) -> None:
    folder.config("ceilings: {max_duration: 30s}")
    path = folder.home / "day.yaml"
    path.write_text(path.read_text().replace("{for: 10s}", "{max_duration: 30s}"))
    assert folder.left() == {}


def test_a_layer_that_is_required_and_not_there_is_to_be_done(folder: Folder) -> None:
    folder.config("require: {layer: lease}")
    (said,) = folder.left().values()
    assert "the layer 'lease' is required" in said


@pytest.mark.parametrize("scope", ["global", "environment.here", "service.shop", "experiment.a-file-appears"])
def test_a_lever_that_would_stop_a_step_is_to_be_done(scope: str, folder: Folder) -> None:
    levers.pull(folder.home / "state", scope, "ann", "a real incident")
    assert folder.left() == {"levers": f"no: ann pulled {scope}: a real incident"}


def test_a_lever_of_others_is_none_of_ours(folder: Folder) -> None:
    levers.pull(folder.home / "state", "environment.elsewhere", "ann", "not here")
    assert folder.left() == {}


def test_a_fault_that_is_left_over_is_to_be_done(folder: Folder) -> None:
    with kit.run_of(folder.home / "state", kit.gone_owner(), folder.home / "mark", environment="here"):
        pass
    assert folder.left()["leftovers"].startswith(f"no: noop of run {kit.RUN} on noop/thing")


def test_a_ledger_that_cannot_be_read_is_unknown(folder: Folder) -> None:
    with store.open_store(folder.home / "state", allow_tmpfs=True):
        pass
    (folder.home / "state" / "ledger.sqlite").write_bytes(b"no ledger" * 1000)
    assert folder.left()["leftovers"].startswith("unknown: ")


def test_an_environment_that_cannot_be_asked_leaves_everything_unknown(folder: Folder) -> None:
    folder.config("toxiproxy: {url: 'http://127.0.0.1:1', token: env:NO_SUCH_TOKEN}")
    folder.scenario("alerts: {forbid: [DataLoss]}")
    left = folder.left()
    assert left["environment"].startswith("no: the secret env:NO_SUCH_TOKEN is not set")
    assert left["step 1: a file appears"] == "unknown: the environment could not be asked"
    assert left["alert DataLoss"].startswith("unknown: ")


def test_the_demo_that_does_not_run_is_named(call: Call, home: Path) -> None:
    shutil.copytree(files.bundled(), home / "experiments")
    shutil.copytree(files.bundled("scenarios"), home / "scenarios")
    said = call("gameday", "check", "scenarios/node-loss.yaml")
    assert said.code == 3
    assert "next: start it with: chaos-runner demo up" in said.out


# --- calendars -----------------------------------------------------------------------------------------------------


def calendars(folder: Folder, between: str = "09:00-17:00", closed: str = "", **changed: str) -> None:
    words = {"between": between, "closed": closed, "environment": "here", "calendar": "work", **changed}
    folder.config("ceilings: {max_duration: 5m}}\n  there: {", CALENDAR.format(**words))


MONDAY = "2026-11-23T10:00+01:00"


def test_the_whole_day_fits_into_the_calendar_or_it_is_to_be_done(folder: Folder) -> None:
    calendars(folder)
    assert folder.left("--at", MONDAY) == {}
    assert folder.left("--at", "2026-11-23T15:00+01:00") == {}
    (late,) = folder.left("--at", "2026-11-23T15:01+01:00").values()
    assert late.endswith("closes Mon 2026-11-23 17:00 (Europe/Berlin)")
    (sunday,) = folder.left("--at", "2026-11-22T10:00+01:00").values()
    assert sunday.endswith("closed then")


def test_a_holiday_a_freeze_and_a_file_that_is_gone_close_the_day(folder: Folder) -> None:
    calendars(folder, closed="2026-11-23T11:00..2026-11-23T11:30 a freeze")
    (said,) = folder.left("--at", MONDAY).values()
    assert said.endswith("closed from Mon 2026-11-23 11:00 (Europe/Berlin): a freeze")
    calendars(folder, closed="file:gone.ics")
    (said,) = folder.left("--at", MONDAY).values()
    assert "closed: file:gone.ics: " in said or "closed: gone.ics: " in said
    assert "fit nowhere in the next 30 days" in next(iter(folder.left().values()))


def test_without_a_time_the_next_one_that_fits_is_named(folder: Folder) -> None:
    calendars(folder)
    found = folder.check()[1]["calendar work"]["found"]
    assert found.startswith("the next 2h begin ")
    assert folder.left() == {}
    calendars(folder, between="09:00-10:59")
    assert folder.left() == {"calendar work": "no: 2h fit nowhere in the next 30 days"}


@pytest.mark.parametrize("elsewhere", [{"environment": "there"}, {"calendar": "always"}])
def test_only_calendars_of_the_environment_s_schedules_count(elsewhere: dict[str, str], folder: Folder) -> None:
    calendars(folder, **elsewhere)
    assert folder.left("--at", "2026-11-22T10:00+01:00") == {}


def test_schedules_that_cannot_be_read_are_unknown(folder: Folder) -> None:
    folder.config("", "schedules: ['file:more.yaml']\n")
    (folder.home / "more.yaml").write_text("kind: schedules/v1\n")
    assert folder.left()["calendar"].startswith("unknown: the schedules cannot be read")


def test_a_time_that_is_none_is_a_mistake(folder: Folder, call: Call) -> None:
    said = call("gameday", "check", "day.yaml", "--at", "noon")
    assert said.code == 2
    assert "is no time; write one such as" in said.err


# --- alerts --------------------------------------------------------------------------------------------------------

ALERTS = "alerts: {expect: [{name: CheckoutSlow, within: 4m}], forbid: [DataLoss]}"
"""What the scenario speaks of."""


def test_alerts_that_nobody_could_hear_are_to_be_done(folder: Folder) -> None:
    folder.scenario(ALERTS)
    assert "there is no source of alerts" in folder.left()["alerts"]


def test_a_monitoring_that_does_not_answer_is_unknown(folder: Folder) -> None:
    folder.scenario(ALERTS)
    with hostile.serving(hostile.reset) as server:
        folder.config(f"prometheus: {{url: '{server.url}'}}, always_on: Watchdog")
        left = folder.left()
    assert set(left) == {"alert CheckoutSlow", "alert DataLoss"}
    assert all(said.startswith("unknown: it cannot be told whether a rule makes it") for said in left.values())
