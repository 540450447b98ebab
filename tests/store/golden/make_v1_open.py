"""How v1-open.sqlite was made, once, with the code of the first release. Never again: it is what that release wrote.

One run that died with a toxic INJECTED on proxy/payments and another, upstream, that was undone and is WATCHING.
Its server is at ADDRESS: a loopback address of its own, so that a test can put a proxy there.

python -m tests.store.golden.make_v1_open
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import tempfile
from pathlib import Path

import msgspec

from chaos_runner.api import Undo
from chaos_runner.environment import Environment, Toxiproxy
from chaos_runner.faults.toxic import ToxicFault
from chaos_runner.records import FaultInjected, FaultReverted, IntentCommitted, RunStarted, Target
from chaos_runner.store import FaultRow, Owner, Stamped, open_store

HOST, PORT = "127.83.17.4", 28474
ADDRESS = f"http://{HOST}:{PORT}"
RUN = "20261122-060000-90ld"
AT = 1_795_327_200.0
HERE = Path(__file__).parent / "v1-open.sqlite"
BEFORE = {"name": "payments", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "enabled": True, "toxics": []}


def row(n: int, fault: ToxicFault) -> FaultRow:
    target = Target(key="proxy/payments", uid="127.0.0.1:9")
    mark = f"cx.{RUN}.{n}.{int(AT) + 60}"
    undo = Undo("toxic", 1, mark, target, msgspec.to_builtins(fault), BEFORE)
    return FaultRow(
        id=f"{RUN}.{n}", run=RUN, n=n, epoch=1, step=n, kind="toxic", version=1, target=target, aspect=fault.aspect(),
        undo=msgspec.to_builtins(undo), expires_at=AT + 60,
    )  # fmt: skip


def at(record: object, t: float) -> Stamped:
    return Stamped(record=record, at=AT + t, t=t)  # type: ignore[arg-type]


def write(state: Path) -> None:
    connections = msgspec.to_builtins(Environment(toxiproxy=Toxiproxy(url=ADDRESS)))
    with open_store(state, allow_tmpfs=True) as ledger:
        ledger._clock = lambda: AT + 9.0  # type: ignore[attr-defined]
        ledger.begin_run(
            RUN, environment="staging", experiment="slow-payments", owner=Owner("an-earlier-boot", 1, 1, "its-host"),
            connections=connections, deadline_at=AT + 99, runs_at_once=1,
            record=at(RunStarted(plan={}, versions={"chaos-runner": "0.1.0"}, actor="ann@its-host"), 0.0),
        )  # fmt: skip
        late, slow = row(0, ToxicFault(type="latency", latency=0.2)), row(1, ToxicFault(
            type="bandwidth", rate=1000.0, stream="upstream"))  # fmt: skip
        for one in (late, slow):
            intent = IntentCommitted(one.id, one.target, one.kind, one.step, one.aspect, one.undo)
            ledger.commit_intent(one, at(intent, 5.0 + one.n))
            ledger.set_fault_state(one.id, 1, "INJECTED", record=at(FaultInjected(one.id, 0.01), 5.1 + one.n))
        ledger.set_fault_state(slow.id, 1, "UNDONE", record=at(FaultReverted(slow.id, 8.0), 8.0))
        ledger.set_fault_state(slow.id, 1, "WATCHING")


def main() -> None:
    if HERE.exists():
        sys.exit(f"{HERE} is there, and what an old release wrote cannot be made anew")
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        write(state)
        with contextlib.closing(sqlite3.connect(state / "ledger.sqlite")) as con:
            con.execute("VACUUM INTO ?", (str(HERE),))


if __name__ == "__main__":
    main()
