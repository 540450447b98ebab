"""Pages and values of game days: what a console shows, and the words that people say at the desk."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from chaos_runner import desk
from chaos_runner.gameday import day as days
from chaos_runner.gameday import responder, view
from chaos_runner.gameday.running import CheckShown, FaultShown, Running
from chaos_runner.gameday.view import Screen
from chaos_runner.render import text
from chaos_runner.serve import asking, paper, pulling, runs, streaming
from chaos_runner.serve.door import Visitor
from chaos_runner.serve.looking import DayShot, some
from chaos_runner.serve.picture import Picture
from chaos_runner.serve.refusing import Refused
from chaos_runner.serve.site import Site
from chaos_runner.serve.streamed import Streamed
from chaos_runner.store import NoLedger, StoreError, levers

DAYS_MAX = 100
LINES_MAX = 400
LINE_MAX = 20_000
NAME_MAX = 100


async def listing(site: Site, _request: Request, _form: dict[str, str], visitor: Visitor | None) -> Response:
    """The game days, the newest first."""
    found = await some(site.ledger, lambda ledger: ledger.days(limit=DAYS_MAX))
    bare = visitor is not None and not visitor.may("viewer")
    rows = [(one, "Game day" if bare and one.state == "OPEN" else one.scenario) for one in found]
    return paper.page("days.html.j2", title="Game days", visitor=visitor, days=rows, utc=text.utc)


async def _shot(site: Site, request: Request) -> DayShot:
    try:
        found = await site.shots.day(asking.given_id(request))
    except NoLedger:
        found = None
    if found is None:
        raise Refused(404, "There is no such game day.")
    return found


async def _screen(site: Site, shot: DayShot, visitor: Visitor | None) -> Screen:
    """What this visitor may see of the day."""
    role = responder.ROLE if visitor is None or not visitor.may("viewer") else ""
    running = await _running(site, shot)
    name = f"screen {role}"
    if running is not None:  # it changes while the day's facts do not
        return await anyio.to_thread.run_sync(view.shown, shot.entries, running, shot.at, role)
    return await site.views.of(name, shot.day, shot, lambda: view.shown(shot.entries, None, shot.at, role))


async def _running(site: Site, shot: DayShot) -> Running | None:
    step = days.fold(shot.entries).step
    run = await site.shots.run(step.runs[-1]) if step is not None and step.runs else None
    if run is None:
        return None
    return _as_running(await runs.pictured(site, run))


def _as_running(seen: Picture) -> Running:
    checks = tuple(
        CheckShown(one.title, one.word, one.reading, margin=None if one.margin is None else one.margin / 100)
        for one in seen.checks
    )
    faults = tuple(
        FaultShown(one.title, f"{one.state}{f', {one.left} left' if one.left else ''}") for one in seen.faults
    )
    return Running(seen.run, seen.title, seen.environment, phase=seen.phase, checks=checks, faults=faults)


async def live(site: Site, request: Request, _form: dict[str, str], visitor: Visitor | None) -> Response:
    """One day as it is now."""
    shot = await _shot(site, request)
    seen = await _screen(site, shot, visitor)
    found, trouble = pulling.pulled(site)
    return paper.page(
        "day.html.j2",
        "watching.js acting.js",
        title=seen.title or "Game day",
        visitor=visitor,
        seen=seen,
        rows=[_row(one) for one in seen.timeline[-LINES_MAX:]],
        hidden=max(0, len(seen.timeline) - LINES_MAX),
        last=seen.timeline[-1].seq if seen.timeline else 0,
        levers=found if visitor is not None and visitor.may("viewer") else (),
        lever_trouble=trouble,
        scopes=[f"environment.{seen.environment}", "global"],
        day_id=shot.day,
        report=_report(site, shot.day, visitor),
        **_tools(),
    )


def _report(site: Site, day_id: str, visitor: Visitor | None) -> str:
    """Where the report of a day is, once it is written."""
    there = visitor is not None and visitor.may("viewer") and (site.setting.reports / f"{day_id}.html").is_file()
    return f"/reports/{day_id}.html" if there else ""


def _tools() -> dict[str, Any]:
    return {"utc": text.utc, "one_line": text.one_line, "duration": text.duration, "share": text.share}


def _row(told: view.Told) -> dict[str, object]:
    kind = f"{'retracted ' if told.retracted else ''}tone-{told.tone or 'plain'}"
    return {"seq": told.seq, "at": text.utc(told.at), "t": text.clock(told.t, 0), "line": told.text, "kind": kind}


async def events(site: Site, request: Request, _form: dict[str, str], visitor: Visitor | None) -> Response:
    """The same by server-sent events, from where the reader was."""
    if site.room.full():
        raise Refused(503, "Too many pages are open already. Close some; this one tries again by itself.")
    await _shot(site, request)
    after = streaming.last_seen(request.headers.get("last-event-id") or request.query_params.get("after"))
    return Streamed(streaming.Stream(_told(site, asking.given_id(request), after, visitor), site.room, site.drop))


async def _told(site: Site, day_id: str, after: int, visitor: Visitor | None) -> AsyncIterator[bytes]:
    shown, beat = "", time.monotonic()
    while visitor is None or visitor.session is None or site.sessions.lasts(visitor.session):
        try:
            shot = await site.shots.day(day_id)
            seen = await _screen(site, shot, visitor) if shot is not None else None
        except StoreError as why:
            yield streaming.event("trouble", {"why": str(why)})
            await anyio.sleep(streaming.PACE_S * 4)
            continue
        if seen is None:
            return
        for one in seen.timeline:
            if one.seq > after:
                after = one.seq
                yield streaming.event("record", _row(one), after)
        now = paper.fragment("today.html.j2", seen=seen, visitor=visitor, **_tools())
        if now != shown:
            shown, beat = now, time.monotonic()
            yield streaming.event("now", {"html": now, "title": f"{seen.current} · {seen.title}"})
        if time.monotonic() - beat > streaming.BEAT_S:
            beat = time.monotonic()
            yield streaming.COMMENT
        await anyio.sleep(streaming.PACE_S)


async def say(site: Site, request: Request, form: dict[str, str], visitor: Visitor | None) -> Response:
    """Puts what somebody typed on record: a verb of the consoles, as they have it."""
    assert visitor is not None
    day_id = (await _shot(site, request)).day
    who = _name(form, visitor)
    line = " ".join([form.get("verb", ""), form.get("line", "")[:LINE_MAX]]).strip()
    heard = await anyio.to_thread.run_sync(_spoken, site, day_id, line, who, limiter=site.hands)
    site.shots.stale(day_id)
    if "application/json" in request.headers.get("accept", ""):
        return paper.answer({"schemaVersion": 1, **msgspec.to_builtins(heard)}, 201)
    return RedirectResponse(f"/days/{day_id}", 303)


def _name(form: dict[str, str], visitor: Visitor) -> str:
    given = text.one_line(form.get("name", ""), NAME_MAX).strip()
    if visitor.session is not None and given:
        visitor.session.name = given
    name = given or (visitor.session.name if visitor.session is not None else "")
    if not name:
        raise Refused(400, "Say who you are: whatever is said on a game day is kept with a name.")
    return name


def _spoken(site: Site, day_id: str, line: str, who: str) -> desk.Heard:
    """Raises Refused for words that mean nothing, and where they cannot be kept."""
    try:
        return pulling.spoken(site, day_id, line, who)
    except ValueError as why:
        raise Refused(400, f"Not said: {why}") from None
    except StoreError as why:
        if line.partition(" ")[0].lower() in desk.STOPS:  # stopping needs no store
            path = levers.pull(site.setting.state_dir, "global", who, line[:400])
            return desk.Heard(fact=None, lever=str(path), trouble=str(why))
        raise Refused(503, f"Not said: {why}") from None


async def value(site: Site, request: Request, _form: dict[str, str], visitor: Visitor | None) -> Response:
    """One day as JSON: what a console shows, for this role."""
    shot = await _shot(site, request)
    return paper.answer({"schemaVersion": 1, **msgspec.to_builtins(await _screen(site, shot, visitor))})
