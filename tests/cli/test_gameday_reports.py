"""Days in a real store: their report files, their action items over all days, and an experiment that is run again."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from chaos_runner import store
from chaos_runner.cli import gameday, gameday_report
from chaos_runner.gameday import facts
from chaos_runner.gameday.day import fold
from chaos_runner.history import fold as fold_run
from chaos_runner.render.gameday import Told
from chaos_runner.store import Owner, SqliteStore, Stamped
from tests.cli.kit import listener
from tests.gameday import kit
from tools import sample_day, sample_history

EXPERIMENT = """\
kind: experiment/v1
name: a-file-appears
hypothesis: Nobody minds a file.
service: shop
steady_state:
  listener:
    probe: tcp
    with: {{address: "127.0.0.1:{port}", rate: 20/s}}
    expect: [success >= {wanted}]
baseline: 5s
blast_radius: {{max_duration: 30s}}
method:
  - fault: noop
    target: {{name: thing}}
    with: {{file: {file}}}
    confirm: [read-back]
    for: 4s
recovery: {{within: 5s}}
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def kept(ledger: SqliteStore, told: Told, day: str) -> None:
    """A made-up day in a real store, with the records and samples of its runs."""
    started = told.entries[0].fact
    assert isinstance(started, facts.DayStarted)
    for ran in (*(one.ran for one in told.before.values()), *told.runs):
        _run(ledger, ran.run.id, ran.entries, ran.samples)
    epoch = ledger.begin_day(day, scenario="payments-outage", environment="staging", owner=Owner.mine(), fact=started)
    for one in told.entries[1:]:
        if isinstance(one.fact, facts.DayEnded):
            ledger.end_day(day, epoch, one.fact)
        else:
            ledger.say(day, one.fact)


def _run(ledger: SqliteStore, run: str, entries: object, samples: object) -> None:
    ends = fold_run(list(entries)).outcome  # type: ignore[call-overload]
    first, *rest = entries  # type: ignore[misc]
    epoch = ledger.begin_run(
        run, environment="staging", experiment="checkout-survives-slow-payments", owner=Owner.mine(), connections={},
        deadline_at=first.at + 60, runs_at_once=9, record=Stamped(record=first.record, at=first.at, t=first.t),
    )  # fmt: skip
    for one in rest[:-1] if ends else rest:
        ledger.append(run, one.record, one.at, one.t)
    ledger.add_samples(run, samples)  # type: ignore[arg-type]
    if ends:
        last = Stamped(record=rest[-1].record, at=rest[-1].at, t=rest[-1].t)
        ledger.end_run(run, epoch, ends.finding, record=last)


def test_a_day_of_the_store_becomes_a_page_json_and_a_draft(state: Path, tmp_path: Path) -> None:
    with store.open_store(state, allow_tmpfs=True) as ledger:
        kept(ledger, sample_day.aborted(), "day-1")
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "r-one.html").write_text("a run's report")
    written = gameday_report.write("day-1", state, folder)

    assert [one.name for one in written] == ["day-1.html", "day-1.json", "day-1.postmortem.md"]
    page = written[0].read_text()
    assert 'href="r-one.html"' in page
    assert 'href="r-two.html"' not in page
    told = json.loads(written[1].read_bytes())
    assert [one["run"] for one in told["runs"]] == ["r-one", "r-two"]
    assert told["answers"]["held"]["short"] == "No: 1 of 2 experiments held"
    assert told["drill"]["run"] == "r-drill"
    assert "# Postmortem (draft)" in written[2].read_text()
    assert gameday_report.write("day-1", state, folder)[0].read_text() == page


def test_the_run_before_is_found_by_experiment_and_environment_and_never_of_this_day(state: Path) -> None:
    with store.open_store(state, allow_tmpfs=True) as ledger:
        kept(ledger, sample_day.aborted(), "day-1")
        ledger.say("day-1", facts.Said("sue", "later"))
        told = gameday_report.gameday_told.told(ledger, "day-1", state)

    assert {run: one.ran.run.id for run, one in told.before.items()} == {"r-one": "r-before", "r-two": "r-before"}


def test_a_damaged_run_is_named_and_costs_only_itself(state: Path) -> None:
    import sqlite3

    with store.open_store(state, allow_tmpfs=True) as ledger:
        kept(ledger, sample_day.aborted(), "day-1")
    with sqlite3.connect(state / "ledger.sqlite") as con:
        con.execute("UPDATE record SET payload = x'00' WHERE run = 'r-one' AND seq = 3")
    page = gameday_report.rendered("day-1", state, state, "html").decode()
    told = json.loads(gameday_report.rendered("day-1", state, state, "json"))

    assert list(told["unreadableRuns"]) == ["r-one"]
    assert [one["run"] for one in told["runs"]] == ["r-two"]
    assert "Runs that could not be read" in page
    assert told["answers"]["back"]["short"] == "Not proven"


def _gameday(capsysbinary: pytest.CaptureFixture[bytes], state: Path, *words: str) -> tuple[int, str]:
    code = gameday.run_words([*words, "--state", str(state)])
    return code, capsysbinary.readouterr().out.decode()


def _day(ledger: SqliteStore, day: str, scenario_file: Path, *said: facts.AnyFact) -> None:
    first = facts.DayStarted(msgspec.to_builtins(kit.scenario()), str(scenario_file), {}, {}, "fay")
    epoch = ledger.begin_day(day, scenario="x", environment="demo", owner=Owner.mine(), fact=first)
    for fact in said:
        ledger.say(day, fact)
    ledger.end_day(day, epoch, facts.DayEnded("finished"))


def test_actions_of_all_days_are_listed_overdue_first(
    state: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    with store.open_store(state, allow_tmpfs=True) as ledger:
        _day(ledger, "day-1", tmp_path / "s.yaml",
             facts.ActionAdded("a1", "later", "sue", "sue", "2999-01-01", "P0"),
             facts.ActionAdded("a2", "no date\x1b[31m", "sue"),
             facts.ActionAdded("a3", "settled", "sue", "sue", "2001-01-01"),
             facts.ActionSettled("a3", "done", "sue", "done"))  # fmt: skip
        _day(ledger, "day-2", tmp_path / "s.yaml", facts.ActionAdded("b1", "late", "sue", "sue", "2001-01-01", "P3"))

    code, told = _gameday(capsysbinary, state, "actions")
    rows = told.splitlines()
    assert code == 0
    assert [one.split()[2] for one in rows[1:3]] == ["OVERDUE", "open"]
    assert "\x1b" not in told
    listed = json.loads(_gameday(capsysbinary, state, "actions", "-o", "json")[1])["actions"]
    assert [(one["id"], one["overdue"], one["day"]) for one in listed] == [
        ("b1", True, "day-2"), ("a1", False, "day-1"), ("a2", False, "day-1"),
    ]  # fmt: skip
    everything = json.loads(_gameday(capsysbinary, state, "actions", "--all", "-o", "json")[1])["actions"]
    assert [one["id"] for one in everything][-1] == "a3"


def test_an_action_is_settled_in_the_day_that_it_is_of_also_after_its_end(
    state: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    with store.open_store(state, allow_tmpfs=True) as ledger:
        _day(ledger, "day-1", tmp_path / "s.yaml", facts.ActionAdded("a1", "mend it", "sue"))
        _day(ledger, "day-2", tmp_path / "s.yaml")
    code, told = _gameday(capsysbinary, state, "actions", "done", "a1", "--by", "otto", "--reason", "mended")

    assert (code, told) == (0, "a1 is done: mend it\n")
    with store.open_store(state, read_only=True) as ledger:
        settled = fold(ledger.facts("day-1")).actions["a1"].settled
    assert settled == facts.ActionSettled("a1", "done", "otto", "mended")
    assert _gameday(capsysbinary, state, "actions")[1] == "no open action items\n"


@pytest.mark.parametrize(("wanted", "headline", "after"), [("90%", "HELD", "done"), ("99.9%", "refused", "open")])
def test_running_an_action_s_experiment_again_settles_it_by_the_outcome(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, headline: str, after: str
) -> None:
    """A real run: held, the action is done; refused, nothing ran and the action is as it was."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chaos-runner.yaml").write_text("kind: config/v1\nenvironments: {demo: {}}\n")
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "experiments").mkdir()
    with listener() as port:
        text = EXPERIMENT.format(port=port, file=tmp_path / "mark", wanted=wanted)
        (tmp_path / "experiments" / "file.yaml").write_text(text)
        with store.open_store(state, allow_tmpfs=True) as ledger:
            _day(ledger, "day-1", tmp_path / "scenarios" / "s.yaml",
                 facts.ActionAdded("a1", "mend it", "sue", rerun="../experiments/file.yaml"))  # fmt: skip
        code = _rerun(state)
        if code == 3 and headline == "HELD":  # a busy machine measured too little: once more
            code = _rerun(state)
    with store.open_store(state, read_only=True) as ledger:
        view = fold(ledger.facts("day-1")).actions["a1"]
        runs = ledger.runs(limit=5)

    assert view.state == after
    if headline == "HELD":
        assert (code, view.settled is not None and view.settled.run) == (0, runs[0].run)
        assert (tmp_path / "reports" / f"{runs[0].run}.html").is_file()
    else:
        assert (code, runs, view.settled) == (3, [], None)


def _rerun(state: Path) -> int:
    from chaos_runner.plan import Refusal

    try:
        return gameday.run_words(["rerun", "a1", "--by", "otto", "--yes", "--state", str(state)])
    except Refusal:
        return 3


def test_what_does_not_hold_stays_open_and_names_the_run(state: Path, tmp_path: Path) -> None:
    from chaos_runner.cli import gameday_rerun, gameday_told

    with store.open_store(state, allow_tmpfs=True) as ledger:
        _day(ledger, "day-1", tmp_path / "s.yaml", facts.ActionAdded("a1", "mend it", "sue"))
        entries = sample_history.deviated().entries
        _run(ledger, "r-again", entries, [])
        ran = ledger.runs(limit=1)[0]
        gameday_rerun._settle(ledger, gameday_told.action(ledger, "a1"), ran, "otto")
        view = fold(ledger.facts("day-1")).actions["a1"]

    assert view.state == "open"
    assert view.settled == facts.ActionSettled("a1", "open", "otto", "run again: DEVIATED", "r-again")
