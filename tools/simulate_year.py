"""A simulated year of 200 schedules over 12 zones for as many seeds as asked, beside a walk through every minute.

python tools/simulate_year.py [SEEDS]
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.schedule import kit


def simulated(case: kit.Case, seed: int, total: Counter[str]) -> list[str]:
    """What is wrong with its slots, and with what a daemon that crashes made of them."""
    sure, made, drawn = kit.walked(case), kit.year_of(case), random.Random(seed)
    wrong = kit.complaints(case, made, sure)
    daemon = kit.Daemon(case, drawn)
    for now in kit.looks(made, drawn):
        daemon.look(now)
    missing = sure.instants() ^ {at for at in daemon.rows if kit.START <= at < kit.END}
    outside = [row for row in daemon.rows.values() if row.decision == "RUN" and not sure.may_begin(int(row.began))]
    total.update(row.why or "run" for row in daemon.rows.values())
    return [*wrong, *(f"{at} not accounted for" for at in missing), *(f"ran at {row.began}" for row in outside)]


def main(seeds: int) -> int:
    total: Counter[str] = Counter()
    began, wrong = time.process_time(), 0
    for seed in range(seeds):
        for n, case in enumerate(kit.cases(200, seed)):
            for one in simulated(case, seed * 1000 + n, total):
                wrong += 1
                print(f"seed {seed}, schedule {n}: {one}")
    print(f"{seeds} x 200 schedules, {sum(total.values())} slots decided, {wrong} wrong: {dict(total.most_common())}")
    print(f"{time.process_time() - began:.0f} s of CPU")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
