"""Pages and values of runs: the list, one run live, its report."""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from chaos_runner.history import fold
from chaos_runner.render import story, text
from chaos_runner.serve import asking, looking, paper, picture, pulling, streaming
from chaos_runner.serve.door import Visitor
from chaos_runner.serve.looking import RunShot, some
from chaos_runner.serve.refusing import Refused
from chaos_runner.serve.site import Site
from chaos_runner.serve.streamed import Streamed
from chaos_runner.store import NoLedger, StoreError, Summary

RUNS_MAX = 200
LINES_MAX = 400
RUNNING = story.Word("RUNNING", "It goes on.", "", "plain")


async def listing(site: Site, _request: Request, _form: dict[str, str], visitor: Visitor | None) -> Response:
    """What runs, and what ran: the newest first."""
    runs = await some(site.ledger, lambda ledger: ledger.runs(limit=RUNS_MAX))
    going = set(await some(site.ledger, looking.under_way))
    days = await some(site.ledger, lambda ledger: ledger.days(limit=1))
    found, trouble = pulling.pulled(site)
    return paper.page(
        "runs.html.j2",
        "acting.js",
        title="Runs",
        visitor=visitor,
        runs=[(one, _word(one, going), text.utc(one.started_at), _took(one)) for one in runs],
        cut=len(runs) == RUNS_MAX,
        levers=found,
        lever_trouble=trouble,
        day=next((one for one in days if one.state == "OPEN"), None),
        scopes=["global"],
        utc=text.utc,
        one_line=text.one_line,
    )


def _word(one: Summary, going: set[str]) -> story.Word:
    if one.run in going:
        return RUNNING
    return story.WORDS.get(one.headline or "UNFINISHED", story.WORDS["UNFINISHED"])


def _took(one: Summary) -> str:
    return text.duration(float(round(one.ended_at - one.started_at))) if one.ended_at is not None else "–"


async def _shot(site: Site, request: Request) -> RunShot:
    try:
        found = await site.shots.run(asking.given_id(request))
    except NoLedger:
        found = None
    if found is None:
        raise Refused(404, "There is no such run.")
    return found


async def pictured(site: Site, shot: RunShot) -> picture.Picture:
    """The run as that look showed it."""
    return await site.views.of("picture", shot.row.id, shot, lambda: _picture(site, shot))


def _picture(site: Site, shot: RunShot) -> picture.Picture:
    return picture.of(
        shot.row,
        shot.entries,
        shot.samples,
        attended=shot.attended,
        now=shot.at,
        probes=site.setting.probes,
    )


async def live(site: Site, request: Request, _form: dict[str, str], visitor: Visitor | None) -> Response:
    """One run as it is now; by events it stays so, and without scripts it is loaded again."""
    shot = await _shot(site, request)
    seen = await pictured(site, shot)
    rows = picture.lines(shot.entries)
    found, trouble = pulling.pulled(site)
    return paper.page(
        "run.html.j2",
        "watching.js acting.js",
        title=seen.title,
        visitor=visitor,
        seen=seen,
        rows=rows[-LINES_MAX:],
        hidden=max(0, len(rows) - LINES_MAX),
        last=rows[-1]["seq"] if rows else 0,
        levers=found,
        lever_trouble=trouble,
        scopes=_scopes(seen),
        utc=text.utc,
        one_line=text.one_line,
    )


def _scopes(seen: picture.Picture) -> list[str]:
    return ["global", f"environment.{seen.environment}", f"experiment.{seen.experiment}"]


async def events(site: Site, request: Request, _form: dict[str, str], visitor: Visitor | None) -> Response:
    """The same by server-sent events, from where the reader was."""
    if site.room.full():
        raise Refused(503, "Too many pages are open already. Close some; this one tries again by itself.")
    await _shot(site, request)
    after = streaming.last_seen(request.headers.get("last-event-id") or request.query_params.get("after"))
    return Streamed(streaming.Stream(_told(site, asking.given_id(request), after, visitor), site.room, site.drop))


async def _told(site: Site, run_id: str, after: int, visitor: Visitor | None) -> AsyncIterator[bytes]:
    """Records since `after`, and the picture whenever it changed; ends with the run, or with the session."""
    shown, beat = "", time.monotonic()
    while visitor is None or visitor.session is None or site.sessions.lasts(visitor.session):
        try:
            shot = await site.shots.run(run_id)
        except StoreError as why:
            yield streaming.event("trouble", {"why": str(why)})
            await anyio.sleep(streaming.PACE_S * 4)
            continue
        if shot is None:
            return
        for row in picture.lines(shot.entries, after):
            after = int(str(row["seq"]))
            yield streaming.event("record", row, after)
        seen = await pictured(site, shot)
        now = await site.views.of("now", run_id, shot, functools.partial(paper.fragment, "now.html.j2", seen=seen))
        if now != shown:
            shown, beat = now, time.monotonic()
            yield streaming.event("now", {"html": now, "title": f"{seen.label} · {seen.title}"})
        if not seen.going:
            yield streaming.event("ended", {})
            return
        if time.monotonic() - beat > streaming.BEAT_S:
            beat = time.monotonic()
            yield streaming.COMMENT
        await anyio.sleep(streaming.PACE_S)


async def report(site: Site, request: Request, _form: dict[str, str], _visitor: Visitor | None) -> Response:
    """The report, rendered from the records as they are."""
    shot = await _shot(site, request)
    content = await anyio.to_thread.run_sync(site.setting.report, shot.row.id, limiter=site.press)
    return paper.report(content)


# --- for programs ------------------------------------------------------------------------------------------------


async def values(site: Site, request: Request, _form: dict[str, str], _visitor: Visitor | None) -> Response:
    """The history as JSON; `limit`, `environment` and `experiment` narrow it."""
    asked = request.query_params
    told = asked.get("limit", "50")
    if not (told.isascii() and told.isdecimal() and 1 <= int(told[:6]) <= 1000):
        raise Refused(400, "limit is a number from 1 to 1000")
    environment, experiment = asked.get("environment"), asked.get("experiment")
    found = await some(site.ledger, lambda ledger: ledger.runs(int(told[:6]), environment, experiment))
    return paper.answer({"schemaVersion": 1, "runs": found})


async def value(site: Site, request: Request, _form: dict[str, str], _visitor: Visitor | None) -> Response:
    """One run as JSON: as it is now, and its outcome once it has one."""
    shot = await _shot(site, request)
    seen = await pictured(site, shot)
    run = fold(shot.entries)
    return paper.answer(
        {
            "schemaVersion": 1,
            "run": shot.row.id,
            "state": shot.row.state,
            "headline": shot.row.headline,
            "outcome": run.outcome,
            "started_at": shot.row.started_at,
            "ended_at": run.ended_at,
            "experiment": shot.row.experiment,
            "environment": shot.row.environment,
            "now": seen,
            "clauses": run.clauses,
            "report": f"/runs/{shot.row.id}/report",
        }
    )
