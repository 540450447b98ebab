"""Runs the demo's experiments many times on each shop, some worlds at a time; exits 1 where a run is not as promised.

Every run has a world and a state folder of its own, and is looked at from outside: raw sockets, /proc, SQLite.
"""

from __future__ import annotations

import argparse
import collections
import sqlite3
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chaos_runner import files  # noqa: E402
from chaos_runner.cli.demo import EXPERIMENTS  # noqa: E402
from chaos_runner.pocket import demo, world  # noqa: E402
from tests import again  # noqa: E402
from tests.demo import trial  # noqa: E402

WANTED = {
    ("fragile", True): {"DEVIATED", "ABORTED"},
    ("resilient", True): {"HELD"},
    ("fragile", False): {"HELD"},
    ("resilient", False): {"HELD"},
}


class Turn(NamedTuple):
    """One run to come."""

    n: int
    file: Path
    mode: str
    fault: bool

    @property
    def what(self) -> str:
        return f"{self.file.stem} {self.mode}{'' if self.fault else ', no fault'}"


def go(turn: Turn, folder: Path) -> trial.Seen | str:
    """What came of it, once more where it was not measured; or why nothing did."""

    def tried(n: int) -> trial.Seen:
        here = folder / f"{turn.n:03d}-{n}"
        here.mkdir()
        copy = trial.short_copy(turn.file, here, {}) if turn.fault else trial.without_fault(turn.file, here)
        return trial.go(copy, turn.mode, here, pods=demo.PODS)

    try:
        seen, why = again.once(tried, lambda seen: (seen.code, f"{seen.why}\n{seen.said}"))
        return seen._replace(again=why)
    except (OSError, world.WorldError, AssertionError, sqlite3.Error) as why:
        return f"{type(why).__name__}: {why}"


def misses(turn: Turn, seen: trial.Seen) -> list[str]:
    """What is not as promised."""
    found = list(seen.left)
    if seen.headline not in WANTED[turn.mode, turn.fault]:
        found.append(f"{seen.headline}: {seen.why or seen.said[-300:]}")
    if turn.fault and not seen.affected() and not replaced_s(seen):
        found.append("no affected streams, and no pod was replaced")
    if turn.fault != (seen.harmed_s > 0):
        found.append(f"harm was seen for {seen.harmed_s:.1f} s")
    if turn.mode == "resilient" and (seen.orders["later"] != seen.orders["completed_later"] or seen.orders["failed"]):
        found.append(f"orders are not completed: {seen.orders}")
    if turn.mode == "resilient" and turn.fault and not seen.orders["later"]:
        found.append("no order was taken for later")
    return found


def replaced_s(seen: trial.Seen) -> float:
    """How long it took until something was in the place of what was killed."""
    return max((fault.replaced_s for fault in seen.run.faults.values()), default=0.0) if seen.run else 0.0


def turns(experiments: list[Path], times: int, without: int) -> list[Turn]:
    """Both shops and all experiments in turn, so that all meet the same machine."""
    sorts = [(file, mode) for file in experiments for mode in ("fragile", "resilient")]
    rows = [(file, mode, True) for _ in range(times) for file, mode in sorts]
    rows += [(file, mode, False) for _ in range(without) for file, mode in sorts]
    return [Turn(n, file, mode, fault) for n, (file, mode, fault) in enumerate(rows)]


def summary(done: list[tuple[Turn, trial.Seen]], asked: list[Turn]) -> None:
    """One row for each shop, with and without the fault."""
    print(f"\n{'':40}{'runs':>6}  {'verdicts':24}{'affected':>10}{'for later':>12}{'replaced after':>18}{'seconds':>9}")
    for what in dict.fromkeys(turn.what for turn in asked):
        rows = [seen for turn, seen in done if turn.what == what]
        if not rows:
            continue
        verdicts = collections.Counter(seen.headline for seen in rows)
        words = ", ".join(f"{count} {word}" for word, count in verdicts.items())
        streams, later = [seen.affected() for seen in rows], [seen.orders["later"] for seen in rows]
        took = [replaced_s(seen) for seen in rows]
        print(
            f"{what:40}{len(rows):6}  {words:24}{f'{min(streams):g}-{max(streams):g}':>10}"
            f"{f'{min(later)}-{max(later)}':>12}{f'{min(took):.1f}-{max(took):.1f} s':>18}"
            f"{statistics.median(seen.took_s for seen in rows):9.1f}"
        )


def main() -> int:
    """1 where any run is not as promised."""
    asking = argparse.ArgumentParser(description=__doc__)
    asking.add_argument("--times", type=int, default=20, help="runs on each shop (default: 20)")
    asking.add_argument("--without", type=int, default=2, help="runs on each shop without the fault (default: 2)")
    asking.add_argument("--at-once", type=int, default=4, help="worlds at a time (default: 4)")
    asking.add_argument("--experiment", type=Path, action="append", help="default: the two of the demo")
    options = asking.parse_args()
    experiments = options.experiment or [files.bundled() / name for name in EXPERIMENTS]
    asked, done, missed, began = turns(experiments, options.times, options.without), [], 0, time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="chaos-runner-soak-") as folder,
        ThreadPoolExecutor(options.at_once) as pool,
    ):
        coming = [pool.submit(go, turn, Path(folder)) for turn in asked]
        for turn, future in zip(asked, coming, strict=True):
            seen = future.result()
            wrong = [seen] if isinstance(seen, str) else misses(turn, seen)
            missed += bool(wrong)
            if not isinstance(seen, str):
                done.append((turn, seen))
            word = "-" if isinstance(seen, str) else seen.headline
            note = f" (once more: {seen.again})" if isinstance(seen, trial.Seen) and seen.again else ""
            print(f"{turn.n + 1:3}  {turn.what:40}{word:14}{'; '.join(wrong) or 'ok'}{note}", flush=True)
    summary(done, asked)
    print(f"{len(asked) - missed} of {len(asked)} as promised, in {time.monotonic() - began:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
