"""How the ledgers beside this file were made: each once, with the code of its own release. Never again.

One run each, `tools/sample_history.py aborted`, written through the store of that day. In a checkout of that release:

    python tests/render/golden/ledgers/make.py v2.sqlite
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from pathlib import Path

import msgspec

from chaos_runner.store import Owner, Stamped, open_store
from tools.sample_history import HISTORIES, START

RUN = "20260822-100000-901d"


def write(state: Path) -> None:
    history = HISTORIES["aborted"]()
    first, *rest, last = [Stamped(record=one.record, at=one.at, t=one.t) for one in history.entries]
    with open_store(state, allow_tmpfs=True) as ledger:
        ledger._clock = lambda: START + 70.0
        epoch = ledger.begin_run(
            RUN, environment="staging", experiment="checkout-survives-slow-payments",
            owner=Owner("an-earlier-boot", 1, 1, "its-host"), connections={}, deadline_at=START + 200,
            runs_at_once=1, record=first,
        )  # fmt: skip
        for one in rest:
            ledger.append(RUN, one.record, one.at, one.t, epoch)
        ledger.add_samples(RUN, [msgspec.structs.replace(one) for one in history.samples])
        ledger.end_run(RUN, epoch, "ABORTED", record=last)


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        write(state)
        con = sqlite3.connect(state / "ledger.sqlite")
        con.execute("UPDATE schema SET applied_at = ?", (START,))
        con.commit()
        con.execute("VACUUM INTO ?", (str(target),))
        con.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
