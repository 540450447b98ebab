"""What runs now, which levers are pulled, and what dead runs left behind. Changes nothing.

Exit codes: 0, 3 when the ledger cannot be read, 5 when a dead run left a fault behind.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaos_runner.cli import common
from chaos_runner.cli.main import NOT_REVERTED, NOTHING_LEARNED

if TYPE_CHECKING:
    from chaos_runner.store import RunRow, Store

EVERY_S = 1.0


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `status`."""
    parser.add_argument("--watch", action="store_true", help="look every second until Ctrl-C")
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """Looks once, or until Ctrl-C."""
    state = common.state_dir(args)
    if args.watch:
        return _watch(args, state)
    seen = look(state)
    _show(args, seen)
    return code(seen)


def look(state: Path) -> dict[str, Any]:
    """The state of everything, as plain values."""
    from chaos_runner import store
    from chaos_runner.store import NoLedger, StoreError, levers

    seen: dict[str, Any] = {"schemaVersion": 1, "state": str(state), "runs": [], "leftovers": [], "trouble": ""}
    try:
        seen["levers"] = levers.all(state)
    except StoreError as why:
        seen["levers"], seen["trouble"] = (), str(why)
    try:
        with store.open_store(state, read_only=True) as ledger:
            for row in ledger.unfinished_runs():
                _sort(ledger, row, seen)
    except NoLedger as why:
        seen["empty"] = str(why)
    except StoreError as why:
        seen["trouble"] = str(why)
    return seen


def _sort(ledger: Store, row: RunRow, seen: dict[str, Any]) -> None:
    """Puts a run where it belongs: it is looked after, or it left something."""
    from chaos_runner import store

    alive = store.alive(row.owner)
    faults = ledger.open_faults(run_id=row.id)
    if row.state != "ENDED" and alive is not False:
        seen["runs"].append({**_run(ledger, row), "owner_alive": alive, "faults": [_fault(f) for f in faults]})
    elif faults:
        seen["leftovers"] += [
            {"run": row.id, "environment": row.environment, "attended": alive is not False, **_fault(f)} for f in faults
        ]
    else:
        seen["runs"].append({**_run(ledger, row), "owner_alive": alive, "faults": []})


def _run(ledger: Store, row: RunRow) -> dict[str, Any]:
    return {
        "run": row.id,
        "experiment": row.experiment,
        "environment": row.environment,
        "state": row.state,
        "phase": _phase(ledger, row.id),
        "started_at": row.started_at,
        "pid": row.owner.pid,
        "host": row.owner.host,
    }


def _phase(ledger: Store, run_id: str) -> str:
    from chaos_runner.records import PhaseBegan
    from chaos_runner.store import StoreError

    try:
        phases = [entry.record for entry in ledger.records(run_id) if isinstance(entry.record, PhaseBegan)]
    except StoreError:
        return "unknown"
    last = phases[-1] if phases else PhaseBegan("preparing")
    return last.phase + (f" (step {last.step + 1})" if last.step >= 0 else "")


def _fault(row: Any) -> dict[str, Any]:
    return {"fault": row.id, "kind": row.kind, "target": row.target.key, "state": row.state}


def code(seen: dict[str, Any]) -> int:
    """The exit code of what was seen."""
    if any(one["state"] != "WATCHING" for one in seen["leftovers"]):
        return NOT_REVERTED
    return NOTHING_LEARNED if seen["trouble"] else 0


def _show(args: argparse.Namespace, seen: dict[str, Any]) -> None:
    if args.output == "json":
        common.write_json(seen)
        return
    for line in lines(seen, time.time()):
        print(line)
    if seen["trouble"]:
        print(f"cannot tell everything: {seen['trouble']}", file=sys.stderr)


def lines(seen: dict[str, Any], now: float) -> list[str]:
    """The status for people."""
    out: list[str] = [seen["empty"]] if seen.get("empty") else _runs(seen, now)
    out += [line for lever in seen["levers"] for line in _lever(lever)]
    out += _leftovers("a guardian is at work on these; nothing to do:", [o for o in seen["leftovers"] if o["attended"]])
    alone = [one for one in seen["leftovers"] if not one["attended"]]
    out += _leftovers("left behind by dead runs:", alone)
    return [*out, "next: chaos-runner recover"] if alone else out


def _leftovers(heading: str, found: list[dict[str, Any]]) -> list[str]:
    if not found:
        return []
    rows = [(one["run"], one["environment"], one["kind"], one["target"], one["state"]) for one in found]
    return ["", heading, *common.table([("run", "environment", "fault", "target", "state"), *rows])]


def _runs(seen: dict[str, Any], now: float) -> list[str]:
    runs = seen["runs"]
    if not runs:
        return [] if seen["trouble"] else ["nothing is running"]
    from chaos_runner.render import text

    head = ("run", "experiment", "environment", "phase", "since", "open faults", "owner")
    rows = [
        (
            one["run"],
            one["experiment"],
            one["environment"],
            one["phase"],
            text.duration(max(0.0, round(now - one["started_at"]))),
            ", ".join(f"{fault['kind']} on {fault['target']}" for fault in one["faults"]) or "none",
            _owner(one),
        )
        for one in runs
    ]
    dead = any(one["owner_alive"] is False for one in runs)
    return [*common.table([head, *rows]), *(["next: chaos-runner recover"] if dead else [])]


def _owner(one: dict[str, Any]) -> str:
    words = {True: "alive", False: "dead", None: f"on {one['host']}, cannot be seen from here"}
    by = "recovered by " if one["state"] == "RECOVERING" else ""
    return f"{by}pid {one['pid']} {words[one['owner_alive']]}"


def _lever(lever: Any) -> list[str]:
    from chaos_runner.render import text

    by = f"pulled by {text.one_line(lever.who) or 'somebody'}"
    why = f": {text.one_line(lever.reason)}" if lever.reason else ""
    at = f" at {text.utc(lever.at)}" if lever.at else ""
    return ["", f"lever {lever.scope} {by}{at}{why}", f"next: chaos-runner resume {lever.scope} --reason WHY"]


def _watch(args: argparse.Namespace, state: Path) -> int:
    """On a terminal the picture is redrawn; elsewhere it is printed when it changed."""
    redraw = common.colourful(sys.stdout) and args.output == "text"
    shown = ""
    while True:
        seen = look(state)
        picture = "\n".join(lines(seen, time.time()))
        if redraw:
            print(f"\x1b[H\x1b[2J{picture}\n\n{time.strftime('%H:%M:%S')}, Ctrl-C ends", flush=True)
        elif picture != shown:
            _show(args, seen)
            sys.stdout.flush()
        shown = picture
        try:
            time.sleep(EVERY_S)
        except KeyboardInterrupt:
            return code(seen)
