"""One POST of JSON to an address that is a secret: who knows it may post there, so no error names it."""

from __future__ import annotations

from chaos_runner.api import Doubt, Env, Refused

LIMIT_S = 5.0


async def post(url: str, body: bytes, said: str, *, key: str, kind: str = "application/json") -> None:
    """One attempt. Raises Doubt when it may be tried again, Refused when not; `said` stands for the address.

    `key` is the same for each attempt, so that a receiver can tell a repetition.
    """
    from chaos_runner.clients import http

    headers = {"Content-Type": kind, "Idempotency-Key": key}
    async with http.opened() as client:
        try:
            answer = await http.exchange(client, "POST", url, headers=headers, body=body, limit_s=LIMIT_S)
        except (http.NotSent, http.NoAnswer, http.BrokenAnswer):
            raise Doubt(f"{said} did not answer") from None
    if answer.status >= 500 or answer.status in {408, 425, 429}:
        raise Doubt(f"{said} answered {answer.status}")
    if not 200 <= answer.status < 300:
        raise Refused(f"{said} answered {answer.status}")


async def post_to(env: Env, reference: str, kind: str, body: bytes, key: str) -> None:
    """The same, to the address behind a reference."""
    await post(env.secret(reference), body, f"the {kind} {reference}", key=key)
