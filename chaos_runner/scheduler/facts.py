"""What store and levers say right now, once for all slots of an instant. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from chaos_runner.scheduler.gates import Asked, Facts
from chaos_runner.store import Store, StoreError, levers


def gather(store: Store, state_dir: Path, asked: Iterable[Asked], now: float, *, but: str = "") -> Facts:
    """One look for all; the run `but` does not count as in its own way. What cannot be read is a no."""
    try:
        going = [one for one in store.going_slots() if one.run != but]
        runs = [run for run in store.unfinished_runs() if run.id != but]
        return Facts(
            at=now,
            lever=_levers(state_dir, asked),
            armed=store.armed(),
            paused=store.paused(),
            blocked={one.schedule: one for one in store.blocked()},
            open_faults=Counter(fault.environment for fault in store.open_faults()),
            busy_environments={run.environment: run.id for run in runs} | {one.environment: one.run for one in going},
            busy_services={one.service: one.run for one in going if one.service},
        )
    except StoreError as why:
        return Facts(at=now, trouble=str(why))


def _levers(state_dir: Path, asked: Iterable[Asked]) -> dict[tuple[str, str, str], str]:
    found: dict[tuple[str, str, str], str] = {}
    for one in asked:
        key = (one.environment, one.service, one.experiment)
        if key not in found:
            lever = levers.pulled(state_dir, *key)
            found[key] = f"{lever.who} pulled {lever.scope}: {lever.reason or 'no reason given'}" if lever else ""
    return found
