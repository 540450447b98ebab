"""Looking changes nothing, and a store that cannot be used is said so; the halt button needs none."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos_runner import store
from chaos_runner.store import levers
from tests.serve.kit import DAY, GOING, HELD, Served, fill, serving

PAGES = ("/", f"/runs/{HELD}", f"/runs/{GOING}", f"/runs/{HELD}/report", "/days", f"/days/{DAY}", "/api/v1/runs")


def _print(state: Path) -> dict[str, str]:
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in state.iterdir() if one.is_file()}


def test_looking_changes_nothing(tmp_path: Path) -> None:
    state = fill(tmp_path)
    with serving(state) as served:
        before = _print(state)
        for path in PAGES:
            assert served.ask("GET", path, served.bearer("operator")).status == 200
        assert _print(state) == before
    assert not (state / "serve.json").exists()


def _halts(served: Served) -> str:
    """Pulls the global lever; what is known of it in the end."""
    told = {**served.bearer("viewer"), "Accept": "application/json"}
    pulled = served.ask("POST", "/halt", told, {"scope": "global", "reason": "enough"})
    assert pulled.status == 202
    until = time.monotonic() + 60
    while (one := served.ask("GET", f"/api/v1/halts/{pulled.json['number']}", told).json)["state"] != "done":
        assert time.monotonic() < until
        time.sleep(0.2)
    return str(one["trouble"])


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    con = sqlite3.connect(path, isolation_level=None)
    try:
        con.execute("PRAGMA locking_mode = EXCLUSIVE")
        con.execute("BEGIN EXCLUSIVE")
        yield
        con.execute("ROLLBACK")
    finally:
        con.close()


def test_a_locked_ledger_is_said_so_and_halting_works_all_the_same(tmp_path: Path) -> None:
    state = fill(tmp_path)
    with serving(state) as served:
        with _locked(state / "ledger.sqlite"):
            answers = [served.ask("GET", path, served.bearer("viewer")) for path in PAGES]
            trouble = _halts(served)
            said = served.ask("POST", f"/days/{DAY}/say", served.bearer("operator"), {"line": "halt", "name": "ann"})
        after = served.ask("GET", "/", served.bearer("viewer"))

    assert [one.status for one in answers] == [503] * len(PAGES)
    assert "locked" in answers[0].text
    assert "locked" in trouble
    assert levers.pulled(state, "any", "any", "any") is not None
    assert said.status in {303, 503}
    assert after.status == 200


@pytest.mark.parametrize("damage", ["removed", "garbage", "open to others"])
def test_a_lost_ledger_is_said_so(tmp_path: Path, damage: str) -> None:
    state = fill(tmp_path)
    with serving(state) as served:
        assert served.ask("GET", "/", served.bearer("viewer")).status == 200
        path = state / "ledger.sqlite"
        if damage == "removed":
            path.unlink()
        elif damage == "garbage":
            path.unlink()
            path.write_bytes(b"no database" * 1000)
            path.chmod(0o600)
        else:
            path.chmod(0o644)
        answers = [served.ask("GET", path, served.bearer("viewer")) for path in (f"/runs/{GOING}", "/api/v1/runs")]
        _halts(served)

    assert {one.status for one in answers} <= {503, 200, 404}
    assert answers[0].status != 200 or damage == "open to others"
    assert levers.pulled(state, "any", "any", "any") is not None


def test_a_report_here_is_the_one_that_the_command_writes(served: Served) -> None:
    argv = [sys.executable, "-m", "chaos_runner", "report", HELD, "--state", str(served.state), "--out", "-"]
    told = subprocess.run(argv, capture_output=True, timeout=60, check=True).stdout
    assert served.ask("GET", f"/runs/{HELD}/report", served.bearer("viewer")).body == told


def test_where_nothing_has_run_the_pages_say_so(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    with serving(tmp_path / "state") as served:
        page = served.ask("GET", "/", served.bearer("viewer"))
        assert (page.status, "No run yet" in page.text) == (200, True)
        assert served.ask("GET", "/days", served.bearer("viewer")).status == 200
        assert served.ask("GET", f"/runs/{HELD}", served.bearer("viewer")).status == 404


def test_what_is_said_here_is_a_fact_with_its_speaker(tmp_path: Path) -> None:
    state = fill(tmp_path)
    with serving(state) as served:
        visit = served.enter("operator", name="")
        nameless = served.send(visit, f"/days/{DAY}/say", verb="note", line="who am I")
        said = served.send(visit, f"/days/{DAY}/say", verb="mark detected", line="the board is red", name="ann")
        seen = served.get(visit, f"/days/{DAY}").text
        wrong = served.send(visit, f"/days/{DAY}/say", verb="mark", line="eaten")
        viewer = served.send(served.enter("viewer"), f"/days/{DAY}/say", verb="note", line="x")
    with store.open_store(state, read_only=True) as ledger:
        last = ledger.facts(DAY)[-1]

    assert (nameless.status, said.status, wrong.status, viewer.status) == (400, 303, 400, 403)
    assert "detected" in wrong.text
    assert "the board is red" in seen
    fact = last.fact
    assert (type(fact).__name__, getattr(fact, "who", ""), getattr(fact, "text", "")) == (
        "Marked", "ann", "the board is red"
    )  # fmt: skip
    assert 0 <= last.at - getattr(fact, "happened_at", 0.0) < 30


def test_a_halt_on_the_page_of_a_day_is_on_its_record(tmp_path: Path) -> None:
    state = fill(tmp_path)
    with serving(state) as served:
        visit = served.enter("viewer", "vic")
        scope = {"scope": "environment.demo", "reason": "enough --by bob", "day": DAY}
        assert served.send(visit, "/halt", **scope).status == 303
        until = time.monotonic() + 60
        while "vic pulled the lever" not in (page := served.get(visit, f"/days/{DAY}").text):
            assert time.monotonic() < until, page
            time.sleep(0.2)
        nowhere = served.send(visit, "/halt", scope="environment.demo", day="day-that-never-was")

    assert [one.scope for one in levers.all(state)][-1:] == ["environment.demo"]
    assert nowhere.status == 303


def test_a_responder_sees_no_run_no_target_and_no_method(tmp_path: Path) -> None:
    state = fill(tmp_path)
    with serving(state) as served:
        page = served.ask("GET", f"/days/{DAY}", served.bearer("responder"))
        value = served.ask("GET", f"/api/v1/days/{DAY}", served.bearer("responder"))
        list_ = served.ask("GET", "/days", served.bearer("responder"))
        full = served.ask("GET", f"/days/{DAY}", served.bearer("viewer"))

    for told in (page, value, list_):
        assert told.status == 200
        for hidden in ("slow-payments", "payments-go-away", "provider goes away", "we begin"):
            assert hidden not in told.text
    assert "we begin" in full.text


def test_resuming_takes_an_operator_and_a_reason_and_keeps_both(tmp_path: Path) -> None:
    state = fill(tmp_path)
    with serving(state) as served:
        viewer, operator = served.enter("viewer", "vic"), served.enter("operator", "oda")
        assert served.send(viewer, "/halt", scope="global", reason="smoke").status == 303
        lever = levers.pulled(state, "any", "any", "any")
        statuses = [
            served.send(viewer, "/resume", scope="global", reason="fine").status,
            served.send(operator, "/resume", scope="global", reason=" ").status,
            served.send(operator, "/resume", scope="../../x", reason="fine").status,
            served.send(operator, "/resume", scope="global", reason="fine").status,
        ]
    (kept,) = (state / "levers" / "released").iterdir()

    assert lever is not None
    assert (lever.who, lever.reason) == ("vic", "smoke")
    assert statuses == [403, 400, 409, 303]
    assert "oda" in kept.read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--listen", "0.0.0.0:0"], "--tokens FILE"),
        (["--listen", "0.0.0.0:0", "--tokens", "t.json"], "--origin URL"),
        (["--listen", "example.org:1"], "no IP address"),
        (["--listen", "127.0.0.1"], "HOST:PORT"),
        (["--origin", "https://user@x"], "no address"),
        (["--origin", "ftp://x"], "no address"),
        (["--link", "viewer"], "no server answers"),
    ],
)
def test_what_would_let_everybody_in_is_refused(tmp_path: Path, words: list[str], sentence: str) -> None:
    argv = [sys.executable, "-m", "chaos_runner", "serve", "--state", str(tmp_path / "state"), *words]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr


def test_link_lets_somebody_else_in(tmp_path: Path) -> None:
    state = fill(tmp_path)
    with serving(state) as served:
        argv = [sys.executable, "-m", "chaos_runner", "serve", "--state", str(state), "--link", "viewer"]
        told = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True).stdout
        url, _, code = told.strip().partition("/login#code=")
        entered = served.ask("POST", "/login", {"Origin": served.url}, {"code": code})

    assert (url, entered.status) == (served.url, 303)
