"""The store as one process sees it: the real one, with commits that fail, hang, or are in doubt, and a watch on each.

Owners are processes of the simulation: whoever reads sees this very process for one that lives, and another boot's
for one that is dead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from chaos_runner.store import FaultRow, Fenced, Owner, RunRow, SqliteStore, StoreError
from tests.sim.process import Proc

MINE = Owner.mine()
DEAD = Owner(boot_id="another boot", pid=1, start_time=1, host=MINE.host)
WRITES = ("begin_run", "take_over", "end_run", "commit_intent", "set_fault_state", "append", "add_samples")


class SimStore:
    """`trouble` is (kind, from which write on, how many)."""

    def __init__(
        self,
        inner: SqliteStore,
        proc: Proc,
        lives: Callable[[Owner], bool],
        committed: Callable[[Proc, str, Any], None],
        trouble: tuple[str, int, int] = ("", 0, 0),
    ) -> None:
        self._inner, self._proc, self._lives, self._committed = inner, proc, lives, committed
        self._trouble = trouble
        self.trouble_now: Callable[[], str] = self._now
        self.writes = 0

    def owner(self) -> Owner:
        return msgspec.structs.replace(DEAD, boot_id=self._proc.name)

    def run(self, run_id: str) -> RunRow | None:
        self._proc.check("reading the ledger")
        row = self._inner.run(run_id)
        return row and self._seen(row)

    def unfinished_runs(self, environment: str | None = None) -> list[RunRow]:
        self._proc.check("reading the ledger")
        return [self._seen(row) for row in self._inner.unfinished_runs(environment)]

    def open_faults(self, environment: str | None = None, run_id: str | None = None) -> list[FaultRow]:
        self._proc.check("reading the ledger")
        return self._inner.open_faults(environment, run_id)

    def _seen(self, row: RunRow) -> RunRow:
        return msgspec.structs.replace(row, owner=MINE if self._lives(row.owner) else DEAD)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return self._write(name, method) if name in WRITES else method

    def _write(self, name: str, method: Any) -> Any:
        def write(*args: Any, **kwargs: Any) -> Any:
            args = tuple(self.owner() if isinstance(arg, Owner) else arg for arg in args)
            kwargs = {key: self.owner() if isinstance(value, Owner) else value for key, value in kwargs.items()}
            self._proc.effect(name)
            trouble = self.trouble_now()
            if trouble == "hangs before":
                self._proc.hang(name)
            if trouble == "full":
                self._proc.story.tell(self._proc.name, f"{name}: the disk is full", "commit failed")
                raise StoreError("the disk is full")
            answer = self._tried(name, method, args, kwargs)
            self._committed(self._proc, name, (args, kwargs))
            if trouble == "hangs after":
                self._proc.hang(name)
            if trouble == "doubt":
                self._proc.story.tell(self._proc.name, f"{name}: committed, but an error", "commit in doubt")
                raise StoreError("input/output error")
            self._proc.done(name)
            return answer

        return write

    def _tried(self, name: str, method: Any, args: Any, kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except Fenced as why:
            self._proc.story.tell(self._proc.name, f"{name}: fenced: {why}", "fenced")
            raise

    def _now(self) -> str:
        self.writes += 1
        kind, first, count = self._trouble
        return kind if kind and first <= self.writes < first + count else ""
