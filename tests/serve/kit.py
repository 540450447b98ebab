"""A server in a process of its own, visitors of all kinds, and a state folder with runs and a game day."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec

from chaos_runner import store
from chaos_runner.gameday.facts import AnyFact, DayStarted, Said
from chaos_runner.gameday.scenario import from_builtins
from chaos_runner.records import RunEnded
from chaos_runner.store import Owner, SqliteStore, Stamped
from tools import sample_history
from tools.sample_history import History

HELD, GOING, DAY = "20260822-100000-held", "20260822-110000-goes", "day-20260822-120000-a1b2"
LIMIT_S = 60
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SCENARIO: dict[str, Any] = {
    "kind": "scenario/v1",
    "name": "payments-go-away",
    "title": "The payment provider goes away",
    "environment": "demo",
    "roles": {
        "facilitator": "ann",
        "operator": "bob",
        "abort_authority": "cid",
        "responders": ["dan"],
    },
    "steps": [{"step": "run", "run": "slow-payments.yaml", "name": "payments answer late"}],
    "checklist": ["stakeholders told"],
}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Visit(NamedTuple):
    """A browser with its cookie and the proof that its pages carry."""

    cookie: str
    csrf: str


class Served:
    """One server; asks it what no browser would."""

    def __init__(self, url: str, codes: dict[str, str], state: Path, pid: int) -> None:
        self.url, self.codes, self.state, self.pid = url, codes, state, pid
        self.host = urlsplit(url).netloc
        self.tokens: dict[str, str] = json.loads((state / "serve-tokens.json").read_text())

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, timeout=20)

    def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, form: dict[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own; what `headers` says wins, Host included."""
        told = dict(headers or {})
        body = urlencode(form).encode() if form is not None else None
        connection = self.connect()
        try:
            connection.putrequest(method, path, skip_host="Host" in told, skip_accept_encoding=True)
            if body is not None:
                told = {**FORM, "Content-Length": str(len(body)), **told}
            for name, value in told.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            found = connection.getresponse()
            return Answer(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())
        finally:
            connection.close()

    def code(self, role: str) -> str:
        return str(self.ask("POST", "/api/v1/codes", self.bearer("operator"), {"role": role}).json["code"])

    def bearer(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[role]}"}

    def enter(self, role: str, name: str = "ann") -> Visit:
        """Comes in by a code, as a browser does."""
        form = {"code": self.code(role), "name": name}
        cookie = self.ask("POST", "/login", {"Origin": self.url}, form).headers["set-cookie"].partition(";")[0]
        page = self.ask("GET", "/days", {"Cookie": cookie}).text
        found = re.search(r'<meta name="csrf" content="([^"]+)">', page)
        assert found, page
        return Visit(cookie, found[1])

    def send(self, visit: Visit, path: str, **form: str) -> Answer:
        """A form of one of our pages, sent."""
        return self.ask("POST", path, {"Cookie": visit.cookie, "Origin": self.url}, {"csrf": visit.csrf, **form})

    def get(self, visit: Visit, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, {"Cookie": visit.cookie, **headers})


@contextlib.contextmanager
def serving(state: Path, *more: str) -> Iterator[Served]:
    """`chaos-runner serve` on a port of its own, until the end of the block."""
    words = [
        "serve",
        "--state",
        str(state),
        "--listen",
        "127.0.0.1:0",
        "--reports",
        str(state.parent / "reports"),
        *more,
    ]
    child = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-m", "chaos_runner", *words],
        stderr=subprocess.PIPE,
        text=True,
        cwd=state.parent,
    )
    said: list[str] = []
    try:
        assert child.stderr is not None
        for line in child.stderr:
            said.append(line)
            if line.startswith("each address"):
                break
        codes = dict(re.findall(r"^(\w+): \S+#code=(\S+)$", "".join(said), re.MULTILINE))
        url = re.search(r"http://[^/]+", "".join(said))
        assert url is not None, said
        yield Served(url[0], codes, state, child.pid)
    finally:
        child.send_signal(signal.SIGTERM)
        rest = child.communicate(timeout=LIMIT_S)[1]
        assert child.returncode == 0, (child.returncode, rest)
        assert "Traceback" not in rest, rest


def put(state: Path, run: str, history: History, *, environment: str = "demo", experiment: str = "slow") -> None:
    """A run in the ledger, as its records tell it."""
    with store.open_store(state, allow_tmpfs=True) as ledger:
        first = history.entries[0]
        ledger.begin_run(
            run,
            environment=environment,
            experiment=experiment,
            owner=Owner.mine(),
            connections={},
            deadline_at=time.time() + 60,
            runs_at_once=99,
            record=Stamped(first.record, first.at, first.t),
        )
        ledger.add_samples(run, history.samples)
        for one in history.entries[1:]:
            if isinstance(one.record, RunEnded):
                ledger.end_run(run, 1, "HELD", record=Stamped(one.record, one.at, one.t))
            else:
                ledger.append(run, one.record, one.at, one.t)


def put_day(ledger: SqliteStore, *said: AnyFact, scenario: dict[str, Any] | None = None) -> None:
    """A game day that goes on."""
    told = msgspec.to_builtins(from_builtins(scenario or SCENARIO))
    started = DayStarted(scenario=told, file="day.yaml", files={}, versions={}, actor="ann")
    ledger.begin_day(DAY, scenario=told["name"], environment="demo", owner=Owner.mine(), fact=started)
    for one in said:
        ledger.say(DAY, one)


def fill(folder: Path) -> Path:
    """A state folder with a run that ended, one that goes on, and a day; and a folder of reports."""
    state = folder / "state"
    put(state, HELD, sample_history.held())
    put(state, GOING, cut(sample_history.held(), 40.0))
    with store.open_store(state, allow_tmpfs=True) as ledger:
        put_day(ledger, Said(who="ann", text="we begin"))
    (folder / "reports").mkdir()
    (folder / "reports" / "index.html").write_text("<!doctype html><title>reports</title>")
    return state


def cut(history: History, t: float) -> History:
    """The history as it was at that second."""
    return History([one for one in history.entries if one.t <= t], [one for one in history.samples if one.tick < t])


def gone(pid: int) -> bool:
    """Whether a process is no more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
