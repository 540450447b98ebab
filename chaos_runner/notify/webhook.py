"""One POST with what is about to happen, or the outcome of a run, as a CloudEvents 1.0 envelope in JSON."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from chaos_runner.api import Env, Notice
from chaos_runner.history import Run
from chaos_runner.model import SecretRef
from chaos_runner.notify import _post

TYPE = "application/cloudevents+json"


class Webhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sends to a URL; the URL is a secret reference, because who knows it may post there."""

    kind: ClassVar[str] = "webhook"

    url: Annotated[SecretRef, Meta(description="a reference to the URL, such as env:CHAOS_WEBHOOK")]

    async def announce(self, env: Env, notice: Notice) -> None:
        """One attempt. Raises Doubt when it may be tried again, Refused when not; never names the URL."""
        await self._post(env, announcement(notice), f"{notice.run}.before")

    async def send(self, env: Env, run: Run) -> None:
        """One attempt. Raises Doubt when it may be tried again, Refused when not; never names the URL."""
        await self._post(env, event(run), run.id)

    async def _post(self, env: Env, body: bytes, key: str) -> None:
        await _post.post(env.secret(self.url), body, f"the webhook {self.url}", key=key, kind=TYPE)


def event(run: Run) -> bytes:
    """The envelope; the same run gives the same bytes."""
    experiment: dict[str, Any] = run.plan.get("experiment", {})
    data = {"outcome": run.outcome, "clauses": run.clauses, "actor": run.actor, "not_started": run.not_started}
    return _envelope("run.ended", run.plan.get("environment", ""), run.id, experiment.get("name", ""), data)


def announcement(notice: Notice) -> bytes:
    """The envelope of what is about to happen."""
    data = msgspec.to_builtins(notice)
    return _envelope("run.announced", notice.environment, f"{notice.run}.before", notice.experiment, data)


def _envelope(type_: str, environment: str, id_: str, subject: str, data: dict[str, Any]) -> bytes:
    envelope = {
        "specversion": "1.0",
        "type": f"io.chaos-runner.{type_}",
        "source": f"chaos-runner/{environment}",
        "id": id_,
        "subject": subject,
        "datacontenttype": "application/json",
        "data": data,
    }
    return msgspec.json.encode(envelope)
