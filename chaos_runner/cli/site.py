"""The site of all runs: brought up to date after each run, written page by page where something changed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from chaos_runner.cli import digesting
from chaos_runner.cli.digesting import Made
from chaos_runner.render import site, text
from chaos_runner.render.site.rows import UNREADABLE
from chaos_runner.review import digest, follow
from chaos_runner.review.digest import DIGEST_VERSION, Digest
from chaos_runner.store import StoreError, open_store
from chaos_runner.store.rows import Digest as DigestRow

if TYPE_CHECKING:
    from chaos_runner.gameday.day import Day
    from chaos_runner.store import Store
    from chaos_runner.store.rows import DayRow, Summary

RUNS_MAX = 200_000
DAYS_MAX, SKIPS_MAX = 200, 300
BATCH = 200  # digests in one commit
AFTER_A_RUN = 100  # digests that the end of a run makes at most; `report index` makes the rest
LOCK_WITHIN_S = 10.0
LATER = "its figures follow with: chaos-runner report index"
MANIFEST = "manifest.json"
_OURS = re.compile(rf"{site.FOLDER}/[a-z0-9-]{{1,100}}\.html")


class Built(NamedTuple):
    """What was done: runs in the site, digests made, pages in all, pages written, runs that cannot be read."""

    first: Path
    runs: int
    digested: int
    pages: int
    written: int
    unreadable: int


class Manifest(msgspec.Struct, frozen=True):
    """The pages of a written site, with their keys."""

    pages: dict[str, str] = {}
    schemaVersion: int = 1  # noqa: N815 -- as in all our JSON


def build(state: Path, folder: Path, now: float | None = None, run: str = "", most: int = RUNS_MAX) -> Built:
    """Brings the site in `folder` up to date; `run` comes first among `most` new digests. Raises StoreError, OSError.

    A run that cannot be read is listed as that.
    """
    inside = folder / site.FOLDER
    inside.mkdir(parents=True, exist_ok=True)
    with _locked(inside):
        with open_store(state, read_only=True) as ledger:
            runs = ledger.runs(limit=RUNS_MAX)
            known = _known(ledger)
            wanted = _wanted(ledger, runs, known, run)[:most]
        made = digesting.made(state, wanted)
        _remember(state, made)
        unreadable = {one.run: one.why for one in made if one.why}
        known |= {one.run: found for one in made if not one.why and (found := digest.decoded(one.payload)) is not None}
        with open_store(state, read_only=True) as ledger:
            listed = [_of(row, known, unreadable) for row in runs]
            whole = _site(ledger, listed, folder, time.time() if now is None else now)
        pages, written = _written(folder, whole)
    fresh = len(made) - len(unreadable)
    return Built(folder / "index.html", len(runs), fresh, pages, written, len(unreadable))


# --- digests -----------------------------------------------------------------------------------------------------


def _known(ledger: Store) -> dict[str, Digest]:
    """The digests that the store has; one that cannot be read is made anew."""
    rows = ((row.run, digest.decoded(row.payload)) for row in ledger.digests(DIGEST_VERSION))
    return {run: one for run, one in rows if one is not None}


def _wanted(ledger: Store, runs: list[Summary], known: dict[str, Digest], first: str) -> list[str]:
    """The ended runs that need a digest, this one before all others."""
    wanted = ledger.undigested(DIGEST_VERSION, limit=RUNS_MAX)
    lost = [one.run for one in runs if one.ended_at is not None and one.run not in known]
    return list(dict.fromkeys([*([first] if first in wanted else []), *wanted, *lost]))


def _remember(state: Path, made: list[Made]) -> None:
    """Keeps new digests; a ledger that cannot be written costs only the time to make them again."""
    rows = [DigestRow(one.run, DIGEST_VERSION, one.records, one.payload) for one in made if not one.why]
    if not rows:
        return
    with contextlib.suppress(StoreError), open_store(state, allow_tmpfs=True) as ledger:
        for start in range(0, len(rows), BATCH):
            ledger.add_digests(rows[start : start + BATCH])


# --- what the site is made of ------------------------------------------------------------------------------------


def _site(ledger: Store, found: list[Digest], folder: Path, now: float) -> site.Site:
    files = {entry.name for entry in os.scandir(folder)}
    days, lines = _days(ledger)
    return site.Site(
        digests=tuple(found),
        now=now,
        reports=frozenset(
            name for name in (*(one.run for one in found), *(one.day for one in lines)) if f"{name}.html" in files
        ),
        days=tuple(lines),
        actions=tuple(follow.open_actions(days, now)),
        skips=tuple(
            follow.Skip(one.schedule, one.environment, one.instant, one.reason, one.missed)
            for one in ledger.slots(decision="SKIP", limit=SKIPS_MAX, readings=False)
        ),
    )


def _of(row: Summary, known: dict[str, Digest], unreadable: dict[str, str]) -> Digest:
    """A run's digest; what stands for it where there is none."""
    if row.run in known and row.run not in unreadable:
        made = known[row.run]
        return made if made.started_at else msgspec.structs.replace(made, started_at=row.started_at)
    why = unreadable.get(row.run, "" if row.ended_at is None else LATER)
    return Digest(
        run=row.run,
        started_at=row.started_at,
        experiment=text.one_line(row.experiment, 120),
        environment=text.one_line(row.environment, 120),
        word=UNREADABLE if row.run in unreadable else row.headline or "UNFINISHED",
        why=why,
        ended_at=row.ended_at,
    )


def _days(ledger: Store) -> tuple[list[Day], list[follow.DayLine]]:
    days, lines = [], []
    for row in ledger.days(limit=DAYS_MAX):
        folded = _day(ledger, row)
        if isinstance(folded, follow.DayLine):
            lines.append(folded)
        else:
            days.append(folded)
            lines.append(follow.day_line(folded, row.scenario, row.environment))
    return days, lines


def _day(ledger: Store, row: DayRow) -> Day | follow.DayLine:
    from chaos_runner.gameday.day import fold

    try:
        return fold(ledger.facts(row.id))
    except (StoreError, msgspec.MsgspecError) as why:
        return follow.DayLine(row.id, row.scenario, row.environment, row.started_at, unreadable=str(why))


# --- files -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One builder at a time, so that an older picture never overwrites a newer one. Raises StoreError after a while."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        deadline = time.monotonic() + LOCK_WITHIN_S
        while not _lock(handle):
            if time.monotonic() > deadline:
                msg = f"somebody else has been writing {folder} for {LOCK_WITHIN_S:.0f} s"
                raise StoreError(msg)
            time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _written(folder: Path, whole: site.Site) -> tuple[int, int]:
    """How many pages there are, and how many of them had to be written."""
    before = _manifest(folder)
    keys: dict[str, str] = {}
    written = 0
    for page in site.pages(whole):
        keys[page.name] = page.key
        if before.get(page.name) != page.key or not (folder / page.name).is_file():
            replaced(folder / page.name, page.make())
            written += 1
    for name in set(before) - set(keys):
        if _OURS.fullmatch(name):
            (folder / name).unlink(missing_ok=True)
    told = msgspec.json.encode(Manifest(dict(sorted(keys.items()))))
    if written or keys != before:
        replaced(folder / site.FOLDER / MANIFEST, told + b"\n")
    return len(keys), written


def _manifest(folder: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode((folder / site.FOLDER / MANIFEST).read_bytes(), type=Manifest).pages
    except (OSError, msgspec.MsgspecError):
        return {}


def replaced(path: Path, content: bytes) -> None:
    """Puts a file in place as a whole: a reader sees the old one or the new one. Raises OSError."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        fresh.write_bytes(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def rehearse() -> None:
    """Loads all that `build` needs, by making the pages of a site with one run that never was."""
    from chaos_runner.gameday import day  # noqa: F401 -- loaded
    from chaos_runner.render import digested  # noqa: F401 -- loaded

    for page in site.pages(site.Site((Digest(run="r", started_at=1.0, classes=("none",)),), now=1.0)):
        page.make()
