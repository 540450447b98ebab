"""Makes the digests of runs from their records; of many runs in several processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from chaos_runner.review import digest
from chaos_runner.store import Store, StoreError, open_store

MANY = 600  # from here on it pays to start processes, which takes each of them half a second
PART = 250
PROCESSES_MAX = 4


class Made(NamedTuple):
    """A run's digest as it is kept, and how many records it was made from; or why there is none."""

    run: str
    payload: bytes = b""
    records: int = 0
    why: str = ""


def made(state: Path, runs: Sequence[str], many: int = MANY) -> list[Made]:
    """A digest for each run, or why it cannot be read; `many` are shared out. Raises StoreError for the ledger."""
    processes = min(PROCESSES_MAX, os.cpu_count() or 1)
    if len(runs) >= many and processes > 1:
        try:
            return _together(state, runs, processes)
        except BrokenExecutor:  # killed, or no memory for it: alone it takes longer
            pass
    return part(state, runs)


def _together(state: Path, runs: Sequence[str], processes: int) -> list[Made]:
    parts = [runs[n : n + PART] for n in range(0, len(runs), PART)]
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        return [one for found in pool.map(partial(part, state), parts) for one in found]


def part(state: Path, runs: Sequence[str]) -> list[Made]:
    """The digests of some runs, one after the other."""
    with open_store(state, read_only=True) as ledger:
        return [_made(ledger, run) for run in runs]


def _made(ledger: Store, run: str) -> Made:
    from chaos_runner.history import fold
    from chaos_runner.render import digested

    try:
        entries, samples = ledger.records(run), ledger.samples(run)
    except StoreError as why:
        return Made(run, why=str(why))
    found = digested.of(fold(entries), entries, samples)
    whole = found if found.run == run else msgspec.structs.replace(found, run=run)  # one without records has no name
    return Made(run, digest.encoded(whole), len(entries))
