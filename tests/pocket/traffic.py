"""Open-loop shoppers, and a hand on the proxy: what the tests and the measurement of the shop share."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec

from chaos_runner.pocket import http11, http_client

LIMIT_S = 2.0


@dataclass
class Seen:
    """What shoppers saw: (when it was due, seconds it took, status or 0 for no answer)."""

    replies: list[tuple[float, float, int]] = field(default_factory=list)

    def between(self, start: float, end: float) -> Seen:
        return Seen([reply for reply in self.replies if start <= reply[0] < end])

    def success(self) -> float:
        return sum(200 <= status < 300 for _, _, status in self.replies) / max(1, len(self.replies))

    def quantile(self, share: float) -> float:
        times = sorted(took for _, took, _ in self.replies)
        return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0

    def statuses(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for _, _, status in self.replies:
            found[status] = found.get(status, 0) + 1
        return found


async def shop_at(
    url: str, rate: float, for_s: float, seen: Seen, method: str = "POST", path: str = "/checkout"
) -> None:
    """Asks `rate` times a second, whatever the answers; a reply later than the limit is none."""
    pool = http_client.Pool(url, connections=1000, queue_max=0)
    started = time.monotonic()
    async with asyncio.TaskGroup() as shoppers:
        for n in range(int(rate * for_s)):
            due = started + n / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            shoppers.create_task(_shop_once(pool, due, seen, http11.Request(method, path)))
    pool.close()


async def _shop_once(pool: http_client.Pool, due: float, seen: Seen, request: http11.Request) -> None:
    status = 0
    try:
        async with asyncio.timeout(LIMIT_S):
            status = (await pool.exchange(request)).status
    except OSError:
        status = 0
    seen.replies.append((due, time.monotonic() - due, status))


async def ask(url: str, method: str, path: str, value: object = None) -> tuple[int, Any]:
    """One request; the body as JSON where there is one."""
    pool = http_client.Pool(url, connections=1, queue_max=0)
    body = b"" if value is None else msgspec.json.encode(value)
    try:
        async with asyncio.timeout(10):
            reply = await pool.exchange(http11.Request(method, path, {"content-type": http11.JSON}, body))
    finally:
        pool.close()
    is_json = reply.headers.get("content-type", "").startswith(http11.JSON)
    return reply.status, msgspec.json.decode(reply.body) if is_json and reply.body else reply.body


def toxic(type_: str, stream: str = "downstream", toxicity: float = 1.0, **attributes: int) -> dict[str, Any]:
    return {"name": "harm", "type": type_, "stream": stream, "toxicity": toxicity, "attributes": attributes}


async def inject(api: str, proxy: str, fault: dict[str, Any]) -> None:
    if "enabled" in fault:
        status, said = await ask(api, "PATCH", f"/proxies/{proxy}", fault)
    else:
        status, said = await ask(api, "POST", f"/proxies/{proxy}/toxics", fault)
    assert status in {200, 201}, said


async def revert(api: str, proxy: str, fault: dict[str, Any]) -> None:
    if "enabled" in fault:
        status, said = await ask(api, "PATCH", f"/proxies/{proxy}", {"enabled": True})
    else:
        status, said = await ask(api, "DELETE", f"/proxies/{proxy}/toxics/{fault['name']}")
    assert status in {200, 204}, said
