"""The doctor finds what is wrong, names the next step, and never prints a secret."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from chaos_runner.cli import examine
from chaos_runner.store import Owner, levers
from tests.cli import kit
from tests.cli.conftest import Call, Said
from tests.clients.kubernetes import server as kubernetes
from tests.signals import monitor

SECRET = "hunter2-correct-horse"


def configured(home: Path, text: str) -> None:
    (home / "chaos-runner.yaml").write_text(f"kind: config/v1\nenvironments:\n  staging: {text}\n")


def found(said: Said, what: str) -> dict[str, str]:
    return next(one for one in said.json["findings"] if one["what"] == what)


def test_a_machine_that_is_well_is_all_ok(call: Call, home: Path) -> None:
    configured(home, "{}")

    said = call("doctor")

    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()[:-2]] == ["ok"] * 7
    assert "starts, and was ready after" in said.out
    assert said.out.endswith("\n0 failed, 0 warned, 7 ok\n")
    assert not (home / "state").exists()


def test_a_demo_that_is_not_running_is_a_warning_with_the_command(call: Call) -> None:
    said = call("doctor", "-e", "demo")

    assert said.code == 0
    assert "warn  demo" in said.out
    assert "next: chaos-runner demo up" in said.out


def test_what_cannot_be_reached_fails_with_the_next_step(call: Call, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as server:
        configured(
            home,
            f"{{toxiproxy: {{url: 'http://127.0.0.1:{closed}'}}, commands: [/no/such/program], "
            f"services: {{up: 'http://127.0.0.1:{server.getsockname()[1]}', down: '127.0.0.1:{closed}'}}, "
            f"processes: {{gone: {{pid: 4194300, start_time: 1}}}}}}",
        )
        said = call("doctor", "-o", "json")

    assert said.code == 3
    states = {one["what"]: one["state"] for one in said.json["findings"] if one["what"].startswith("staging")}
    assert states == {
        "staging: toxiproxy": "fail",
        "staging: service up": "ok",
        "staging: service down": "fail",
        "staging: process gone": "fail",
        "staging: command /no/such/program": "fail",
        "staging: leftovers": "fail",
    }
    assert all(one["next"] for one in said.json["findings"] if one["state"] == "fail")


def test_a_dead_run_a_pulled_lever_and_an_open_folder_are_named(call: Call, home: Path) -> None:
    with kit.run_of(home / "state", kit.gone_owner(), home / "mark"):
        pass
    levers.pull(home / "state", "global", "ann", "")
    said = call("doctor", "-e", "demo", "-o", "json")

    assert found(said, "ledger")["next"] == "chaos-runner recover"
    assert found(said, "levers")["next"] == "chaos-runner resume global --reason WHY"
    (home / "state").chmod(0o755)
    assert found(call("doctor", "-e", "demo", "-o", "json"), "state folder")["state"] == "fail"


def test_a_missing_secret_is_named_by_its_reference(call: Call, home: Path) -> None:
    configured(home, "{toxiproxy: {url: 'http://127.0.0.1:9', token: env:NO_SUCH_TOKEN}}")

    said = call("doctor")

    assert said.code == 3
    assert "env:NO_SUCH_TOKEN" in said.out


def test_no_command_prints_a_secret(call: Call, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOS_TEST_TOKEN", SECRET)
    (home / "token").write_text(SECRET)
    for reference in ("env:CHAOS_TEST_TOKEN", f"file:{home}/token"):
        configured(home, f"{{toxiproxy: {{url: 'http://127.0.0.1:9', token: '{reference}'}}}}")
        call("new", "x", "--class", "hang")
        for words in (["doctor"], ["plan", "experiments/x.yaml"], ["run", "experiments/x.yaml"], ["status"]):
            said = call(*words, "-o", "json")
            assert SECRET not in said.out + said.err
            said = call(*words)
            assert SECRET not in said.out + said.err
    assert not any(SECRET.encode() in path.read_bytes() for path in (home / "state").rglob("*") if path.is_file())


class Toxiproxy(BaseHTTPRequestHandler):
    """Answers like the real server: one proxy, with a toxic under our mark."""

    toxics: ClassVar[list[dict[str, Any]]] = []

    def do_GET(self) -> None:
        proxy = {"name": "payments", "listen": "127.0.0.1:1", "upstream": "127.0.0.1:2", "enabled": True}
        known = {"/proxies": {"payments": {**proxy, "toxics": self.toxics}}}
        answer = known.get(self.path, {"error": "not found", "status": 404})
        self.send_response(200 if self.path in known else 404)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_words: object) -> None:
        pass


@contextmanager
def server(*marks: str) -> Iterator[str]:
    toxic = {"type": "latency", "stream": "downstream", "toxicity": 1.0, "attributes": {"latency": 5, "jitter": 0}}
    handler = type("Marked", (Toxiproxy,), {"toxics": [{**toxic, "name": mark} for mark in marks]})
    with HTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join(5)


def test_the_real_proxy_is_told_from_the_embedded_one(call: Call, home: Path) -> None:
    with server("somebody-elses") as url:
        configured(home, f"{{toxiproxy: {{url: '{url}'}}}}")
        said = call("doctor", "-o", "json")

    assert found(said, "staging: toxiproxy")["state"] == "ok"
    assert "the real one, 1 proxy" in found(said, "staging: toxiproxy")["said"]
    assert found(said, "staging: leftovers")["state"] == "ok"


def test_a_mark_that_nobody_looks_after_is_a_leftover_and_that_of_a_living_run_is_not(call: Call, home: Path) -> None:
    with server("cx.r-dead.0.1", f"cx.{kit.RUN}.0.1") as url, kit.run_of(home / "state", Owner.mine(), None):
        configured(home, f"{{toxiproxy: {{url: '{url}'}}}}")
        said = call("doctor", "-o", "json")

    leftovers = found(said, "staging: leftovers")
    assert leftovers["state"] == "fail"
    assert leftovers["said"] == "proxy/payments carries cx.r-dead.0.1"
    assert "does not know it" in leftovers["next"]


def test_a_leftover_of_a_dead_run_of_this_ledger_asks_for_recover(call: Call, home: Path) -> None:
    with server(f"cx.{kit.RUN}.0.1") as url, kit.run_of(home / "state", kit.gone_owner(), None):
        configured(home, f"{{toxiproxy: {{url: '{url}'}}}}")
        said = call("doctor", "-o", "json")

    assert found(said, "staging: leftovers")["next"] == "chaos-runner recover"


def test_an_address_of_this_machine_is_loopback_and_others_are_not() -> None:
    assert examine._is_loopback("127.0.0.1")
    assert examine._is_loopback("localhost")
    assert examine._is_loopback("::1")
    assert not examine._is_loopback("10.0.0.7")
    assert not examine._is_loopback("toxi.example")


def test_a_check_that_hangs_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "CHECK_S", 0.1)

    async def hang() -> examine.Finding:
        await asyncio.sleep(60)
        return examine.Finding("ok", "", "")

    began = time.monotonic()
    finding = asyncio.run(examine._bounded("x", hang))

    assert time.monotonic() - began < 3
    assert finding.state == "fail"
    assert "no answer" in finding.said


def test_the_guardian_that_was_tried_is_gone_afterwards(call: Call, home: Path) -> None:
    configured(home, "{}")
    children, threads = _children(), set(threading.enumerate())
    call("doctor")

    assert _children() == children
    # An idle thread of anyio's pool ends by itself.
    assert not [new for new in set(threading.enumerate()) - threads if not new.name.startswith("AnyIO worker")]


def _children() -> set[str]:
    found: set[str] = set()
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            found |= set((task / "children").read_text().split())
    return found


def test_a_cluster_is_looked_at_and_another_one_than_named_is_a_failure(call: Call, home: Path) -> None:
    with kubernetes.serving(kubernetes.namespace()) as api:
        (home / "kube.conf").write_text(
            f"clusters: [{{name: c, cluster: {{server: '{api.url}'}}}}]\n"
            "contexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n"
        )
        for uid, state, words in (
            (kubernetes.UID, "ok", kubernetes.UID),
            ("another", "fail", f"its uid is {kubernetes.UID}, not another"),
        ):
            configured(home, f"{{cluster: {{kubeconfig: 'file:kube.conf', uid: {uid}}}}}")
            seen = found(call("doctor", "-o", "json"), "staging: cluster")
            assert seen["state"] == state
            assert words in seen["said"]


MONITORED = """{{prometheus: {{url: '{url}'}}, alertmanager: {{url: '{url}'}}, always_on: Watchdog,
    slos: {{checkout: {{objective: 99%, ratio: {{total: orders, bad: 'orders{{outcome="failed"}}'}}}}}}}}"""


def states(said: Said) -> dict[str, str]:
    wanted = ("prometheus", "alertmanager", "always-on alert", "SLO checkout")
    found = {one["what"].removeprefix("staging: "): one["state"] for one in said.json["findings"]}
    return {name: found[name] for name in wanted if name in found}


def test_monitoring_is_looked_at_its_clock_its_targets_the_always_on_alert_and_budgets(call: Call, home: Path) -> None:
    with monitor.serving() as there:
        there.values = {
            "timestamp(": [1],
            "time()": [time.time()],
            "up == 1": [1, 1],
            "failed": [2.5],
            "orders": [1000],
        }
        configured(home, MONITORED.format(url=there.url))
        well = call("doctor", "-o", "json")
        there.values |= {"up == 1": [], "timestamp(": []}
        there.alerts = [monitor.alert("Watchdog", ago_s=3600)]
        ill = call("doctor", "-o", "json")
        there.values["time()"] = [time.time() + 60]
        ahead = call("doctor", "-o", "json")

    assert states(well) == dict.fromkeys(("prometheus", "alertmanager", "always-on alert", "SLO checkout"), "ok")
    assert found(well, "staging: prometheus")["said"].endswith("answers, and scrapes 2 targets")
    assert "75 % of the error budget is left" in found(well, "staging: SLO checkout")["said"]
    assert states(ill) == {
        "prometheus": "warn",
        "alertmanager": "ok",
        "always-on alert": "fail",
        "SLO checkout": "warn",
    }
    assert "was not heard for" in found(ill, "staging: always-on alert")["said"]
    assert states(ahead)["prometheus"] == "fail"
    assert "ahead of ours" in found(ahead, "staging: prometheus")["said"]


def test_monitoring_that_does_not_answer_fails_and_one_that_nobody_can_trust_warns(call: Call, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    configured(home, MONITORED.format(url=f"http://127.0.0.1:{closed}"))
    said = call("doctor", "-o", "json")
    with monitor.serving() as there:
        configured(home, f"{{alertmanager: {{url: '{there.url}'}}}}")
        bare = call("doctor", "-o", "json")

    assert states(said) == {
        "prometheus": "fail",
        "alertmanager": "fail",
        "always-on alert": "fail",
        "SLO checkout": "warn",
    }
    assert states(bare) == {"alertmanager": "warn"}
    assert "no absence of an alert is believed" in found(bare, "staging: alertmanager")["next"]
