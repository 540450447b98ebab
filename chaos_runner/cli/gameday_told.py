"""Reads a game day from the store, with its runs and the run before each: all that its report is made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaos_runner.gameday.day import ActionView, Day
    from chaos_runner.gameday.facts import Entry
    from chaos_runner.gameday.stamps import Executed
    from chaos_runner.render.gameday import Before, Told
    from chaos_runner.store import Store

DAYS_MAX = 500
RUNS_MAX = 500


def found(prefix: str | None, state: Path) -> str:
    """The one day that is meant; the last one where none is named. Raises Usage."""
    from chaos_runner import store
    from chaos_runner.cli.trouble import Usage

    with store.open_store(state, read_only=True) as ledger:
        if prefix is None:
            latest = ledger.days(limit=1)
            if not latest:
                msg = f"there is no game day in {state}; begin one with: chaos-runner gameday run FILE"
                raise Usage(msg)
            return latest[0].id
        matches = ledger.find_day(prefix)
    if len(matches) != 1:
        which = f"several game days: {', '.join(matches[:5])}" if matches else "no game day"
        msg = f"'{prefix}' names {which}; see: chaos-runner gameday list"
        raise Usage(msg)
    return matches[0]


def told(ledger: Store, day_id: str, folder: Path) -> Told:
    """The day as its report takes it; a run that cannot be read is named, and costs only itself."""
    from chaos_runner.gameday.day import fold
    from chaos_runner.render.gameday import Told

    entries = ledger.facts(day_id)
    day = fold(entries)
    runs, lost = _runs(ledger, day)
    before = _before(ledger, day, runs)
    links = {one.run.id: f"{one.run.id}.html" for one in runs if (folder / f"{one.run.id}.html").is_file()}
    return Told(tuple(entries), tuple(runs), before, links, lost)


def _runs(ledger: Store, day: Day) -> tuple[list[Executed], dict[str, str]]:
    """The runs that began; one that was refused has left no records, and its step says why."""
    from chaos_runner.store import StoreError

    wanted = [(view.step, run) for view in day.steps for run in view.runs]
    drill = day.drill.run if day.drill is not None else day.drilling
    wanted += [(-1, drill)] if drill else []
    runs: list[Executed] = []
    lost: dict[str, str] = {}
    for step, run in wanted:
        try:
            if ledger.run(run) is not None:
                runs.append(_executed(ledger, step, run))
        except StoreError as why:
            lost[run] = str(why)
    return runs, lost


def _executed(ledger: Store, step: int, run: str) -> Executed:
    from chaos_runner.gameday.stamps import Executed
    from chaos_runner.history import fold

    entries = ledger.records(run)
    return Executed(step, fold(entries), tuple(entries), tuple(ledger.samples(run)))


def _before(ledger: Store, day: Day, runs: list[Executed]) -> dict[str, Before]:
    """For each run the last one of the same experiment and environment from before this day."""
    from chaos_runner.render.gameday import Before
    from chaos_runner.store import StoreError

    known: dict[str, Before] = {}
    for ran in runs:
        earlier = _earlier(ledger, day, ran) if ran.step >= 0 else None
        if earlier is None:
            continue
        try:
            entries, step = _day_of(ledger, earlier)
            known[ran.run.id] = Before(_executed(ledger, step, earlier), tuple(entries))
        except StoreError:
            continue  # a comparison is worth less than the report
    return known


def _earlier(ledger: Store, day: Day, ran: Executed) -> str | None:
    mine = {run for view in day.steps for run in view.runs} | {day.drill.run if day.drill else day.drilling}
    row = ledger.run(ran.run.id)
    if row is None:
        return None
    for one in ledger.runs(RUNS_MAX, row.environment, row.experiment):
        if one.run not in mine and one.ended_at is not None and one.started_at < day.started_at:
            return one.run
    return None


def _day_of(ledger: Store, run: str) -> tuple[list[Entry], int]:
    """The facts of the game day that a run was part of, and its step; none for a run of its own."""
    from chaos_runner.gameday.facts import StepBegan

    for row in ledger.days(limit=DAYS_MAX):
        entries = ledger.facts(row.id)
        for one in entries:
            if isinstance(one.fact, StepBegan) and one.fact.run == run:
                return entries, one.fact.step
    return [], 0


def actions(ledger: Store) -> list[ActionView]:
    """Every action item of every day; a day that cannot be read is left out with a sentence on stderr."""
    from chaos_runner.cli import common
    from chaos_runner.gameday.day import fold
    from chaos_runner.store import StoreError

    known: list[ActionView] = []
    for row in ledger.days(limit=DAYS_MAX):
        try:
            known += fold(ledger.facts(row.id)).actions.values()
        except StoreError as why:
            common.tell(f"left out: {why}")
    return known


def action(ledger: Store, wanted: str) -> ActionView:
    """The one action that is meant. Raises Usage."""
    from chaos_runner import spelling
    from chaos_runner.cli.trouble import Usage

    every = actions(ledger)
    match = [one for one in every if one.added.id == wanted] or [
        one for one in every if one.added.id.startswith(wanted)
    ]
    if len(match) == 1:
        return match[0]
    if match:
        msg = f"'{wanted:.60}' names several actions: {', '.join(one.added.id for one in match[:5])}"
        raise Usage(msg)
    raise Usage(spelling.unknown("action", f"{wanted:.60}", [one.added.id for one in every]))
