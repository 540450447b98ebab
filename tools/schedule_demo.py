"""Five experiments in five minutes on the demo's two shops, by a schedule daemon; then somebody pulls the lever.

Prints what ran, what did not and why. Exits 1 where anything is not as promised.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.schedule_daemon import shop  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--within", type=float, default=2.0, metavar="SECONDS", help="from the lever to nothing left")
    args = parser.parse_args()
    say = functools.partial(print, flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-runner-schedule-") as folder:
        day = shop.spend(Path(folder), say)
    print(f"\n{day.history}")
    print(f"five experiments in {day.five_s:.0f} s; the external gate was asked {day.asked} times")
    print(f"lever: {day.harmed} faults gone after {day.gone_s:.2f} s (a tick and the undo; limit {args.within:g} s)")
    print(f"blocked until somebody looks: {', '.join(day.blocked)}")
    wrong = shop.misses(day, args.within)
    print("\n".join(f"not as promised: {one}" for one in wrong) or "all as promised")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
