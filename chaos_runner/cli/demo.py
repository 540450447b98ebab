"""The same experiments on a fragile and on a resilient shop: no Docker, no cluster, no account.

chaos-runner demo          starts both shops, runs two experiments on each, writes four reports, stops everything
chaos-runner demo up       starts both shops and leaves them: environments `demo` (fragile) and `demo-resilient`
chaos-runner demo down     stops them
chaos-runner demo status   where they listen
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaos_runner.cli import common
from chaos_runner.cli.main import NOTHING_LEARNED, USAGE

EXPERIMENTS = ("slow-payments.yaml", "payments-pod-dies.yaml")
OF_PODS = {"payments-pod-dies.yaml"}
LIMIT_S = 300
SIDES = {"demo": "fragile  ", "demo-resilient": "resilient"}
WANTED = {"demo": {1, 4}, "demo-resilient": {0}}
NO_PODS = "the pocket cluster needs Linux: payments are one process here, and experiments on pods are left out"


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `demo`."""
    parser.add_argument("verb", nargs="?", choices=["run", "up", "down", "status"], default="run")
    parser.add_argument(
        "--experiment",
        type=Path,
        action="append",
        metavar="FILE",
        help=f"what to run; may be given more than once (default: {' and '.join(EXPERIMENTS)})",
    )
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="where reports go (default: ./reports)")
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """0 when it did what it says; `run`: when the fragile shop failed and the resilient one held."""
    from chaos_runner.pocket import demo

    state = common.state_dir(args)
    if args.verb == "status":
        return _status(demo.read(state), args)
    if args.verb == "down":
        print("the demo is stopped" if demo.down(state) else "no demo was running here")
        return 0
    if args.verb == "up":
        _show(demo.up(state), args)
        return 0
    return _run_both(state, args)


def _status(found: dict[str, Any] | None, args: argparse.Namespace) -> int:
    if not found or not found["worlds"]:
        print("no demo is running here; start it with: chaos-runner demo up")
        return 3
    _show(found, args)
    return 0


def _show(found: dict[str, Any], args: argparse.Namespace) -> None:
    if args.output == "json":
        common.write_json(found)
        return
    for name, world in found["worlds"].items():
        print(f"{name:<15} {world['mode']:<9}  shop {world['services']['shop']}  toxiproxy {world['toxiproxy']['url']}")
    for name, world in found["worlds"].items():
        if world["cluster"]:
            print(f"{name:<15} kubeconfig {world['cluster']['kubeconfig'].removeprefix('file:')}")
    if not _has_pods(found):
        print(NO_PODS)
    print("\nnext: chaos-runner run experiments/slow-payments.yaml -e demo-resilient")


def _has_pods(found: dict[str, Any]) -> bool:
    return all(world["cluster"] for world in found["worlds"].values())


def _run_both(state: Path, args: argparse.Namespace) -> int:
    """Both shops side by side; they end with the runs unless they were there before."""
    from chaos_runner.pocket import demo

    was_up = bool((demo.read(state) or {}).get("worlds"))
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        common.tell("starting two shops: a fragile one and a resilient one")
        experiments = args.experiment or _bundled(with_pods=_has_pods(demo.up(state)))
        common.tell(f"running {' and then '.join(one.name for one in experiments)} on both\n")
        sides = [Side(name, state, args.reports) for name in SIDES]
        _all_at_once(sides, experiments)
    finally:
        if not was_up:
            demo.down(state)
    return _verdict(sides, len(experiments), args.reports)


def _bundled(*, with_pods: bool) -> list[Path]:
    from chaos_runner import files

    if not with_pods:
        common.tell(NO_PODS)
    return [files.bundled() / name for name in EXPERIMENTS if with_pods or name not in OF_PODS]


def _interrupted(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


class Side:
    """One shop, and the runs on it, one after the other."""

    def __init__(self, name: str, state: Path, reports: Path) -> None:
        self.name = name
        self.codes: dict[str, int] = {}
        self._where = ["-e", name, "--state", str(state), "--reports", str(reports)]
        self._lock = threading.Lock()
        self._ended = False
        self._process: subprocess.Popen[str] | None = None

    def run(self, experiments: Sequence[Path]) -> None:
        """Runs them all; one that nothing was learned from once more."""
        for experiment in experiments:
            code = self._run(experiment)
            if code == NOTHING_LEARNED:
                self._say("nothing was learned from this run, as happens on a busy machine: once more\n")
                code = self._run(experiment)
            if code is not None:
                self.codes[str(experiment)] = code

    def end(self) -> None:
        """Ends the run under way; it undoes first. No other one follows."""
        with self._lock:
            self._ended = True
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()

    def _run(self, experiment: Path) -> int | None:
        argv = [sys.executable, "-P", "-m", "chaos_runner", "run", str(experiment), *self._where]
        with self._lock:
            if self._ended:
                return None
            self._process = subprocess.Popen(
                argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
            )
        with self._process as process:
            for line in process.stderr or ():
                self._say(line)
            return process.wait(LIMIT_S)

    def _say(self, line: str) -> None:
        print(f"{SIDES[self.name]} | {line}", end="", flush=True)


def _all_at_once(sides: Sequence[Side], experiments: Sequence[Path]) -> None:
    threads = [threading.Thread(target=side.run, args=(experiments,)) for side in sides]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join(LIMIT_S * len(experiments))
    finally:
        for side in sides:
            side.end()
        for thread in threads:
            thread.join()


def _verdict(sides: Sequence[Side], asked: int, reports: Path) -> int:
    from chaos_runner.verdict import EXIT_CODES

    words = {USAGE: "INVALID"} | {code: word for word, code in EXIT_CODES.items()}
    print()
    for side in sides:
        for experiment, code in side.codes.items():
            print(f"{SIDES[side.name]}  {Path(experiment).stem:<18} {words.get(code, f'exit {code}')}")
    good = all(len(side.codes) == asked and set(side.codes.values()) <= WANTED[side.name] for side in sides)
    if good:
        print(
            f"\nThe same faults, the same limits: only timeouts, breaker and queue differ. Look at {reports}/index.html"
        )
    else:
        print("\nThis is not what the demo promises; please report it with the lines above.", file=sys.stderr)
    return 0 if good else 1
