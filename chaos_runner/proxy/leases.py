"""Leases: a run's faults live only while somebody renews its lease, and the traffic flows on when nobody does.

A lease owns the toxic names `cx.<run>.…` and the values to restore. The clock is the loop's monotonic one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Annotated

import msgspec

from chaos_runner.proxy import errors
from chaos_runner.proxy.errors import ApiError
from chaos_runner.proxy.proxies import Proxies

RUN = re.compile(r"[a-z0-9-]{1,63}")
LEASES_MAX = 64
RESTORES_MAX = 1000
TTL_S = 5.0
RESTORE_RETRY_S = 1.0
RESTORE_TRIES = 60


class Restore(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The value a proxy gets back when the lease lapses."""

    enabled: bool | None = None


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a PUT. Without `ttl`: that of the lease as it is, 5 s for a new one."""

    ttl: Annotated[float, msgspec.Meta(ge=0.5, le=3600)] | None = None
    restore: Annotated[dict[str, Restore], msgspec.Meta(max_length=RESTORES_MAX)] = {}


class Lease:
    """One run's lease; the timer fires when it lapses."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.ttl = TTL_S
        self.restore: dict[str, Restore] = {}
        self.timer: asyncio.TimerHandle | None = None

    def end_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def body(self, now: float) -> dict[str, object]:
        left = self.timer.when() - now if self.timer is not None else 0.0
        return {"run": self.run, "ttl": self.ttl, "expires_in": round(max(left, 0.0), 3), "restore": self.restore}


class Leases:
    """All live leases by run."""

    def __init__(self, proxies: Proxies, log: Callable[[str], None]) -> None:
        self.proxies = proxies
        self.log = log
        self.by_run: dict[str, Lease] = {}
        self.lapses: set[asyncio.Task[None]] = set()

    def put(self, run: str, body: bytes) -> dict[str, object]:
        """Makes or renews a lease; what it restores is merged per proxy."""
        wish = decode(body)
        lease = self.by_run.get(run) or self.new(run)
        if len(lease.restore.keys() | wish.restore.keys()) > RESTORES_MAX:
            raise errors.too_many("values to restore", RESTORES_MAX)
        lease.ttl = lease.ttl if wish.ttl is None else wish.ttl
        lease.restore.update(wish.restore)
        lease.end_timer()
        loop = asyncio.get_running_loop()
        lease.timer = loop.call_later(lease.ttl, self.lapse, lease)
        return lease.body(loop.time())

    def new(self, run: str) -> Lease:
        if not RUN.fullmatch(run):
            raise ApiError(400, "invalid run: must be 1 to 63 of a-z, 0-9 and -")
        if len(self.by_run) >= LEASES_MAX:
            raise errors.too_many("leases", LEASES_MAX)
        return self.by_run.setdefault(run, Lease(run))

    def get(self, run: str) -> dict[str, object]:
        return self.find(run).body(asyncio.get_running_loop().time())

    def find(self, run: str) -> Lease:
        if run not in self.by_run:
            raise errors.lease_not_found()
        return self.by_run[run]

    def delete(self, run: str) -> None:
        """Ends the lease and its toxics; `enabled` is left alone, the runner has restored it."""
        self.find(run).end_timer()
        del self.by_run[run]
        self.proxies.remove_toxics_of(run)

    def require(self, run: str) -> None:
        if run not in self.by_run:
            raise errors.no_live_lease(run)

    def lapse(self, lease: Lease) -> None:
        """Nobody renewed: the toxics are gone before this returns, the values follow."""
        del self.by_run[lease.run]
        removed = self.proxies.remove_toxics_of(lease.run)
        task = asyncio.get_running_loop().create_task(self.give_back(lease, removed))
        self.lapses.add(task)
        task.add_done_callback(self.lapses.discard)

    async def give_back(self, lease: Lease, removed: int) -> None:
        # All at once: one taken port must not keep another proxy down.
        said = await asyncio.gather(*(self.restore(name, value) for name, value in lease.restore.items()))
        restored = [f"{printable(name)} {how}" for name, how in zip(lease.restore, said, strict=True)]
        what = ", ".join([f"{removed} toxics removed", *restored])
        self.log(f"lease of run {lease.run} lapsed after {lease.ttl:g}s without renewal: {what}")

    async def restore(self, name: str, value: Restore) -> str:
        """Applies one value and says how it went; a taken port is tried again for a minute."""
        why = ""
        for _ in range(RESTORE_TRIES):
            proxy = self.proxies.by_name.get(name)
            if proxy is None:
                return "not restored: no such proxy"
            if value.enabled is None or any(name in lease.restore for lease in self.by_run.values()):
                return "left as it is"
            try:
                await self.proxies.enable(proxy, value.enabled)
            except ApiError as error:
                why = error.text
                await asyncio.sleep(RESTORE_RETRY_S)
            else:
                return "enabled" if value.enabled else "disabled"
        return f"not restored: {why}"

    def stop(self) -> None:
        for lease in self.by_run.values():
            lease.end_timer()
        for task in list(self.lapses):
            task.cancel()


def printable(name: str) -> str:
    """A name is a client's text: it must not begin a log line of its own."""
    return name.encode("unicode_escape").decode()


def decode(body: bytes) -> Wish:
    if not body.strip():
        return Wish()
    try:
        return msgspec.json.decode(body, type=Wish)
    except (msgspec.DecodeError, RecursionError) as error:
        raise errors.bad_body(str(error)) from None
