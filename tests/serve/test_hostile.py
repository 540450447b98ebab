"""Whatever names, notes, paths and headers hold: pages keep their structure, and nothing is an error of ours."""

from __future__ import annotations

import random
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from chaos_runner import store
from chaos_runner.gameday.facts import ActionAdded, Asked, Marked, Predicted, Said
from chaos_runner.serve import asking, server
from chaos_runner.serve.ways import WAYS
from tests.render import hostile
from tests.render.tree import Page
from tests.serve import kit
from tests.serve.kit import DAY, GOING, HELD, Served, Visit, fill, serving
from tools import sample_history

REPORTS = ("index.html", "data.json", "run.xml", "sub/page.html", "plain.txt", ".hidden.html", "sub/.git/x.html")


def _poisoned(folder: Path, change: Any) -> Path:
    """A state folder whose every free text went through `change`."""
    folder.mkdir()
    state = folder / "state"
    (folder / "reports").mkdir()
    scenario = {
        **kit.SCENARIO,
        "title": change("title")[:200],
        "summary": change("summary"),
        "checklist": [change("told")[:400]],
        "objectives": {"detect": change("objective")},
        "steps": [{"step": "run", "run": change("x.yaml"), "name": change("late")[:200]}],
    }
    with store.open_store(state, allow_tmpfs=True) as ledger:
        kit.put_day(
            ledger,
            Said(who=change("ann"), text=change("note") * 30),
            Asked(step=0, question=change("go?"), of=("facilitator",)),
            Predicted(step=0, who=change("bob"), believed="holds", confidence=0.7, text=change("why")),
            Marked(mark="detected", happened_at=1.0, who=change("cid"), text=change("seen")),
            ActionAdded(id="a1", finding=change("broken"), who=change("ann"), owner=change("dan")),
            scenario=scenario,
        )
    held = sample_history.held()
    for run, history in ((HELD, held), (GOING, kit.cut(held, 40.0))):
        told = hostile.poisoned(history, change)
        kit.put(state, run, told, environment=change("demo"), experiment=change("slow"))
    return state


def _structures(served: Served) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    visit = served.enter("operator")
    paths = ("/", f"/runs/{HELD}", f"/runs/{GOING}", f"/runs/{HELD}/report", "/days", f"/days/{DAY}")
    pages = {path: Page(served.get(visit, path).text) for path in paths}
    assert [path for path, page in pages.items() if page.unbalanced] == []
    return {path: page.structure for path, page in pages.items()}


@pytest.mark.parametrize("turn", [0, 5, 10])
def test_hostile_text_changes_no_page(tmp_path: Path, turn: int) -> None:
    with serving(_poisoned(tmp_path / "plain", hostile.benign)) as served:
        plain = _structures(served)
    with serving(_poisoned(tmp_path / "evil", hostile.mixed(turn))) as served:
        evil = _structures(served)
        stream = served.ask("GET", f"/runs/{HELD}/events", served.bearer("viewer")).body

    assert {path: evil[path] == plain[path] for path in plain} == dict.fromkeys(plain, True)
    assert re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", stream) is None


def test_names_and_words_that_people_type_come_back_as_text(served: Served) -> None:
    visit = served.enter("operator", name="<b>ann</b>\x1b[31m")
    line = "note </td><script>alert(1)</script>\u202e"
    assert served.send(visit, f"/days/{DAY}/say", verb="note", line=line, name="<i>bob</i>").status == 303
    page = served.get(visit, f"/days/{DAY}").text

    assert "<script>alert" not in page
    assert "<i>bob" not in page
    assert "&lt;i&gt;bob&lt;/i&gt;" in page


def _raw(served: Served, request: bytes) -> int:
    """The status of whatever this is; 0 where the connection is closed without one."""
    host, _, port = served.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while len(answer) < 12 and (chunk := connection.recv(4096)):
            answer += chunk
    found = re.match(rb"HTTP/1\.1 (\d{3})", answer)
    return int(found[1]) if found else 0


PARTS = (
    "..", "%2e%2e", "%2f", "..%2f..", "%00", "%ff", "%", "%zz", "ü", "{{7*7}}", "<b>", "a" * 300, "\\", ";", " ",
    "//", "runs", "days", "halts", "api", "v1", "reports", "events", "say", HELD, DAY, "0", "-1", "1e99", "9" * 500,
)  # fmt: skip
HEADS = ("Host", "Origin", "Cookie", "Authorization", "Accept", "Content-Type", "Content-Length", "Last-Event-ID",
         "Transfer-Encoding", "X-CSRF-Token", "Sec-Fetch-Site", "Connection", "Upgrade", "Expect", "Range")  # fmt: skip
VALUES = (
    "", "x" * 5000, "Bearer", "Bearer \xff", "a=b; c", "; ; =", "null", "http://[::1", "-1", "chunked", "websocket",
    "h2c", "100-continue", "bytes=0-", "application/x-www-form-urlencoded; charset=x", "*/*", "\x00", "é",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_no_path_and_no_header_is_an_error_of_ours(served: Served, seed: int) -> None:
    chance = random.Random(seed)
    seen: dict[int, int] = {}
    for _ in range(150):
        path = "/" + "/".join(chance.choices(PARTS, k=chance.randint(0, 5)))
        if chance.random() < 0.3:
            path += "?" + "&".join(f"{chance.choice(PARTS)}={chance.choice(PARTS)}" for _ in range(3))
        lines = [f"{chance.choice(('GET', 'GET', 'POST', 'HEAD', 'PUT', 'OPTIONS', 'TRACE'))} {path} HTTP/1.1"]
        if chance.random() < 0.9:
            lines.append(f"Host: {served.host}")
        if chance.random() < 0.8:
            lines.append(f"Authorization: Bearer {served.tokens['operator']}")
        lines += [f"{chance.choice(HEADS)}: {chance.choice(VALUES)}" for _ in range(chance.randint(0, 3))]
        body = chance.choice(("", "a=b", "%" * 50, "&" * 50, "\xff" * 20))
        status = _raw(served, ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1", "replace"))
        seen[status] = seen.get(status, 0) + 1
    assert [status for status in seen if status >= 500] == [], seen
    assert served.ask("GET", "/login").status == 200


def test_what_is_too_large_is_refused(served: Served) -> None:
    visit = served.enter("operator")
    big = served.send(visit, "/halt", scope="global", reason="x" * asking.BODY_BYTES_MAX)
    many = served.ask("POST", "/halt", served.bearer("viewer"), {f"f{n}": "x" for n in range(asking.FIELDS_MAX + 1)})
    head = _raw(served, b"GET / HTTP/1.1\r\nX: " + b"x" * (server.HEAD_BYTES_MAX * 5) + b"\r\n\r\n")

    assert (big.status, many.status, head) == (413, 400, 400)
    assert not list((served.state / "levers").glob("global"))


# --- reports -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", name="shelf")
def _shelf(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("shelf")
    state = fill(folder)
    for name in REPORTS:
        path = folder / "reports" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<p>kept</p>")
    (folder / "secret.html").write_text("secret")
    (folder / "reports" / "link.html").symlink_to(folder / "secret.html")
    (folder / "reports" / "out").symlink_to(folder)
    with serving(state) as served:
        yield served


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("", 200), ("index.html", 200), ("data.json", 200), ("run.xml", 200), ("sub/page.html", 200),
        ("plain.txt", 404), (".hidden.html", 404), ("sub/.git/x.html", 404), ("link.html", 404),
        ("out/secret.html", 404),
        ("../secret.html", 404), ("%2e%2e/secret.html", 404), ("..%2fsecret.html", 404), ("sub/../../secret.html", 404),
        ("sub//page.html", 404), ("/etc/passwd", 404), ("sub", 404), ("sub/", 404), ("x%00.html", 404),
        ("%ff.html", 404),
        ("a" * 400 + ".html", 404), ("../state/serve-tokens.json", 404), ("index.html/", 404),
    ],
)  # fmt: skip
def test_only_reports_leave_the_folder_of_reports(shelf: Served, path: str, status: int) -> None:
    answer = shelf.ask("GET", f"/reports/{path}", shelf.bearer("viewer"))
    assert answer.status == status
    assert b"secret" not in answer.body


def test_a_report_without_a_policy_of_its_own_runs_no_script(shelf: Served, served: Served) -> None:
    bare = shelf.ask("GET", "/reports/sub/page.html", shelf.bearer("viewer")).headers["content-security-policy"]
    ours = served.ask("GET", f"/runs/{HELD}/report", served.bearer("viewer")).headers["content-security-policy"]

    assert "sandbox" in bare
    assert "script-src" not in bare
    assert re.search(r"script-src 'sha256-[^']+'", ours)
    assert "unsafe" not in ours
    assert "frame-ancestors 'self'" in ours


def test_every_page_of_ours_allows_its_own_script_and_style_alone(served: Served) -> None:
    visit: Visit = served.enter("operator")
    for path in ("/", f"/runs/{GOING}", f"/days/{DAY}", "/days", "/login"):
        policy = served.get(visit, path).headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert Page(served.get(visit, path).text).attributes.count(("meta", "http-equiv", "refresh")) <= 1
    assert {way.kind for way in WAYS} == {"page", "value", "stream", "deed"}
