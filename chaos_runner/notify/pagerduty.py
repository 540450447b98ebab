"""A change event in PagerDuty: a line in the timeline of a service. It pages nobody."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from chaos_runner.api import Env, Notice
from chaos_runner.history import Run
from chaos_runner.model import SecretRef
from chaos_runner.notify import _post, _words

ENDPOINT = "https://events.pagerduty.com/v2/change/enqueue"
SUMMARY_MAX = 1024


class PagerDuty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sends change events with an integration's routing key."""

    kind: ClassVar[str] = "pagerduty"

    key: Annotated[
        SecretRef,
        Meta(description="a reference to the routing key; `ADDRESS KEY` for another region's endpoint"),
    ]

    async def announce(self, env: Env, notice: Notice) -> None:
        """One attempt. Raises Doubt when it may be tried again, Refused when not; never names the key."""
        details = {"run": notice.run, "targets": notice.targets, "halt": notice.halt, "actor": notice.actor}
        await self._post(env, notice.environment, _words.before(notice), details, f"{notice.run}.before")

    async def send(self, env: Env, run: Run) -> None:
        """One attempt. Raises Doubt when it may be tried again, Refused when not; never names the key."""
        await self._post(env, run.plan.get("environment", ""), _words.after(run), {"run": run.id}, run.id)

    async def _post(self, env: Env, environment: str, summary: str, details: dict[str, Any], key: str) -> None:
        address, _, routing = env.secret(self.key).strip().rpartition(" ")
        payload = {
            "summary": summary[:SUMMARY_MAX],
            "source": f"chaos-runner/{environment}",
            "custom_details": details,
        }
        body = msgspec.json.encode({"routing_key": routing, "payload": payload})
        await _post.post(address or ENDPOINT, body, f"the pagerduty {self.key}", key=key)
