"""Three schedule daemons on one store, killed, stopped and resumed at random; prints what reached the proxy, how often.

Exits 1 where a slot ran twice, a fault was left, or too little happened to say anything.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.schedule_daemon import rig  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=20, help="at least so many real runs")
    parser.add_argument("--takeovers", type=int, default=10, help="at least so many")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, rig.rig(Path(folder)) as one:
        done = rig.trial(one, args.seconds, args.seed)
    ordered = sorted(done.takeover_s)
    skips = sum(row.decision == "SKIP" for row in done.slots)
    lost = sum(row.state in {"LOST", "REFUSED"} for row in done.slots)
    print(f"seconds {args.seconds:g}, seed {args.seed}")
    print(f"runs {len(done.runs)} ({lost} claims lost or refused), skips {skips}")
    print(f"runs that reached the proxy {len(done.injected)}; twice, or never claimed: {len(done.twice)} {done.twice}")
    print(f"takeovers {done.takeovers}, of resumed leaders {done.resumed}")
    if ordered:
        print(f"takeover time: median {ordered[len(ordered) // 2]:.2f} s, longest {ordered[-1]:.2f} s")
    print(f"open faults at the end {done.left}, toxics on the proxies {len(done.toxics)}")
    enough = len(done.injected) >= args.runs and done.takeovers >= args.takeovers and done.resumed
    return 0 if enough and not done.twice and not done.left and not done.toxics else 1


if __name__ == "__main__":
    sys.exit(main())
