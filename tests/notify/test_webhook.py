"""Laws of notifying: the operator is told once, what fails is told to the person, and no secret is ever printed."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import anyio
import pytest

from chaos_runner import notifying, registry
from chaos_runner.api import Env, Notice
from chaos_runner.config import Notification
from chaos_runner.environment import Environment
from chaos_runner.history import Run
from chaos_runner.records import Outcome

RUN = Run(id="r-1", outcome=Outcome("DEVIATED", "criterion", "CLEAN", "slow"), plan={"experiment": {"name": "x"}})


class Hook:
    """A server that answers with the given statuses in order and keeps what it was sent."""

    def __init__(self, statuses: list[int]) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.keys.append(self.headers["Idempotency-Key"])
                hook.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(statuses[min(len(hook.bodies), len(statuses)) - 1])
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/secret-path"


@contextlib.contextmanager
def hook(*statuses: int) -> Iterator[Hook]:
    one = Hook(list(statuses))
    thread = threading.Thread(target=one.server.serve_forever)
    thread.start()
    try:
        yield one
    finally:
        one.server.shutdown()
        thread.join()
        one.server.server_close()


def notify(url: str, verdict: str, on: tuple[Any, ...] = ("aborted",)) -> list[str]:
    told: list[str] = []
    env = Env("local", Environment(), {"env:HOOK": url})
    wanted = (Notification(notifier="webhook", reference="env:HOOK", on=on),)
    anyio.run(notifying.notify, wanted, verdict, env, RUN, registry.notifiers, told.append, (0.0, 0.0))
    return told


def test_a_verdict_that_was_asked_for_is_sent_once() -> None:
    with hook(204) as there:
        assert notify(there.url, "ABORTED") == []

    assert [body["id"] for body in there.bodies] == ["r-1"]
    assert there.bodies[0]["data"]["outcome"]["finding"] == "DEVIATED"


def test_a_verdict_nobody_asked_for_is_not_sent() -> None:
    with hook(204) as there:
        notify(there.url, "HELD")

    assert there.bodies == []


def test_a_server_in_trouble_is_tried_again() -> None:
    with hook(503, 200) as there:
        assert notify(there.url, "ABORTED") == []

    assert len(there.bodies) == 2


def test_a_refusal_is_final_and_told_without_the_secret_address() -> None:
    with hook(403) as there:
        (told,) = notify(there.url, "ABORTED")

    assert len(there.bodies) == 1
    assert told == "warning: not notified: the webhook env:HOOK answered 403"


def test_a_dead_address_is_told_after_the_last_attempt() -> None:
    (told,) = notify("http://127.0.0.1:1/secret-path", "ABORTED")

    assert told == "warning: not notified: the webhook env:HOOK did not answer"


class Shouting:
    """A notifier of another package."""

    heard: ClassVar[list[str]] = []

    def __init__(self, reference: str) -> None:
        self.reference = reference

    async def send(self, env: Env, run: Run) -> None:
        self.heard.append(f"{self.reference} {run.id}")


def test_any_registered_kind_is_sent_what_its_entry_names() -> None:
    wanted = (Notification(notifier="shout", reference="env:WHO", on=("aborted",)),)
    anyio.run(notifying.notify, wanted, "ABORTED", Env("local", Environment()), RUN, {"shout": Shouting}, print)

    assert Shouting.heard == ["env:WHO r-1"]


NOTICE = Notice(
    run="r-2",
    experiment="slow-payments",
    environment="staging",
    hypothesis="checkout goes on",
    targets=("proxy/payments",),
    undone_by=1_800_000_000.0,
    halt="chaos-runner halt --run r-2",
)


def announced(kind: str, secret: str, on: tuple[Any, ...] = ("before",)) -> list[str]:
    told: list[str] = []
    wanted = (Notification(notifier=kind, reference="env:WHERE", on=on),)
    env = Env("staging", Environment(), {"env:WHERE": secret})
    anyio.run(notifying.announce, wanted, env, NOTICE, registry.notifiers, told.append, (0.0, 0.0))
    return told


@pytest.mark.parametrize("kind", registry.notifiers.names())
def test_every_notifier_announces_targets_undo_time_and_the_halt_command(kind: str) -> None:
    with hook(202) as there:
        assert announced(kind, f"{there.url} key" if kind == "pagerduty" else there.url) == []

    [body] = there.bodies
    text = json.dumps(body)
    assert "proxy/payments" in text
    assert "chaos-runner halt --run r-2" in text
    assert "08:00:00 UTC" in text or "1800000000.0" in text


@pytest.mark.parametrize("kind", registry.notifiers.names())
def test_every_notifier_sends_a_verdict_tries_again_with_the_same_key_and_names_no_secret(kind: str) -> None:
    with hook(503, 200) as there:
        secret = f"{there.url} key" if kind == "pagerduty" else there.url
        env = Env("local", Environment(), {"env:HOOK": secret})
        wanted = (Notification(notifier=kind, reference="env:HOOK", on=("deviated",)),)
        told: list[str] = []
        anyio.run(notifying.notify, wanted, "DEVIATED", env, RUN, registry.notifiers, told.append, (0.0, 0.0))
        assert told == []
        assert there.keys == ["r-1", "r-1"]
    anyio.run(notifying.notify, wanted, "DEVIATED", env, RUN, registry.notifiers, told.append, (0.0, 0.0))

    assert told == [f"warning: not notified: the {kind} env:HOOK did not answer"]
    assert "r-1" in json.dumps(there.bodies[1])


def test_who_did_not_ask_is_told_nothing_before() -> None:
    with hook(202) as there:
        announced("slack", there.url, on=("aborted",))

    assert there.bodies == []


def test_a_chat_cannot_be_made_to_mention_people() -> None:
    with hook(202) as there:
        env = Env("local", Environment(), {"env:HOOK": there.url})
        run = Run(id="r-1", outcome=Outcome("DEVIATED", "criterion", "CLEAN", "<!channel> & co"), plan={})
        anyio.run(registry.notifiers["slack"]("env:HOOK").send, env, run)

    assert "&lt;!channel&gt; &amp; co" in there.bodies[0]["text"]
