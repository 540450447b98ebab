"""A1-A5, A25-A27, A56: what every request meets, whatever it asks."""

from __future__ import annotations

import re

import pytest

from tests.proxy.parity.kit import GOOD
from tests.proxy.toxi import Api


def test_a01_version_is_json(api: Api) -> None:
    answer = api("GET", "/version")

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json;charset=utf-8")
    assert list(answer.json) == ["version"]
    assert answer.raw.startswith(b'{"version": "')
    assert answer.raw.endswith(b'"}\n')


def test_a02_every_routed_answer_has_an_id_of_its_own(api: Api) -> None:
    answers = [api("GET", "/version"), api("GET", "/proxies"), api("GET", "/proxies/nope"), api("GET", "/nope")]
    ids = [answer.headers.get("X-Toxiproxy-Request-Id") for answer in answers]

    assert ids.pop() is None
    assert len(set(ids)) == 3
    assert all(re.fullmatch("[0-9a-v]{20}", str(one)) for one in ids)


@pytest.mark.parametrize(("agent", "path"), [("Mozilla/5.0", "/proxies"), ("Mozilla/", "/version")])
def test_a03_browsers_are_refused(api: Api, agent: str, path: str) -> None:
    answer = api("GET", path, User_Agent=agent)

    assert (answer.status, answer.raw) == (403, b"User agent not allowed\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("agent", ["Wget/2.1", "mozilla/5.0", "curl Mozilla/5.0", ""])
def test_a04_other_agents_are_not(api: Api, agent: str) -> None:
    assert api("GET", "/version", User_Agent=agent).status == 200
    assert api("GET", "/nope", User_Agent="Mozilla/5.0").status == 404


def test_a05_no_proxies_are_an_empty_object(api: Api) -> None:
    answer = api("GET", "/proxies")

    assert (answer.status, answer.raw.strip(), answer.headers["Content-Type"]) == (200, b"{}", "application/json")


@pytest.mark.parametrize(
    ("body", "why"),
    [(b"", "EOF"), (b"  ", "EOF"), (b"{", "unexpected EOF"), (b'{"name":', "unexpected EOF"),
     (b'{"name":"x', "unexpected EOF"), (b'{"name":"x"', "unexpected EOF"), (b'[{"name":"x"}', "unexpected EOF")],
)  # fmt: skip
def test_a25_an_empty_or_cut_body_is_a_400(api: Api, body: bytes, why: str) -> None:
    api.make()
    for method, path in (("POST", "/proxies"), ("PATCH", "/proxies/p"), ("POST", "/proxies/p/toxics")):
        answer = api(method, path, body)
        assert (answer.status, answer.error) == (400, f"bad request body: {why}")


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/nope", 404, b"404 page not found\n"),
        ("GET", "/", 404, b"404 page not found\n"),
        ("GET", "/proxies/", 404, b"404 page not found\n"),
        ("GET", "/proxies/p/toxics/", 404, b"404 page not found\n"),
        ("GET", "/proxies/a%2Fb", 404, b"404 page not found\n"),
        ("PUT", "/proxies", 405, b""),
        ("GET", "/reset", 405, b""),
        ("PUT", "/proxies/p", 405, b""),
        ("DELETE", "/proxies/p/toxics", 405, b""),
        ("OPTIONS", "/populate", 405, b""),
        ("HEAD", "/version", 405, b""),
    ],
)
def test_a26_only_the_known_routes_answer(api: Api, method: str, path: str, status: int, body: bytes) -> None:
    answer = api(method, path)

    assert (answer.status, answer.raw) == (status, body)
    assert "X-Toxiproxy-Request-Id" not in answer.headers
    assert "Allow" not in answer.headers


def test_a27_a_refusal_is_json_that_calls_itself_text(api: Api) -> None:
    answer = api("GET", "/proxies/nope")

    assert answer.raw == b'{"error":"proxy not found","status":404}\n'
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a56_what_the_go_client_sends_is_understood(api: Api) -> None:
    go = {"User_Agent": "toxiproxy-cli/git (linux/amd64)", "Content_Type": "application/json"}
    proxy = GOOD | {"enabled": True}
    assert api("POST", "/proxies", proxy, **go).status == 201
    assert api("POST", "/proxies/p", proxy | {"enabled": False}, **go).json["enabled"] is False
    toxic = {"name": "t", "type": "latency", "stream": "upstream", "toxicity": 1, "attributes": {"latency": 5}}
    assert api("POST", "/proxies/p/toxics", toxic, **go).json["attributes"] == {"latency": 5, "jitter": 0}
    assert api("PATCH", "/proxies/p/toxics/t", toxic | {"toxicity": 0.5}, **go).json["toxicity"] == 0.5
    assert api("POST", "/proxies/p/toxics/t", toxic, **go).json["toxicity"] == 1
