"""A simulated year of 200 schedules over 12 zones, beside a walk through every minute that shares nothing with it.

The docket, gates and store of the product on a virtual clock; daemons are killed between any two writes, stopped and
resumed, and their clocks are set. Prints what it came to; exits 1 where anything is wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.schedule import kit, year

TOGETHER = 20  # schedules of one store
MEMORY = Path("/dev/shm")  # no disk is to be tried here


class Sums:
    """What all of it came to."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.deaths: Counter[str] = Counter()
        self.slots = self.rows = self.steps = self.takeovers = self.ghosts = self.wrong = 0

    def simulated(self, cases: dict[int, kit.Case], seed: int, span: tuple[int, int], fate: float) -> None:
        """One store's schedules."""
        wrong = []
        for n, case in cases.items():
            made = kit.year_of(case)
            self.slots += sum(span[0] <= one.instant < span[1] for one in made)
            wrong += [f"s{n}: {one}" for one in kit.complaints(case, made)]
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            one = year.Year(Path(folder), cases, seed, span=span, fate=fate)
            done = one.spend()
            wrong += [*year.complaints(one, done), *year.damaged(Path(folder))]
        self.kinds.update(year.why(row) for row in done.rows)
        self.deaths.update(done.deaths)
        self.rows += len(done.rows)
        self.steps += done.steps
        self.takeovers += done.takeovers
        self.ghosts += done.ghosts
        self.wrong += len(wrong)
        for said in wrong[:20]:
            print(f"seed {seed}: {said}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="?", default=1)
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--each", type=int, default=1, help="only one in so many (at most 20)")
    parser.add_argument("--fate", type=float, default=0.002, help="chance of a death at each write, of a set clock")
    args = parser.parse_args()
    sums, began = Sums(), time.process_time()
    span = (kit.START, kit.START + args.days * 86400)
    for seed in range(args.seeds):
        cases = dict(enumerate(kit.cases(args.schedules, seed)))
        for first in range(0, args.schedules, TOGETHER):
            some = {n: cases[n] for n in range(first, min(first + TOGETHER, args.schedules)) if n % args.each == 0}
            sums.simulated(some, seed * 1000 + first, span, args.fate)
            done = f"seed {seed}, schedules {first} to {max(some)}"
            print(
                f"{done}: {sums.rows} decisions so far, {sums.wrong} wrong, {time.process_time() - began:.0f} s",
                flush=True,
            )
    many = len(range(0, args.schedules, args.each))
    print(f"{args.seeds} x {many} schedules in {len(kit.ZONES)} zones for {args.days} days")
    print(
        f"{sums.slots} slots by the walk through all minutes, {sums.rows} decisions: {dict(sums.kinds.most_common())}"
    )
    print(f"daemons killed {sum(sums.deaths.values())} times: {dict(sums.deaths.most_common())}")
    print(
        f"clocks set {sums.steps} times, {sums.takeovers} took over, {sums.ghosts} resumed after they were taken over"
    )
    print(f"wrong: {sums.wrong}; {time.process_time() - began:.0f} s of CPU")
    return 1 if sums.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
