"""Undoes what dead runs left behind. Never injects; safe to repeat, and to die in.

Whose owner still lives is left alone. A takeover bumps the epoch first, so that an owner that was only asleep can
inject nothing more; then it is killed, and everything it left is undone, verified and written down.
"""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Container

import anyio
import msgspec

from chaos_runner import configure, registry
from chaos_runner.api import Env
from chaos_runner.clock import Clock
from chaos_runner.drive import Drive
from chaos_runner.environment import Environment
from chaos_runner.journal import RunJournal
from chaos_runner.orphans import Kinds, Unusable, cleanup, drives_of, fault_of, leased, left_behind, release, undo_all
from chaos_runner.plan import Refusal
from chaos_runner.records import Outcome, RunEnded
from chaos_runner.store import KILL_S, FaultRow, Owner, RunRow, Store, StoreError, alive, signalled, since_s

WAIT_FOR_GUARDIAN_S = 20.0


class Recovered(msgspec.Struct, frozen=True):
    """What became of one dead run."""

    run: str
    environment: str
    closed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    why: str = ""


async def recover(
    ledger: Store,
    environment: str | None,
    tell: Callable[[str], None],
    *,
    patience_s: float = 60.0,
    watch: bool = False,
    again: bool = False,
    only: Container[str] | None = None,
    kinds: Kinds = registry.faults,
) -> list[Recovered]:
    """Recovers every dead run of the environment (of all, for None), or `only` these. Runs that live are not touched.

    With `watch` it stays until uncertain faults are closed; else they are left fenced and WATCHING. With `again` also
    what this very process recovered earlier: a janitor that goes on living must not keep what it left from itself.
    """
    found = []
    for one in ledger.unfinished_runs(environment):
        if only is not None and one.id not in only:
            continue
        run = one if again and _ours(one) else await _orphaned(ledger, one)
        if run is None:
            continue
        tell(f"recovering {run.id}: its runner is gone")
        found.append(await _Takeover(ledger, run, tell, patience_s, watch, kinds).recover())
    return found


def _ours(run: RunRow) -> bool:
    return run.state != "RUNNING" and run.owner == Owner.mine()


async def _orphaned(ledger: Store, run: RunRow) -> RunRow | None:
    """The run as it is now, if nobody alive looks after it; a guardian at work is given time to finish."""
    until = anyio.current_time() + WAIT_FOR_GUARDIAN_S
    now: RunRow | None = run
    while now is not None and now.state == "RECOVERING" and alive(now.owner) and anyio.current_time() < until:
        await anyio.sleep(0.2)
        now = ledger.run(run.id)
    if now is None or (now.state == "ENDED" and not ledger.open_faults(run_id=run.id)):
        return None
    return now if alive(now.owner) is False else None


class _Takeover(msgspec.Struct):
    """One dead run in our hands."""

    ledger: Store
    run: RunRow
    tell: Callable[[str], None]
    patience_s: float
    watch: bool
    kinds: Kinds

    async def recover(self) -> Recovered:
        run, ledger = self.run, self.ledger
        await _kill(run.owner)  # first: the takeover overwrites who that is, and may be the last thing done here
        try:
            epoch = ledger.take_over(run.id, Owner.mine(), run.epoch)
        except StoreError as why:
            return Recovered(run=run.id, environment=run.environment, left=("?",), why=str(why))
        journal = RunJournal(ledger, run.id, epoch, Clock(ago_s=_age(ledger, run)))
        usable, trouble = self._sorted(ledger.open_faults(run_id=run.id))
        drives: list[Drive] = []
        if usable:
            try:
                drives = await self._undo(usable, journal)
            except (Refusal, msgspec.ValidationError) as why:
                trouble += [f"{row.id} on {row.target.key}: {why}" for row in usable]
        trouble += [f"{d.row.id} on {d.row.target.key}: {d.life.why}" for d in drives if left_behind(d)]
        _end(run, journal, drives, trouble)
        closed = tuple(d.row.id for d in drives if not left_behind(d))
        return Recovered(run.id, run.environment, closed=closed, left=tuple(trouble), why="; ".join(trouble))

    def _sorted(self, rows: list[FaultRow]) -> tuple[list[FaultRow], list[str]]:
        """The rows that can be undone, and sentences about the others."""
        usable, trouble = [], []
        for row in rows:
            damage = row.unusable or self.run.unusable
            try:
                fault_of(row, self.kinds)
            except Unusable as why:
                damage = damage or str(why)
            if damage:
                trouble.append(damage if damage.startswith(row.id) else f"{row.id}: {damage}")
            else:
                usable.append(row)
        return usable, trouble

    async def _undo(self, rows: list[FaultRow], journal: RunJournal) -> list[Drive]:
        run = self.run
        connections = msgspec.convert(run.connections, Environment)
        env = Env(run.environment, connections, configure.secrets(configure.references(run.connections)))
        _watch_anew(rows, journal)
        drives = drives_of(rows, env, journal, by="recovery", shout=self.tell, kinds=self.kinds)
        try:
            async with leased(drives, env):
                await undo_all(drives, patience_s=self.patience_s, keep_on=self.watch)
            if not any(drive.life.open for drive in drives):
                await release(drives, env)
        finally:
            await env.aclose()
        for drive in drives:
            if drive.bug is not None:
                self.tell(f"a bug on the way: {drive.row.id}: {''.join(traceback.format_exception(drive.bug))}")
        return drives


def _watch_anew(rows: list[FaultRow], journal: RunJournal) -> None:
    """A watch begins now where it was not begun, or by another boot's clock and at a time that is still to come."""
    for row in rows:
        unborn = since_s(row.outcome) is None and row.updated_at > time.time()
        if row.state == "UNDONE" or (row.state == "WATCHING" and unborn):
            journal.save_state(row.id, "WATCHING", None, journal.now())


def _age(ledger: Store, run: RunRow) -> float:
    """Seconds since the run's start, and never before its last record: the order of what happened must show."""
    try:
        last = max((entry.t for entry in ledger.records(run.id)), default=0.0)
    except StoreError:  # a damaged history must not keep a fault on its target
        last = 0.0
    return max(last, time.time() - run.started_at)


def _end(run: RunRow, journal: RunJournal, drives: list[Drive], trouble: list[str]) -> None:
    if run.state == "ENDED":
        return
    outcome = Outcome(
        finding="UNKNOWN",
        stopped_by="died",
        cleanup=cleanup(drives, left=bool(trouble)),
        why="; ".join(trouble) or "the runner died; its faults were undone by recovery",
    )
    journal.end(RunEnded(outcome=outcome, by="recovery"), {})


async def _kill(owner: Owner) -> None:
    """SIGKILL for an owner that turned out to live after all; its pid is proven by its start time."""
    with signalled(owner, signal.SIGKILL) as pidfd:
        if pidfd is not None:
            with anyio.move_on_after(KILL_S):
                await anyio.wait_readable(pidfd)
