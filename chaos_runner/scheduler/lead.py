"""Whether this daemon leads: the lease, held by renewing it, and lost by its lapsing."""

from __future__ import annotations

import time
from collections.abc import Callable

from chaos_runner.store import Store, StoreError

RENEW_S = 1.0
TTL_S = 5.0


class Lead:
    """One daemon's hold on the lease. Leading ends by itself when it was not renewed in time, by the boot clock."""

    def __init__(self, store: Store, holder: str, ttl_s: float = TTL_S) -> None:
        self.holder = holder
        self.epoch = 0
        self.other = ""
        self.trouble = ""
        self.decided_until = 0.0
        self._store = store
        self._ttl_s = ttl_s
        self._until = 0.0

    @property
    def leads(self) -> bool:
        """Whether the lease is ours and has not lapsed."""
        return _boot_s() < self._until

    def renew(self, decided_until: Callable[[], float | None]) -> bool:
        """Renews or takes it; True where that made this daemon the leader just now."""
        asked, led = _boot_s(), self.leads
        try:
            lease = self._store.hold_lease(self.holder, self._ttl_s, decided_until() if led else None)
        except StoreError as why:  # the lease lapses by itself
            self.trouble = str(why)
            return False
        self.trouble, self.decided_until = "", lease.decided_until
        if lease.holder != self.holder:
            self.other, self._until = lease.holder, 0.0
            return False
        fresh = not led or lease.epoch != self.epoch
        self.epoch, self.other = lease.epoch, ""
        self._until = asked + self._ttl_s
        return fresh

    def lost(self) -> None:
        """Somebody else leads."""
        self._until = 0.0

    def release(self) -> None:
        """Lets another one lead at once; best effort."""
        if self.leads:
            self._until = 0.0
            try:
                self._store.release_lease(self.holder, self.epoch)
            except StoreError as why:
                self.trouble = str(why)


def _boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
