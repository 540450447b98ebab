"""Coming in: codes open once, sessions run out, wrong codes are limited, and secrets stay where they belong."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from chaos_runner.serve import sessions, tokens
from chaos_runner.serve.sessions import Codes, Failures, Sessions
from chaos_runner.store import StoreError
from tests.serve.kit import Served, fill, serving


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_code_opens_once_and_not_for_ever() -> None:
    clock = Clock()
    codes = Codes(clock)
    first, late = codes.new("viewer"), codes.new("operator")

    assert (codes.take(first), codes.take(first)) == ("viewer", None)
    clock.now += sessions.CODE_S + 1
    assert codes.take(late) is None


def test_codes_and_sessions_are_bounded_and_the_oldest_goes() -> None:
    clock = Clock()
    codes, known = Codes(clock), Sessions(clock)
    told = [codes.new("viewer") for _ in range(sessions.CODES_MAX + 1)]
    secrets = [known.begin("viewer")[0] for _ in range(sessions.SESSIONS_MAX + 1)]

    assert (codes.take(told[0]), codes.take(told[1])) == (None, "viewer")
    assert known.of(secrets[0]) is None
    assert known.of(secrets[1]) is not None
    clock.now += sessions.SESSION_S + 1
    assert known.of(secrets[1]) is None


def test_wrong_codes_are_limited_and_the_limit_ends() -> None:
    clock = Clock()
    failures = Failures(clock)
    for _ in range(sessions.FAILURES_MAX):
        assert not failures.too_many()
        failures.add()
    assert failures.too_many()
    clock.now += sessions.FAILURES_S
    assert not failures.too_many()


def test_guessing_at_the_door_ends_after_ten_and_who_is_in_stays_in(tmp_path: Path) -> None:
    with serving(fill(tmp_path)) as served:
        visit = served.enter("viewer")
        tried = [served.ask("POST", "/login", {"Origin": served.url}, {"code": f"guess{n}"}).status for n in range(12)]
        right = served.ask("POST", "/login", {"Origin": served.url}, {"code": served.codes["viewer"]}).status

        assert tried == [403] * 10 + [429] * 2
        assert right == 429
        assert served.get(visit, "/").status == 200
        assert served.ask("GET", "/api/v1/runs", served.bearer("viewer")).status == 200


def test_the_printed_codes_are_in_the_fragment_and_open_a_session_that_scripts_cannot_read(tmp_path: Path) -> None:
    with serving(fill(tmp_path)) as served:
        for role in tokens.ROLES:
            entered = served.ask("POST", "/login", {"Origin": served.url}, {"code": served.codes[role]})
            cookie = entered.headers["set-cookie"].lower()
            assert entered.status == 303
            assert "httponly" in cookie
            assert "samesite=strict" in cookie
            assert "domain" not in cookie
            again = served.ask("POST", "/login", {"Origin": served.url}, {"code": served.codes[role]})
            assert again.status == 403


def test_who_leaves_is_out(served: Served) -> None:
    visit = served.enter("viewer")
    assert served.send(visit, "/logout").status == 303
    assert served.get(visit, "/").status == 303


def test_nobody_lets_others_in_as_more_than_they_are(served: Served) -> None:
    ask = served.ask("POST", "/api/v1/codes", served.bearer("viewer"), {"role": "operator"})
    assert ask.status == 403
    assert served.ask("POST", "/api/v1/codes", served.bearer("viewer"), {"role": "emperor"}).status == 403
    assert (
        served.ask("POST", "/api/v1/codes", served.bearer("operator"), {"role": "responder"}).json["role"]
        == "responder"
    )


def test_no_page_and_no_process_list_has_a_token_or_a_cookie(served: Served) -> None:
    visit = served.enter("operator")
    secrets = [*served.tokens.values(), visit.cookie.partition("=")[2]]
    pages = [served.get(visit, path).text for path in ("/", "/days", "/login", "/api/v1/runs")]
    pages.append(Path(f"/proc/{served.pid}/cmdline").read_text() + Path(f"/proc/{served.pid}/environ").read_text())
    assert [secret for secret in secrets for page in pages if secret in page] == []


def test_the_token_file_is_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "tokens.json"
    made = tokens.read_or_make(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert tokens.read_or_make(path) == made
    assert [made.role(getattr(made, role)) for role in tokens.ROLES] == list(tokens.ROLES)
    assert [made.role(wrong) for wrong in ("", "x", made.viewer + "x", made.viewer[:-1], "ä" * 43)] == [None] * 5


@pytest.mark.parametrize("damage", ["readable", "a link", "a pipe", "short", "the same twice", "no JSON", "a folder"])
def test_a_token_file_that_others_could_have_read_or_made_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "tokens.json"
    made = tokens.read_or_make(path)
    if damage == "readable":
        path.chmod(0o644)
    elif damage in {"a link", "a pipe", "a folder"}:
        path.rename(tmp_path / "other")
        {"a link": lambda: path.symlink_to(tmp_path / "other"), "a pipe": lambda: os.mkfifo(path, 0o600),
         "a folder": lambda: path.mkdir(0o700)}[damage]()  # fmt: skip
    elif damage == "short":
        path.write_text('{"responder": "a", "viewer": "b", "operator": "c"}')
    elif damage == "the same twice":
        path.write_text(path.read_text().replace(made.viewer, made.operator))
    else:
        path.write_text("tokens")
    with pytest.raises(StoreError, match="token file"):
        tokens.read_or_make(path)


def test_the_code_is_not_in_any_address_that_is_sent(served: Served) -> None:
    page = served.ask("GET", "/login").text
    assert "location.hash" in page
    assert re.search(r'<form method="post" action="/login"', page)
