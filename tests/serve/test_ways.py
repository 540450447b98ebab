"""Every route in every way it can be misused. The table is made from the server's own list of routes."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pytest

from chaos_runner.serve.ways import WAYS, Way
from tests.serve.kit import DAY, GOING, HELD, Served, Visit

WHO = ("nobody", "a wrong token", "a wrong cookie", "responder", "viewer", "operator")
HOW = ("as it should be", "foreign Host", "no Host of ours", "foreign Origin", "a foreign page", "without CSRF")
MAY = {  # least role -> who may
    None: set(WHO),
    "responder": {"responder", "viewer", "operator"},
    "viewer": {"viewer", "operator"},
    "operator": {"operator"},
}


class Row(NamedTuple):
    """How a route is tried: an address, a form, and what answers whoever may."""

    path: str
    least: str | None
    status: int
    form: dict[str, str] | None = None


# Route -> who may go it, as the documentation says. A route without a row fails.
ROWS = {
    ("GET", "/login"): Row("/login", None, 200),
    ("POST", "/login"): Row("/login", None, 303, {"code": "a new one each time"}),
    ("POST", "/logout"): Row("/logout", "responder", 303, {}),
    ("POST", "/name"): Row("/name", "responder", 303, {"name": "ann"}),
    ("GET", "/"): Row("/", "viewer", 200),
    ("GET", "/runs/{id}"): Row(f"/runs/{HELD}", "viewer", 200),
    ("GET", "/runs/{id}/events"): Row(f"/runs/{HELD}/events", "viewer", 200),
    ("GET", "/runs/{id}/report"): Row(f"/runs/{HELD}/report", "viewer", 200),
    ("POST", "/halt"): Row("/halt", "viewer", 303, {"scope": "experiment.nothing-has-this-name"}),
    ("GET", "/halts/{id}"): Row("/halts/999", "viewer", 404),
    ("POST", "/resume"): Row("/resume", "operator", 409, {"scope": "experiment.not-pulled", "reason": "tried"}),
    ("GET", "/days"): Row("/days", "responder", 200),
    ("GET", "/days/{id}"): Row(f"/days/{DAY}", "responder", 200),
    ("GET", "/days/{id}/events"): Row("/days/none/events", "responder", 404),
    ("POST", "/days/{id}/say"): Row(f"/days/{DAY}/say", "operator", 303, {"line": "note tried", "name": "ann"}),
    ("GET", "/reports/{path:path}"): Row("/reports/", "viewer", 200),
    ("GET", "/api/v1/runs"): Row("/api/v1/runs", "viewer", 200),
    ("GET", "/api/v1/runs/{id}"): Row(f"/api/v1/runs/{GOING}", "viewer", 200),
    ("GET", "/api/v1/halts/{id}"): Row("/api/v1/halts/999", "viewer", 404),
    ("GET", "/api/v1/days/{id}"): Row(f"/api/v1/days/{DAY}", "responder", 200),
    ("POST", "/api/v1/codes"): Row("/api/v1/codes", "responder", 200, {}),
}


def test_every_route_is_in_the_table_and_takes_whom_the_table_says() -> None:
    assert {(way.method, way.path): way.least for way in WAYS} == {key: row.least for key, row in ROWS.items()}


VISITS: dict[tuple[str, str], Visit] = {}


def _entered(served: Served, who: str, *, anew: bool) -> Visit:
    if anew or (served.url, who) not in VISITS:
        VISITS[served.url, who] = served.enter(who)
    return VISITS[served.url, who]


def _headers(
    served: Served, who: str, how: str, *, deed: bool, by_cookie: bool, anew: bool
) -> tuple[dict[str, str], Visit | None]:
    headers: dict[str, str] = {}
    visit = None
    if who == "a wrong token":
        headers["Authorization"] = "Bearer " + "x" * 43
    elif who == "a wrong cookie":
        headers["Cookie"] = f"chaos-runner-{served.host.rpartition(':')[2]}={'x' * 43}"
    elif who != "nobody":
        visit = _entered(served, who, anew=anew) if by_cookie else None
        headers |= {"Cookie": visit.cookie} if visit else served.bearer(who)
    if deed:
        headers["Origin"] = served.url
    headers |= {
        "as it should be": {},
        "foreign Host": {"Host": f"evil.example:{served.host.rpartition(':')[2]}"},
        "no Host of ours": {"Host": "127.0.0.1:1"},
        "foreign Origin": {"Origin": "http://evil.example"},
        "a foreign page": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        "without CSRF": {},
    }[how]
    return headers, visit


def _expected(way: Way, row: Row, who: str, how: str, *, by_cookie: bool) -> int:
    """The law of the door, said once more."""
    if how in {"foreign Host", "no Host of ours"}:
        return 421
    if how in {"foreign Origin", "a foreign page"}:
        return 403
    if who not in MAY[row.least]:
        known = who in {"responder", "viewer", "operator"}
        return 403 if known else 303 if way.kind == "page" and who != "a wrong token" else 401
    if how == "without CSRF" and way.kind == "deed" and row.least is not None and by_cookie:
        return 403
    return row.status


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.method} {way.path}")
def test_a_route_takes_who_may_from_where_it_should_and_nobody_else(served: Served, way: Way, how: str) -> None:
    row = ROWS[way.method, way.path]
    for who, by_cookie in itertools.product(WHO, (True, False)):
        headers, visit = _headers(
            served, who, how, deed=way.kind == "deed", by_cookie=by_cookie, anew=way.path == "/logout"
        )
        form = dict(row.form) if row.form is not None else None
        if way.path == "/login" and form is not None:
            form["code"] = served.code("viewer")
        if form is not None and visit is not None and how != "without CSRF":
            form["csrf"] = visit.csrf
        answer = served.ask(way.method, row.path, headers, form)

        if way.path == "/logout" and answer.status == 303 and visit is not None:
            VISITS.pop((served.url, who), None)
        expected = _expected(way, row, who, how, by_cookie=by_cookie)
        assert answer.status == expected, (who, how, by_cookie, answer.text[:300])
        assert "access-control-allow-origin" not in answer.headers
        assert "frame-ancestors" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "deed" and way.least], ids=lambda way: way.path)
def test_no_forged_form_does_anything(served: Served, way: Way) -> None:
    """The cookie alone, the proof of another session, no origin, or what only scripts of others can send."""
    row = ROWS[way.method, way.path]
    visit, other = served.enter("operator"), served.enter("operator")
    ours = {"Cookie": visit.cookie, "Origin": served.url}
    form = dict(row.form or {})
    forged = [
        (ours, form),
        (ours, {**form, "csrf": ""}),
        (ours, {**form, "csrf": other.csrf}),
        ({"Cookie": visit.cookie}, {**form, "csrf": visit.csrf}),
        ({**ours, "Origin": "null"}, {**form, "csrf": visit.csrf}),
        ({**ours, "Sec-Fetch-Site": "same-site"}, {**form, "csrf": visit.csrf}),
    ]
    assert [served.ask("POST", row.path, headers, sent).status for headers, sent in forged] == [403] * len(forged)
    as_text = {**ours, "Content-Type": "text/plain"}
    assert served.ask("POST", row.path, as_text, {**form, "csrf": visit.csrf}).status == 415
    assert served.ask("GET", "/days", {"Cookie": visit.cookie}).status == 200


def test_a_deed_is_never_done_by_looking(served: Served) -> None:
    posts = {ROWS[way.method, way.path].path for way in WAYS if way.method == "POST"}
    gets = {ROWS[way.method, way.path].path for way in WAYS if way.method == "GET"}
    for path in posts - gets:
        assert served.ask("GET", path, served.bearer("operator")).status == 405
