"""Lets runs die in every way there is, many times each, and measures how long the fault outlives them.

    python tools/guardian_matrix.py [--trials 20] [--at-once 4] [--only WORDS]

Real processes: an embedded proxy, runners, guardians, terminals. Prints one row a death as it is known, then the
table; exit status 1 when a bound was missed once, a fault was left, or anything else was not as promised.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.guardian.deaths import DEATHS, Death, Ground, Trial, has_cgroups, has_strace, tried

HEAD = ("what dies", "trials", "median", "worst", "promised", "late", "left")


def possible() -> tuple[Death, ...]:
    """The deaths that can be caused here; what cannot is said."""
    missing = {
        "fdatasync takes an hour": "" if has_strace() else "no strace",
        "out of memory (kernel)": "" if has_cgroups() else "no cgroup of its own can be made for memory here",
    }
    for name, why in missing.items():
        if why:
            print(f"left out: {name}: {why}")
    return tuple(death for death in DEATHS if not missing.get(death.name))


def one(death: Death, ground: Ground) -> Trial:
    """A trial that could not be made is no trial, and is said."""
    try:
        return tried(death, ground)
    except Exception as why:  # the others go on, and this one counts as trouble
        return Trial(death.name, float("inf"), False, (f"{type(why).__name__}: {why}",))


def row(death: Death, trials: list[Trial]) -> tuple[str, ...]:
    took = [trial.took_s for trial in trials]
    late = sum(seconds > death.bound_s for seconds in took)
    left = sum(trial.leaked for trial in trials)
    promised = f"{death.bound_s:g} s ({death.promise})" if death.promise != f"{death.bound_s:g} s" else death.promise
    figures = (f"{statistics.median(took):.3f} s", f"{max(took):.3f} s")
    return (death.name, str(len(trials)), *figures, promised, str(late), str(left))


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown, aligned."""
    known = [HEAD, *rows]
    widths = [max(len(line[n]) for line in known) for n in range(len(HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in known
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20, help="of each death")
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--only", default="", help="deaths whose names have this in them")
    args = parser.parse_args()
    deaths = [death for death in possible() if args.only in death.name]
    folder = Path(tempfile.mkdtemp(prefix="guardian-matrix-"))
    ground, began, rows, well = Ground(folder), time.monotonic(), [], True
    try:
        with ThreadPoolExecutor(args.at_once) as pool:
            for death in deaths:
                trials = list(pool.map(lambda _n, death=death: one(death, ground), range(args.trials)))
                rows.append(row(death, trials))
                print(" · ".join(rows[-1]), flush=True)
                for trial in trials:
                    for trouble in trial.troubles:
                        print(f"  trouble: {trouble}", flush=True)
                well &= rows[-1][-2:] == ("0", "0") and not any(trial.troubles for trial in trials)
    finally:
        ground.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{table(rows)}\n")
    print(f"{sum(int(row[1]) for row in rows)} trials in {time.monotonic() - began:.0f} s, {args.at_once} at once")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
