"""Visits every interleaving of runner, guardian, recovery, a second runner, targets, network and deaths.

python tools/explore.py                 all scenes: states, seconds, violations
python tools/explore.py --plant NAME    a planted mistake, and the shortest story that shows it; `all` for each
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.explore import story
from tests.explore.explorer import explore
from tests.explore.mistakes import MISTAKES
from tests.explore.scenes import FULL


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plant", choices=[*MISTAKES, "all"], help="plant this mistake")
    parser.add_argument("--scene", type=int, choices=range(len(FULL)), help="only this scene")
    asked = parser.parse_args()
    if asked.plant:
        return plant([*MISTAKES] if asked.plant == "all" else [asked.plant])
    return everything([FULL[asked.scene]] if asked.scene is not None else [*FULL])


def everything(scenes: list) -> int:
    print(story.HEAD)
    began, states, seconds, stories = time.perf_counter(), 0, 0.0, []
    for scene in scenes:
        found = explore(scene)
        print(story.row(found), flush=True)
        states, seconds = states + found.states, seconds + found.seconds
        if found.wrong:
            stories.append(story.told(found))
    wall = time.perf_counter() - began
    print(f"{states:,} states, {len(stories)} violations, {seconds:.1f} s of one core ({wall:.1f} s on the clock)")
    print("\n\n".join(stories))
    return 1 if stories else 0


def plant(names: list[str]) -> int:
    missed = 0
    for name in names:
        mistake = MISTAKES[name]
        found = explore(mistake.scene, mistake.rules)
        print(f"{name}: {found.states} states, {found.seconds:.1f} s; {story.told(found)}\n", flush=True)
        missed += not found.wrong.startswith(mistake.breaks)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
