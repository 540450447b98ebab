"""Looks after one open fault while it is held: renews its lease, reads its effect, sees whether it is still there.

Runs beside the control loop, so that a slow target never delays a decision. Changes nothing but the lease.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio

from chaos_runner.api import (
    LEASE_TTL_S,
    Absent,
    Confirms,
    Doubt,
    Drifted,
    Env,
    Fault,
    Leases,
    Refused,
    Replaces,
    Undo,
    Unreadable,
)
from chaos_runner.clock import nursery
from chaos_runner.confirm import Effect
from chaos_runner.model import Confirmation

EVERY_S = 1.0
LOOK_EVERY = 2  # turns between two reads of the fault itself
CALL_S = 2.4  # below half the lease's time to live


class Attendance:
    """One fault on its target; `effect` is what has been learned."""

    def __init__(
        self,
        fault_id: str,
        fault: Fault,
        env: Env,
        undo: Undo,
        confirm: tuple[Confirmation, ...],
        now: Callable[[], float],
    ) -> None:
        self.effect = Effect(fault=fault_id, confirm=confirm, able=isinstance(fault, Confirms))
        self.leased = False
        self.replaced = ""
        self.replaced_t = 0.0
        within: float | None = getattr(fault, "replaced_within", None)
        self.replaced_within = within if isinstance(fault, Replaces) else None
        self.figures: dict[str, float] = {}
        self._held = anyio.CancelScope()
        self._fault = fault
        self._env = env
        self._undo = undo
        self._now = now
        self._answered_t = math.inf

    async def measure_before(self) -> None:
        """Figures to compare with, read before injecting; without them nothing can be proven."""
        if isinstance(self._fault, Confirms) and not self.effect.confirm:
            try:
                with anyio.fail_after(CALL_S + EVERY_S):
                    self.effect.before = await self._fault.before(self._env, self._undo)
            except (Doubt, Refused, TimeoutError):
                self.effect.able = False

    async def lease(self) -> None:
        """Makes the lease. Raises Doubt or Refused: a target that knows leases must grant one before the fault."""
        if isinstance(self._fault, Leases):
            try:
                with anyio.fail_after(CALL_S):
                    self.leased = await self._fault.lease(self._env, self._undo, LEASE_TTL_S)
            except TimeoutError:
                msg = f"no answer within {CALL_S:g} s"
                raise Doubt(msg) from None

    async def keep(self, gone: Callable[[str], None]) -> None:
        """Attends until `end`; calls `gone` once if the fault is found absent or changed."""
        self._answered_t = self._now()
        with self._held:
            async with nursery() as group:
                group.start_soon(self.keep_lease)  # by itself: a slow read must not let the lease lapse
                await self._watch(gone)

    def end(self) -> None:
        """The undo begins: what is read from now on says nothing about the fault."""
        self._silence()
        self._held.cancel()

    def _answered(self) -> None:
        self._silence()
        self._answered_t = self._now()

    def _silence(self) -> None:
        """A target that was silent for longer than a lease lives may have dropped the fault meanwhile."""
        limit = LEASE_TTL_S if self.leased else 2 * LEASE_TTL_S
        silent = self._now() - self._answered_t
        if silent > limit and not self._held.cancel_called:
            self.effect.absent = self.effect.absent or f"the target did not answer for {silent:.0f} s of it"

    async def _watch(self, gone: Callable[[str], None]) -> None:
        turn = 0
        while True:
            await anyio.sleep(EVERY_S)
            turn += 1
            await self._read_effect()
            await self._read_replaced()
            if turn % LOOK_EVERY == 0 and not self.effect.absent:
                await self.look(gone)

    async def look(self, gone: Callable[[str], None]) -> None:
        """Reads the target once."""
        try:
            with anyio.fail_after(CALL_S):
                seen = await self._fault.observe(self._env, self._undo)
        except (Doubt, Refused, TimeoutError):
            return
        if not isinstance(seen, Unreadable):
            self._answered()
        why = seen.drift if isinstance(seen, Absent) else seen.why
        if isinstance(seen, Absent | Drifted):
            self.effect.absent = self.effect.absent or why or "it was gone"
            gone(self.effect.absent)

    async def keep_lease(self) -> None:
        """Renews the lease until cancelled: while the fault is held, and while it is being undone."""
        while True:
            await self._renew()
            await anyio.sleep(EVERY_S)

    async def release(self) -> None:
        """Ends the lease; best effort, it lapses by itself."""
        if self.leased and isinstance(self._fault, Leases):
            try:
                with anyio.fail_after(CALL_S):
                    await self._fault.release(self._env, self._undo)
            except (Doubt, Refused, TimeoutError):
                return

    async def _renew(self) -> None:
        if self.leased and isinstance(self._fault, Leases):
            try:
                with anyio.fail_after(CALL_S):
                    await self._fault.lease(self._env, self._undo, LEASE_TTL_S)
            except (Doubt, Refused, TimeoutError):
                return
            self._answered()

    async def _read_replaced(self) -> None:
        if not isinstance(self._fault, Replaces) or self.replaced:
            return
        try:
            with anyio.fail_after(CALL_S):
                self.replaced = await self._fault.replaced(self._env, self._undo)
        except (Doubt, Refused, TimeoutError):
            return
        self.replaced_t = self._now()

    async def _read_effect(self) -> None:
        if not (isinstance(self._fault, Confirms) and self.effect.able) or self.effect.confirm:
            return
        try:
            with anyio.fail_after(CALL_S):
                proof = await self._fault.effect(self._env, self._undo, self.effect.before)
        except (Doubt, Refused, TimeoutError):
            return
        if proof is not None:
            self.effect.evidence, self.effect.how = proof.evidence, proof.how
            if self.effect.shown_t is None:
                self.effect.shown_t = self._now()
            self.figures = dict(proof.figures)
