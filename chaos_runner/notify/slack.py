"""A message to a Slack channel by an incoming webhook."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from chaos_runner.api import Env, Notice
from chaos_runner.history import Run
from chaos_runner.model import SecretRef
from chaos_runner.notify import _post, _words

ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Slack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Writes one line into a channel."""

    kind: ClassVar[str] = "slack"

    url: Annotated[SecretRef, Meta(description="a reference to the incoming webhook's URL, such as env:SLACK_URL")]

    async def announce(self, env: Env, notice: Notice) -> None:
        """One attempt. Raises Doubt when it may be tried again, Refused when not; never names the URL."""
        await _post.post_to(env, self.url, self.kind, _text(_words.before(notice)), f"{notice.run}.before")

    async def send(self, env: Env, run: Run) -> None:
        """One attempt. Raises Doubt when it may be tried again, Refused when not; never names the URL."""
        await _post.post_to(env, self.url, self.kind, _text(_words.after(run)), run.id)


def _text(sentence: str) -> bytes:
    """Slack reads &, < and > as its own; what came from outside must not mention people."""
    return msgspec.json.encode({"text": "".join(ESCAPES.get(char, char) for char in sentence)[:3000]})
