"""Ledgers in which time has passed, and clocks that were set meanwhile."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

from chaos_runner.store.owner import Owner
from tests.engine.kit import Rig

ANOTHER_BOOT = "an-earlier-boot 12.5"


def began(rig: Rig, ago_s: float, *, wall_ago_s: float | None = None, reboot: bool = False) -> None:
    """Every watch of a rig's ledger began so long ago."""
    began_in(rig.ledger._db.path, ago_s, wall_ago_s=wall_ago_s, reboot=reboot)


def began_in(ledger: Path, ago_s: float, *, wall_ago_s: float | None = None, reboot: bool = False) -> None:
    """Every watch began so long ago by the boot clock, and by the wall clock as well unless told otherwise."""
    at = time.time() - (ago_s if wall_ago_s is None else wall_ago_s)
    boot = time.clock_gettime(time.CLOCK_BOOTTIME) - ago_s
    stamp = ANOTHER_BOOT if reboot else f"{Owner.mine().boot_id} {boot:.3f}"
    with contextlib.closing(sqlite3.connect(ledger)) as con:
        con.execute("UPDATE fault SET updated_at = ?, outcome = ? WHERE state = 'WATCHING'", (at, stamp))
        con.commit()
