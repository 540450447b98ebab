"""The same experiment on a fragile and on a resilient shop: no Docker, no cluster, no account.

chaos-runner demo          starts both shops, runs the experiment on each, writes two reports, stops everything
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
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from chaos_runner.cli import common
from chaos_runner.cli.main import USAGE

EXPERIMENT = "slow-payments.yaml"
LIMIT_S = 300
SIDES = {"demo": "fragile  ", "demo-resilient": "resilient"}
NOTHING_LEARNED = 3  # a run's exit code when nothing is known about the system
WANTED = {"demo": (1, 4), "demo-resilient": (0,)}


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `demo`."""
    parser.add_argument("verb", nargs="?", choices=["run", "up", "down", "status"], default="run")
    parser.add_argument("--experiment", type=Path, metavar="FILE", help=f"what to run (default: {EXPERIMENT})")
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
    print("\nnext: chaos-runner run experiments/slow-payments.yaml -e demo-resilient")


def _run_both(state: Path, args: argparse.Namespace) -> int:
    """Both runs side by side; the shops end with them unless they were there before."""
    from chaos_runner import files
    from chaos_runner.pocket import demo

    experiment = args.experiment or files.bundled() / EXPERIMENT
    was_up = bool((demo.read(state) or {}).get("worlds"))
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        common.tell("starting two shops: a fragile one and a resilient one")
        demo.up(state)
        common.tell(f"running {experiment.name} on both\n")
        codes = _run_sides(SIDES, experiment, state, args.reports)
        if unclear := [name for name, code in codes.items() if code == NOTHING_LEARNED]:
            common.tell("\na run was not measured well enough to say anything, as on a busy machine: once more\n")
            codes |= _run_sides(unclear, experiment, state, args.reports)
    finally:
        if not was_up:
            demo.down(state)
    return _verdict(codes, args.reports)


def _interrupted(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _run_sides(names: Iterable[str], experiment: Path, state: Path, reports: Path) -> dict[str, int]:
    sides = {name: _start(name, experiment, state, reports) for name in names}
    readers = [threading.Thread(target=_relay, args=(SIDES[name], side.stderr)) for name, side in sides.items()]
    for reader in readers:
        reader.start()
    try:
        return {name: side.wait(LIMIT_S) for name, side in sides.items()}
    finally:
        for side in sides.values():
            if side.poll() is None:
                side.terminate()  # it undoes first
                side.wait(LIMIT_S)
        for reader in readers:
            reader.join()
        for side in sides.values():
            if side.stderr is not None:
                side.stderr.close()


def _start(name: str, experiment: Path, state: Path, reports: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-P", "-m", "chaos_runner", "run", str(experiment), "-e", name]
    argv += ["--state", str(state), "--reports", str(reports)]
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)


def _relay(side: str, lines: IO[str] | None) -> None:
    for line in lines or ():
        print(f"{side} | {line}", end="", flush=True)


def _verdict(codes: dict[str, int], reports: Path) -> int:
    from chaos_runner.verdict import EXIT_CODES

    words = {USAGE: "INVALID"} | {code: word for word, code in EXIT_CODES.items()}
    print()
    for name, code in codes.items():
        print(f"{SIDES[name]}  {words.get(code, f'exit {code}')}")
    good = all(code in WANTED[name] for name, code in codes.items())
    if good:
        print(
            f"\nThe same fault, the same limits: only timeouts, breaker and queue differ. Look at {reports}/index.html"
        )
    else:
        print("\nThis is not what the demo promises; please report it with the lines above.", file=sys.stderr)
    return 0 if good else 1
