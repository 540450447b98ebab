"""Whole days with real processes: nobody says go, halt, the drill, an incident, the hard end."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from chaos_runner.gameday.facts import AlertEnded, AlertFired, AlertsUnread, DrillEnded, StepBegan
from chaos_runner.store import levers
from tests.conductor.rig import Rig
from tests.signals import monitor

Rigged = Callable[..., Rig]


def test_a_no_go_by_who_may_say_it_ends_the_day_before_anything_ran(rigged: Rigged) -> None:
    rig = rigged()
    rig.to_checkpoint()
    rig.until_asked("go_no_go")
    rig.say("hand abort_authority rita")
    with pytest.raises(ValueError, match="'abe' is none of them"):
        rig.say("no-go I left", "abe")
    rig.say("no-go an incident is on", "rita")
    over = rig.until_over()

    assert over.ended is not None
    assert over.ended.how == "stopped"
    assert over.ended.why == "no-go by rita (abort_authority): an incident is on"
    assert not [fact for fact in rig.facts() if isinstance(fact, StepBegan) and fact.run]
    assert rig.cli("gameday", "status", rig.id).stdout.splitlines()[1].startswith("over: stopped: no-go by rita")


def test_a_day_begins_only_where_its_environment_is_known_and_no_other_is_open(rigged: Rigged) -> None:
    rig = rigged()
    unknown = rig.cli("gameday", "run", "day.yaml", "--yes", "--detach", "-e", "her")
    second = rig.cli("gameday", "run", "day.yaml", "--yes", "--detach")

    assert (unknown.returncode, second.returncode) == (3, 3)
    assert "unknown environment 'her'; did you mean 'here'" in unknown.stderr
    assert f"game day {rig.id} is not over" in second.stderr
    assert [one.name for one in (rig.state / "days").iterdir()] == [rig.id]


def test_alerts_are_on_record_by_their_own_start_and_what_nobody_could_tell_is_too(rigged: Rigged) -> None:
    with monitor.serving() as alertmanager:
        rig = rigged(monitor=alertmanager.url)
        rig.until_asked("ready")
        alertmanager.alerts.append(monitor.alert("Slow", ago_s=30.0, team="shop"))
        alertmanager.alerts.append(monitor.alert("Another"))
        rig.until(lambda: rig.day().alerts)
        alertmanager.status = 503
        rig.until(lambda: [fact for fact in rig.facts() if isinstance(fact, AlertsUnread)])
        assert not rig.day().alerts_over, "silence of a deaf source ends nothing"
        rig.kill_conductor()
        alertmanager.status = 200
        assert rig.cli("gameday", "resume", "--detach").returncode == 0
        del alertmanager.alerts[1]
        rig.until(lambda: rig.day().alerts_over)

    heard = [fact for fact in rig.facts() if isinstance(fact, AlertFired | AlertsUnread | AlertEnded)]
    assert [type(fact) for fact in heard] == [AlertFired, AlertsUnread, AlertsUnread, AlertEnded]
    (at, fired), *_ = rig.day().alerts
    assert fired.labels == {"alertname": "Slow", "team": "shop"}
    assert 25 < at - fired.starts_at < 60


def test_a_changed_file_is_told_and_a_run_refuses_where_it_is_not_its_steps_turn(rigged: Rigged) -> None:
    rig = rigged()
    rig.to_checkpoint()
    rig.until_asked("go_no_go")
    with (rig.folder / "one.yaml").open("a") as file:
        file.write("# changed since the day began\n")
    rig.say("go")
    rig.until_asked("prediction")
    assert [said.text for _, said in rig.day().said] == [
        "one.yaml is not what it was when the day began; step 2 runs it as it is"
    ]
    plan = str(rig.state / "days" / rig.id / "step-1.plan.json")

    for step, words in (
        ("1", "not the one that goes on"),
        ("drill", "not the one that goes on"),
        ("x", "not DAY:STEP"),
    ):
        done = rig.cli("run", "--plan", plan, "--day", f"{rig.id}:{step}", "--yes", "-e", "here")
        assert done.returncode in {2, 3}
        assert words in done.stderr
    assert rig.cli("gameday", "end", "--by", "otto").returncode == 2
    assert rig.cli("gameday", "end", "--by", "fay", "--reason", "it rains").returncode == 0
    assert "is over" in rig.cli("run", "--plan", plan, "--day", f"{rig.id}:1", "--yes", "-e", "here").stderr
    assert not rig.faults["one"].exists()


def test_the_drill_pulls_a_real_lever_and_releases_no_other(rigged: Rigged) -> None:
    rig = rigged(drill=True)
    levers.pull(rig.state, "experiment.one", "anna", "in earnest")
    rig.to_checkpoint()
    rig.until_asked("ready", "abort_authority")
    (fault,) = (rig.state / "days" / rig.id).glob("drill.fault")
    rig.say("halt practice", "abe")
    rig.until(lambda: rig.day().drill)
    drill = rig.day().drill

    assert isinstance(drill, DrillEnded)
    assert drill.who == "abe"
    assert drill.halt_s is not None
    assert 0 < drill.halt_s < 10
    assert not fault.exists()
    assert [one.scope for one in levers.all(rig.state)] == ["experiment.one"]
    rig.until_asked("go_no_go")
    rig.say("go")
    rig.until_asked("ready")
    assert "anna pulled the lever experiment.one (in earnest)" in (rig.day().asked or rig).question  # type: ignore[union-attr]


def test_a_real_incident_stops_what_runs_tells_people_and_ends_the_day(rigged: Rigged) -> None:
    with receiver() as (url, heard):
        rig = rigged(hold_s=50, notify=url)
        rig.to_checkpoint()
        rig.to_fault()
        rig.say("incident the real shop is down", "rob")
        over = rig.until_over()

    assert not rig.faults["one"].exists()
    assert over.ended is not None
    assert (over.ended.how, over.ended.who) == ("incident", "rob")
    assert over.steps[1].headline == "ABORTED"
    assert [one.scope for one in levers.all(rig.state)] == ["environment.here"], "it stays pulled"
    told = [body for body in heard if "a real incident, declared by rob" in json.dumps(body)]
    assert len(told) == 1


@pytest.mark.campaign  # it has to wait for the hard end; the decision itself is tried at every change
def test_at_the_hard_end_what_runs_is_undone_and_nothing_else_begins(rigged: Rigged) -> None:
    rig = rigged(hold_s=50, hard_end_s=40)
    rig.to_checkpoint()
    rig.to_fault()
    over = rig.until_over()

    assert over.ended is not None
    assert over.ended.how == "hard_end"
    assert not rig.faults["one"].exists()
    assert over.steps[1].headline == "ABORTED"
    assert over.steps[2].state == "waiting"


@contextmanager
def receiver() -> Iterator[tuple[str, list[object]]]:
    """A server that keeps what is posted to it."""
    heard: list[object] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
