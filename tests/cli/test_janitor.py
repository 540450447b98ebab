"""The janitor cleans up after the dead, from the ledger and from marks on targets, and disturbs nobody who lives."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos_runner import store
from chaos_runner.lifecycle import WATCH_S
from chaos_runner.store import Owner, StoreError
from chaos_runner.store.alone import alone
from tests.cli import kit
from tests.cli.conftest import Call
from tests.proxy import toxi
from tests.recover.kit import began_in

CONFIGURATION = 'kind: config/v1\nenvironments:\n  staging: {{toxiproxy: {{url: "{url}"}}}}\n'
LONG = 3600


@pytest.fixture
def state(home: Path) -> Path:
    return home / "state"


def died(state: Path, mark: Path) -> None:
    with kit.run_of(state, kit.gone_owner(), mark):
        pass


def states(state: Path) -> list[str]:
    with store.open_store(state, read_only=True) as ledger:
        return [row.state for row in ledger.faults(kit.RUN)]


def test_it_undoes_what_a_dead_run_left_and_says_so(call: Call, home: Path, state: Path) -> None:
    died(state, home / "mark")
    said = call("janitor")

    assert said.code == 0
    assert not (home / "mark").exists()
    assert f"{kit.RUN} (demo): 1 fault undone and read back" in said.out
    assert states(state) == ["WATCHING"]


def test_it_closes_what_is_watched_long_enough_and_then_has_nothing_to_do(call: Call, home: Path, state: Path) -> None:
    died(state, home / "mark")
    call("janitor")
    with store.open_store(state) as ledger:
        ledger.take_over(kit.RUN, kit.gone_owner())
    began_in(state / "ledger.sqlite", WATCH_S + 1)

    assert call("janitor").code == 0
    assert states(state) == ["CLOSED"]
    assert call("janitor").out == "nothing is left\n"


def test_where_nothing_has_run_it_makes_nothing(call: Call, state: Path) -> None:
    said = call("janitor", "-o", "json")

    assert said.code == 0
    assert said.json == {"schemaVersion": 1, "recovered": [], "open": [], "tended": [], "marks": [], "unread": {}}
    assert not state.exists()


def test_a_living_run_is_left_alone(call: Call, home: Path, state: Path) -> None:
    with kit.run_of(state, Owner.mine(), home / "mark"):
        assert call("janitor").code == 0
    assert (home / "mark").exists()


def test_a_configuration_that_is_broken_does_not_keep_it_from_the_ledger(call: Call, home: Path, state: Path) -> None:
    died(state, home / "mark")
    (home / "chaos-runner.yaml").write_text("kind: config/v1\nenvironments: 7\n")
    said = call("janitor")

    assert said.code == 3
    assert not (home / "mark").exists()
    assert "could not be looked at" in said.out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["-e", "stagin"], "did you mean 'staging'?"),
        (["-e", "staging"], "not sent"),
        ([], "staging: its targets could not be looked at"),
    ],
)
def test_targets_that_cannot_be_looked_at_are_code_3(call: Call, home: Path, words: list[str], why: str) -> None:
    url = f"http://127.0.0.1:{toxi.free_port()}"
    (home / "chaos-runner.yaml").write_text(CONFIGURATION.format(url=url))
    said = call("janitor", *words)

    assert said.code == 3
    assert why in said.out


def test_a_secret_that_is_not_there_is_told_by_its_name(call: Call, home: Path) -> None:
    text = "kind: config/v1\nenvironments: {staging: {toxiproxy: {url: 'http://127.0.0.1:1', token: 'env:NO_TOKEN'}}}\n"
    (home / "chaos-runner.yaml").write_text(text)
    said = call("janitor")

    assert said.code == 3
    assert "env:NO_TOKEN is not set" in said.out


@pytest.mark.parametrize("command", ["janitor", "recover"])
def test_that_the_ledger_is_lost_is_said_of_one_environment(call: Call, command: str) -> None:
    said = call(command, "--ledger-lost")

    assert said.code == 2
    assert "-e ENV" in said.err


@pytest.mark.parametrize("every", ["0s", "100ms", "5", "never"])
def test_a_pause_that_is_none_is_refused(call: Call, every: str) -> None:
    assert call("janitor", "--every", every).code == 2


def test_two_at_once_in_a_folder_are_one_too_many(call: Call, home: Path, state: Path) -> None:
    died(state, home / "mark")
    with alone(state, "janitor"):
        said = call("janitor")

    assert said.code == 3
    assert f"another janitor (pid {os.getpid()}) is at work in {state}" in said.err
    assert (home / "mark").exists()
    assert call("janitor").code == 0  # the turn was given back


def test_a_turn_is_given_back_by_death(state: Path) -> None:
    state.mkdir(mode=0o700)
    code = "from pathlib import Path\nfrom chaos_runner.store.alone import alone\n"
    code += f"turn = alone(Path({str(state)!r}), 'janitor')\nturn.__enter__()"
    with kit.process(code) as (child, _owner):
        with pytest.raises(StoreError, match=f"pid {child.pid}"), alone(state, "janitor"):
            pass
        child.kill()
        child.wait()
        with alone(state, "janitor"):
            pass


@contextlib.contextmanager
def living(home: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    child = kit.runner("janitor", "--every", "1s", "--state", home / "state", *words, cwd=home)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate(timeout=10)


def until(holds: Callable[[], bool], limit_s: float = 30.0) -> None:
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_that_stays_undoes_closes_and_ends_when_asked(home: Path, state: Path, number: signal.Signals) -> None:
    died(state, home / "mark")
    with living(home) as child:
        until(lambda: not (home / "mark").exists())
        until(lambda: states(state) == ["WATCHING"])
        began_in(state / "ledger.sqlite", WATCH_S + 1)
        until(lambda: states(state) == ["CLOSED"])  # its own process had recovered it: it does not wait for itself
        child.send_signal(number)
        out, err = child.communicate(timeout=20)

    assert child.returncode == 0, err
    assert "1 fault undone and read back" in out


def test_one_that_stays_outlives_a_ledger_that_cannot_be_used(home: Path, state: Path) -> None:
    died(state, home / "mark")
    ledger = state / "ledger.sqlite"
    content = ledger.read_bytes()
    for log in state.glob("ledger.sqlite-*"):
        log.unlink()
    ledger.write_bytes(b"garbage" * 1000)
    with living(home) as child:
        assert child.stderr is not None
        assert "is damaged" in child.stderr.readline()
        time.sleep(2.5)
        assert child.poll() is None
        ledger.write_bytes(content)
        until(lambda: not (home / "mark").exists())
        child.terminate()
        _out, err = child.communicate(timeout=20)

    assert "is damaged" not in err  # told once, not every second


# --- by marks, on a Toxiproxy without leases -------------------------------------------------------------------------


@pytest.fixture
def api(tmp_path: Path) -> Iterator[toxi.Api]:
    if not toxi.REAL.exists():
        reason = f"no Toxiproxy server at {toxi.REAL}: build it with `make real` or set TOXIPROXY_SERVER"
        (pytest.fail if os.environ.get("REQUIRE_REAL") == "1" else pytest.skip)(reason)
    api = toxi.start_real(tmp_path / "toxiproxy.log")
    api.make("payments")
    yield api
    toxi.stop(api)


@pytest.fixture
def staging(home: Path, api: toxi.Api) -> toxi.Api:
    (home / "chaos-runner.yaml").write_text(CONFIGURATION.format(url=f"http://127.0.0.1:{api.port}"))
    return api


def marked(api: toxi.Api, expires_in_s: int, run: str = "r-lost") -> str:
    name = f"cx.{run}.0.{int(time.time()) + expires_in_s}"
    return api.toxic("latency", proxy="payments", name=name, latency=100)


def harming(api: toxi.Api) -> list[str]:
    found = api("GET", "/proxies/payments/toxics").json
    return [toxic["name"] for toxic in found if toxic["type"] != "noop" or toxic["toxicity"]]


@pytest.mark.real
def test_an_expired_mark_of_a_run_that_nobody_knows_is_undone(call: Call, state: Path, staging: toxi.Api) -> None:
    theirs = staging.toxic("latency", "upstream", proxy="payments", name="theirs", latency=5)
    old, young = marked(staging, -LONG), marked(staging, LONG, "r-alive")
    said = call("janitor", "-o", "json")

    assert said.code == 5
    assert harming(staging) == [theirs, young] or harming(staging) == [young, theirs]
    assert old.startswith("cx.r-lost")
    assert [(one["mark"], one["run"], one["standing"]) for one in said.json["marks"]] == [
        (young, "r-alive", "unproven")
    ]
    assert [len(one["closed"]) for one in said.json["recovered"]] == [1]
    told = call("janitor").out
    assert f"LEFT ALONE: proxy/payments (staging) carries {young} (toxic)" in told
    assert "chaos-runner recover -e staging --ledger-lost" in told


@pytest.mark.real
def test_what_was_undone_by_marks_is_in_the_history_and_has_a_report(call: Call, home: Path, staging: toxi.Api) -> None:
    marked(staging, -LONG)
    run = call("janitor", "-o", "json").json["recovered"][0]["run"]

    assert "recovered-from-marks" in call("history").out
    for fmt in ("html", "markdown", "json", "junit"):
        assert call("report", run, "--format", fmt, "--out", home / f"r.{fmt}").code == 0, fmt
    assert "cx.r-lost" in (home / "r.json").read_text()


@pytest.mark.real
def test_the_fence_goes_once_its_watch_is_over(call: Call, state: Path, staging: toxi.Api) -> None:
    marked(staging, -LONG)
    call("janitor")
    assert [toxic["type"] for toxic in staging("GET", "/proxies/payments/toxics").json] == ["noop"]
    (ledger,) = state.glob("ledger.sqlite")
    with store.open_store(state) as opened:
        (run,) = opened.unfinished_runs()
        opened.take_over(run.id, kit.gone_owner())
    began_in(ledger, WATCH_S + 1)

    assert call("janitor").code == 0
    assert staging("GET", "/proxies/payments/toxics").json == []


@pytest.mark.real
@pytest.mark.parametrize("command", ["recover", "janitor"])
def test_a_person_who_knows_that_the_ledger_is_lost_can_say_so(call: Call, command: str, staging: toxi.Api) -> None:
    marked(staging, LONG)
    assert call("recover").code == 0  # the ledger's business only
    assert len(harming(staging)) == 1

    assert call(command, "-e", "staging", "--ledger-lost").code == 0
    assert harming(staging) == []


@pytest.mark.real
def test_a_proxy_that_a_lost_run_took_down_is_up_again(call: Call, staging: toxi.Api) -> None:
    staging("PATCH", "/proxies/payments", {"enabled": False})
    name = f"cx.r-lost.0.{int(time.time()) - LONG}"
    staging.toxic("noop", "upstream", proxy="payments", name=name, toxicity=1.0)

    assert call("janitor").code == 0
    assert staging("GET", "/proxies/payments").json["enabled"] is True
    assert harming(staging) == []


@pytest.mark.real
def test_two_environments_that_lead_to_one_server_tell_a_mark_once(call: Call, home: Path, api: toxi.Api) -> None:
    url = f"http://127.0.0.1:{api.port}"
    both = "kind: config/v1\nenvironments:\n" + "".join(f"  {name}: {{toxiproxy: {{url: '{url}'}}}}\n" for name in "ab")
    (home / "chaos-runner.yaml").write_text(both)
    marked(api, LONG)

    assert len(call("janitor", "-o", "json").json["marks"]) == 1


@pytest.mark.real
def test_a_fence_is_told_and_is_no_harm(call: Call, staging: toxi.Api) -> None:
    name = f"cx.r-lost.0.{int(time.time()) + LONG}"
    staging.toxic("noop", "upstream", proxy="payments", name=name, toxicity=0.0)
    said = call("janitor")

    assert said.code == 0
    assert "a fence, no harm" in said.out


def test_a_lease_that_is_alive_keeps_its_marks_whatever_a_person_says(call: Call, home: Path, tmp_path: Path) -> None:
    api = toxi.start_embedded(tmp_path / "proxy.log", env={"CHAOS_RUNNER_PROXY_TOKEN": ""})
    try:
        (home / "chaos-runner.yaml").write_text(CONFIGURATION.format(url=f"http://127.0.0.1:{api.port}"))
        api.make("payments")
        assert api("PUT", "/chaos-runner/v1/leases/r-lost", {"ttl": 600}).status == 200
        name = marked(api, -LONG)
        said = call("janitor", "-e", "staging", "--ledger-lost", "-o", "json")

        assert said.code == 0
        assert [(one["mark"], one["standing"]) for one in said.json["marks"]] == [(name, "attended")]
        assert harming(api) == [name]
    finally:
        toxi.stop(api)
