"""One POST with the outcome of a run, as a CloudEvents 1.0 envelope in JSON."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from chaos_runner.api import Doubt, Env, Refused
from chaos_runner.history import Run
from chaos_runner.model import SecretRef

LIMIT_S = 5.0


class Webhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sends the outcome to a URL; the URL is a secret reference, because who knows it may post there."""

    kind: ClassVar[str] = "webhook"

    url: Annotated[SecretRef, Meta(description="a reference to the URL, such as env:CHAOS_WEBHOOK")]

    async def send(self, env: Env, run: Run) -> None:
        """One attempt. Raises Doubt when it may be tried again, Refused when not; never names the URL."""
        from chaos_runner.clients import http

        headers = {"Content-Type": "application/cloudevents+json"}
        async with http.opened() as client:
            try:
                answer = await http.exchange(
                    client, "POST", env.secret(self.url), headers=headers, body=event(run), limit_s=LIMIT_S
                )
            except (http.NotSent, http.NoAnswer, http.BrokenAnswer):
                raise Doubt(f"the webhook {self.url} did not answer") from None
        if answer.status >= 500 or answer.status in {408, 425, 429}:
            raise Doubt(f"the webhook {self.url} answered {answer.status}")
        if not 200 <= answer.status < 300:
            raise Refused(f"the webhook {self.url} answered {answer.status}")


def event(run: Run) -> bytes:
    """The envelope; the same run gives the same bytes."""
    experiment: dict[str, Any] = run.plan.get("experiment", {})
    envelope = {
        "specversion": "1.0",
        "type": "io.chaos-runner.run.ended",
        "source": f"chaos-runner/{run.plan.get('environment', '')}",
        "id": run.id,
        "subject": experiment.get("name", ""),
        "datacontenttype": "application/json",
        "data": {"outcome": run.outcome, "clauses": run.clauses, "actor": run.actor, "not_started": run.not_started},
    }
    return msgspec.json.encode(envelope)
