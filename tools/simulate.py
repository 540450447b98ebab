"""Runs seeds of the simulation: engine, guardian and recovery on one virtual clock. Exit 1 if an invariant breaks.

tools/simulate.py --seeds 10000 --jobs 2      from seed 0
tools/simulate.py --seed 4711                 one seed, with its story
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.sim.simulation import Told, simulate, told

BLOCK = 50
STORIES_MAX = 3
EVERY_S = 20.0


def main() -> int:
    asked = _parser().parse_args()
    if asked.seed is not None:
        one = simulate(asked.seed)
        print(told(one))
        return 1 if one.broken else 0
    return _many(asked.first, asked.seeds, asked.jobs, asked.limit)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="one seed, with its story")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds after which no more are begun")
    return parser


def _many(first: int, count: int, jobs: int, limit_s: float) -> int:
    began = said = time.monotonic()
    tally: Counter[str] = Counter()
    broken: list[Told] = []
    seeds, events, virtual_s, bad = 0, 0, 0.0, 0
    for block in _blocks(first, count, jobs):
        for one in block:
            seeds, virtual_s, events = seeds + 1, virtual_s + one.virtual_s, events + len(one.story)
            tally += one.tally
            if one.broken:
                bad += 1
                broken = [*broken, one][:STORIES_MAX]
                print(f"seed {one.seed}: {one.broken[0]}", flush=True)
        if time.monotonic() - said > EVERY_S:
            said = time.monotonic()
            print(f"{seeds} seeds, {bad} broken, {said - began:.0f} s", flush=True)
        if time.monotonic() - began > limit_s:
            break
    for one in broken:
        print(f"\n{told(one)}")
    _print(tally)
    took = time.monotonic() - began
    print(f"{seeds} seeds ({first} to {first + seeds - 1}), {events} events, {virtual_s / 3600:.0f} virtual hours")
    print(f"{bad} broken, {took:.0f} s, {seeds / took:.0f} seeds/s with {jobs} processes")
    if seeds < count:
        print(f"not done: {count - seeds} seeds, the limit of {limit_s:g} s is over")
    return 1 if bad or seeds < count else 0


def _blocks(first: int, count: int, jobs: int) -> Iterator[list[Told]]:
    ranges = [range(begin, min(begin + BLOCK, first + count)) for begin in range(first, first + count, BLOCK)]
    if jobs < 2:
        yield from map(_block, ranges)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(_block, ranges)


def _block(seeds: range) -> list[Told]:
    return [simulate(seed) for seed in seeds]


def _print(tally: Counter[str]) -> None:
    print("\nhow often what happened:")
    for what, count in tally.most_common():
        print(f"{count:8}  {what}")
    print()


if __name__ == "__main__":
    sys.exit(main())
