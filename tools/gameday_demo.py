"""A game day on the demo's shop without a terminal: drill, predictions, two experiments, stamps and notes, a report.

A second process speaks meanwhile. The console is killed in the middle of the first fault, the conductor in the middle
of the second: nothing is lost and nothing is left. Exits 1 where anything is not as promised.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.console import afternoon  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="where reports go (default: ./reports)")
    parser.add_argument("--calm", action="store_true", help="nobody is killed")
    args = parser.parse_args()
    say = functools.partial(print, flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-runner-gameday-") as folder:
        came = afternoon.spend(Path(folder), args.reports.absolute(), say, deaths=not args.calm)
    drill = came.day.drill.halt_s if came.day.drill is not None and came.day.drill.halt_s is not None else float("nan")
    print(f"\n{len(came.entries)} facts in {came.took_s:.0f} s, {came.beside} of them from other processes;", end=" ")
    print(f"{afternoon.attached(came.entries)} consoles, {afternoon.conductors(came.entries)} conductors")
    print(f"drill: {drill:.2f} s from the pull to the fault gone; experiments: {', '.join(came.headlines)}")
    print("\n".join(str(path) for path in came.reports))
    print("\n".join(f"not as promised: {one}" for one in came.misses) or "all as promised")
    return 1 if came.misses else 0


if __name__ == "__main__":
    sys.exit(main())
