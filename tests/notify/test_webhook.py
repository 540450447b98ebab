"""Laws of notifying: the operator is told once, what fails is told to the person, and no secret is ever printed."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import anyio

from chaos_runner import notifying, registry
from chaos_runner.api import Env
from chaos_runner.history import Run
from chaos_runner.model import Environment, Notification
from chaos_runner.records import Outcome

RUN = Run(id="r-1", outcome=Outcome("DEVIATED", "criterion", "CLEAN", "slow"), plan={"experiment": {"name": "x"}})


class Hook:
    """A server that answers with the given statuses in order and keeps what it was sent."""

    def __init__(self, statuses: list[int]) -> None:
        self.bodies: list[dict[str, Any]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
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
