"""What `recover` and `janitor` share: one pass over the ledger and the marks on targets, and how it is told.

Every step is bounded, and one that fails keeps no other from being done: the ledger needs no configuration.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from chaos_runner import conduct, configure, leftovers, recover, registry, store
from chaos_runner.api import Doubt, Env, Refused, Scans
from chaos_runner.cli import blank, common
from chaos_runner.cli.main import NOT_REVERTED, NOTHING_LEARNED
from chaos_runner.leftovers import Leftover
from chaos_runner.load import Invalid
from chaos_runner.plan import Refusal
from chaos_runner.recover import Recovered
from chaos_runner.store import FaultRow, NoLedger, Store, StoreError

EMBEDDED = "embedded"


class Pass(msgspec.Struct):
    """What one pass did and saw. `unread` says for an environment why its targets could not be looked at."""

    recovered: list[Recovered] = []
    fenced: list[FaultRow] = []  # of the recovered runs
    tended: list[FaultRow] = []  # stuck, and somebody alive goes on trying
    marks: list[Leftover] = []  # that were left as they are
    unread: dict[str, str] = {}

    @property
    def left(self) -> bool:
        """Whether harm is left for all that is known."""
        strange = any(one.harming and one.standing == "unproven" for one in self.marks)
        return strange or bool(self.tended) or any(one.left for one in self.recovered)

    @property
    def code(self) -> int:
        """The exit code."""
        return NOT_REVERTED if self.left else NOTHING_LEARNED if self.unread else 0


def empty(state: Path) -> bool:
    """Whether there is no ledger. Any other trouble shows when it is opened for writing."""
    try:
        store.open_store(state, read_only=True).close()
    except NoLedger:
        return True
    except StoreError:
        return False
    return False


async def swept(args: argparse.Namespace, *, marks: bool, again: bool = False) -> Pass:
    """One pass: dead runs of the ledger, then what marks on targets tell."""
    state = common.state_dir(args)
    one = Pass()
    if not empty(state):
        with store.open_store(state, allow_tmpfs=True) as ledger:
            await _dead_runs(args, ledger, one, again=again)
    if marks:
        for env in _environments(args, state, one):
            try:
                await _marked(args, env, state, one)
            except (Refused, Doubt) as why:
                one.unread[env.name] = str(why)
            finally:
                await env.aclose()
    return one


async def _dead_runs(
    args: argparse.Namespace, ledger: Store, one: Pass, *, again: bool, only: frozenset[str] | None = None
) -> None:
    found = await recover.recover(
        ledger,
        args.environment,
        common.tell,
        patience_s=args.patience,
        watch=args.watch,
        again=again,
        only=only,
    )
    done = {run.run for run in found}
    rows = [row for row in ledger.open_faults(args.environment) if only is None or row.run in only]
    one.recovered += found
    one.fenced += [row for row in rows if row.run in done]
    one.tended += [row for row in rows if row.run not in done and row.state == "STUCK"]


def _environments(args: argparse.Namespace, state: Path, one: Pass) -> Iterator[Env]:
    """The configured environments, connected; why another is not goes into `unread`."""
    try:
        configuration = common.configuration(args)
        names = [configure.choose(configuration, args.environment)] if args.environment else configuration.names
    except (Invalid, Refusal) as why:
        one.unread[args.environment or "chaos-runner.yaml"] = _said(why)
        return
    for name in names:
        try:
            yield conduct.open_env(name, configure.connect(configuration, name, state))
        except Refusal as why:
            settings = configuration.config.environments[name].toxiproxy
            if settings is None or settings.url != EMBEDDED:  # a demo that is down has taken its targets with it
                one.unread[name] = _said(why)


def _said(why: Exception) -> str:
    text = why.text() if isinstance(why, Invalid) else str(why)
    return text.removeprefix("not started: ")


async def _marked(args: argparse.Namespace, env: Env, state: Path, one: Pass) -> None:
    scanners = list(_scanners(one))
    if empty(state):
        found = await leftovers.look(env, scanners, None, ledger_lost=args.ledger_lost)
        orphaned = [mark for mark in found if mark.standing == "orphaned"]
        one.marks += _new(one, found)
        if not orphaned:
            return
    with store.open_store(state, allow_tmpfs=True) as ledger:
        found = await leftovers.look(env, scanners, ledger, ledger_lost=args.ledger_lost)
        one.marks += _new(one, found)
        orphaned = [mark for mark in found if mark.standing == "orphaned"]
        if orphaned:
            run = conduct.new_run_id()
            leftovers.adopt(ledger, run, env, orphaned, common.actor())
            common.tell(f"{run}: adopted {', '.join(mark.undo.mark for mark in orphaned)}")
            await _dead_runs(args, ledger, one, again=False, only=frozenset({run}))


def _new(one: Pass, found: list[Leftover]) -> list[Leftover]:
    """What is left as it is; two environments may lead to the same targets."""
    known = {(mark.undo.target.key, mark.undo.mark) for mark in one.marks}
    stay = (mark for mark in found if mark.standing != "orphaned")
    return [mark for mark in stay if (mark.undo.target.key, mark.undo.mark) not in known]


def _scanners(one: Pass) -> Iterator[Any]:
    """One of each kind that leaves marks; why a kind of somebody else's cannot be used goes into `unread`."""
    for kind in registry.faults.find_all():
        try:
            fault = blank.of(registry.faults[kind])
        except registry.Broken as why:
            one.unread[kind] = str(why)
            continue
        if isinstance(fault, Scans):
            yield fault


# --- telling ---------------------------------------------------------------------------------------------------------


def plain(one: Pass) -> dict[str, Any]:
    """The pass as plain values for JSON."""
    return {
        "schemaVersion": 1,
        "recovered": one.recovered,
        "open": [_row(row) for row in one.fenced],
        "tended": [_row(row) for row in one.tended],
        "marks": [_mark(mark) for mark in one.marks],
        "unread": one.unread,
    }


def _row(row: FaultRow) -> dict[str, Any]:
    return {"fault": row.id, "run": row.run, "kind": row.kind, "target": row.target.key, "state": row.state}


def _mark(one: Leftover) -> dict[str, Any]:
    return {
        "environment": one.environment,
        "target": one.undo.target.key,
        "kind": one.undo.kind,
        "mark": one.undo.mark,
        "run": one.run,
        "expires_at": None if math.isinf(one.expires_at) else one.expires_at,
        "standing": one.standing,
        "harming": one.harming,
        "why": one.why,
    }


def lines(one: Pass, state: Path) -> list[str]:
    """The pass for people; empty when there was nothing."""
    said = [line for run in one.recovered for line in _recovered(run)]
    said += [
        f"{row.id} on {row.target.key} is stuck; a guardian goes on trying (its log is in {state})"
        for row in one.tended
    ]
    said += [_told(mark) for mark in one.marks]
    said += [f"{name}: its targets could not be looked at: {why}" for name, why in one.unread.items()]
    return said + _next(one)


def _recovered(one: Recovered) -> list[str]:
    undone = f"{len(one.closed)} fault{'s' if len(one.closed) != 1 else ''} undone and read back"
    said = [f"{one.run} ({one.environment}): {undone if one.closed or one.left else 'no fault was open'}"]
    return said + [f"  NOT REVERTED: {left if left != '?' else one.why}" for left in one.left]


def _told(one: Leftover) -> str:
    from chaos_runner.render import text

    what = one.undo.kind if one.harming else "a fence, no harm"
    until = "it never expires" if math.isinf(one.expires_at) else f"it expires at {text.utc(one.expires_at)}"
    left = "LEFT ALONE: " if one.harming and one.standing == "unproven" else ""
    return f"{left}{one.undo.target.key} ({one.environment}) carries {one.undo.mark} ({what}): {one.why}; {until}"


def _next(one: Pass) -> list[str]:
    said = []
    if any(run.left for run in one.recovered):
        said += ["", "next: make the target reachable, then again: chaos-runner recover"]
        said += ["  or give up on it: chaos-runner recover --forget FAULT --reason WHY"]
    elif one.fenced:
        count = len(one.fenced)
        said += ["", f"{count} still fenced: a late request could land; to see it closed: chaos-runner recover --watch"]
    strange = sorted({mark.environment for mark in one.marks if mark.harming and mark.standing == "unproven"})
    if strange:
        said += ["", "next: chaos-runner recover where that run ran, or wait: a janitor undoes it once it has expired"]
        said += [f"  its ledger is lost? chaos-runner recover -e {name} --ledger-lost" for name in strange]
    return said
