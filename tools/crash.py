"""Kills runs, guardians and recoveries at every system call, and breaks every write of the ledger; prints what is left.

On the embedded proxy and on the real Toxiproxy. Exits 1 on a leak, anything done twice, an injection by anybody but
the runner, or a ledger that said too much. Ends by itself; what the time did not suffice for is said.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.crash import points, tracer  # noqa: E402
from tests.crash.crew import Crew, drawn  # noqa: E402
from tests.crash.judge import Seen  # noqa: E402
from tests.crash.points import Section  # noqa: E402
from tests.proxy.toxi import REAL  # noqa: E402

# How many points of a section; all of those that are not here.
MOST = {
    "run: its start": 20,
    "run: quiet calls": 20,
    "guardian: quiet calls": 20,
    "recovery: quiet calls": 20,
    "recovery of an intent": 30,
    "recovery of what is undone": 30,
    "recovery after a watch": 30,
    "runner and guardian": 30,
    "broken write: its start": 30,
    "broken disk from then on": 40,
    "chaos-runner run": 8,
}
COLUMNS = "{:<27}{:<9}{:>7}{:>8}{:>9}{:>7}{:>7}{:>15}"


class Row(NamedTuple):
    """What a section came to."""

    section: Section
    drawn: int
    seen: list[Seen]

    def printed(self) -> str:
        reached = [one for one in self.seen if one.reached]
        slowest = max((one.clean_s for one in self.seen), default=0.0)
        leaks = sum(one.leaked for one in self.seen)
        wrong = sum(bool(one.problems) for one in self.seen)
        counts = (len(self.section.jobs), len(self.seen), len(reached), leaks, wrong)
        return COLUMNS.format(self.section.name, self.section.kind, *counts, f"{slowest * 1000:.0f} ms")


def main() -> int:
    given = _arguments()
    if why := _missing(given.kinds):
        print(f"not done: {why}", file=sys.stderr)
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crash-") as folder:
        crew = Crew(Path(folder), given.kinds, given.each)
        try:
            rows = _play(crew, given, began + given.minutes * 60)
        finally:
            crew.close()
    _print(rows, given.seed)
    print(f"{(time.monotonic() - began) / 60:.1f} min on {os.cpu_count()} cores, {given.each} at once for each server")
    skipped = sum(row.drawn - len(row.seen) for row in rows)
    if skipped:
        print(f"{skipped} points were not played: {given.minutes:g} minutes were over")
    return 1 if skipped or any(one.problems for row in rows for one in row.seen) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", default="1", help="which points of a sampled section (default: 1)")
    parser.add_argument("--all", action="store_true", help="every point of every section; takes hours")
    parser.add_argument("--most", type=int, default=None, help="at most so many points of each section")
    parser.add_argument("--only", default="", help="sections whose name begins with this")
    parser.add_argument("--kinds", nargs="+", choices=points.KINDS, default=points.KINDS)
    parser.add_argument("--each", type=int, default=3, help="slots for each kind of server (default: 3)")
    parser.add_argument("--minutes", type=float, default=20.0, help="begin nothing after so long (default: 20)")
    return parser.parse_args()


def _missing(kinds: Iterable[str]) -> str:
    if "real" in kinds and not REAL.exists():
        return f"no Toxiproxy server at {REAL}: build it with `make real`"
    return tracer.problem()


def _play(crew: Crew, given: argparse.Namespace, until: float) -> list[Row]:
    found = [one for one in crew.sections() + crew.commands() if one.name.startswith(given.only)]
    chosen = {_key(one): drawn(one, _most(one, given), given.seed) for one in found}
    rows = {_key(one): Row(one, len(chosen[_key(one)]), []) for one in found}
    jobs = [(one, job) for one in found for job in chosen[_key(one)]]
    random.Random(given.seed).shuffle(jobs)  # some points wait, others reckon
    for section, seen in crew.play(jobs, until):
        rows[_key(section)].seen.append(seen)
        if seen.problems:
            print(f"{section.name} ({section.kind}), {seen.point}: {'; '.join(seen.problems)}", flush=True)
    return list(rows.values())


def _key(section: Section) -> tuple[str, str]:
    return section.name, section.kind


def _most(section: Section, given: argparse.Namespace) -> int | None:
    if given.most is not None:
        return int(given.most)
    return None if given.all else MOST.get(section.name)


def _print(rows: list[Row], seed: str) -> None:
    print(COLUMNS.format("section", "server", "points", "played", "reached", "leaks", "wrong", "slowest clean"))
    for row in rows:
        print(row.printed())
    seen = [one for row in rows for one in row.seen]
    slowest = max((one.clean_s for one in seen), default=0.0)
    reached, leaks = sum(one.reached for one in seen), sum(one.leaked for one in seen)
    wrong = sum(bool(one.problems) for one in seen)
    print(f"{reached} points reached of {len(seen)} played (seed {seed}): {leaks} leaks, {wrong} with anything wrong; ")
    print(f"slowest clean-up {slowest * 1000:.0f} ms")


if __name__ == "__main__":
    sys.exit(main())
