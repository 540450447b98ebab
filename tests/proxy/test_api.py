"""Toxiproxy's HTTP API, told from outside: what holds for the real server holds for the embedded one."""

from __future__ import annotations

import json
import re

import pytest

from tests.proxy.toxi import LOOP, Api, can_connect, free_port, port_of

GOOD = {"name": "p", "upstream": "nowhere:9", "listen": f"{LOOP}:0"}
DEFAULTS = {
    "latency": {"latency": 0, "jitter": 0},
    "bandwidth": {"rate": 0},
    "slow_close": {"delay": 0},
    "timeout": {"timeout": 0},
    "reset_peer": {"timeout": 0},
    "limit_data": {"bytes": 0},
    "noop": {},
}


def test_the_version_is_json_and_every_routed_answer_has_its_own_id(api: Api) -> None:  # A1 A2 A4 A5
    first, second = api("GET", "/version", User_Agent="Wget/2.1"), api("GET", "/proxies")

    assert (first.status, second.status, second.json) == (200, 200, {})
    assert "version" in first.json
    assert first.headers["Content-Type"] == "application/json;charset=utf-8"
    assert second.headers["Content-Type"] == "application/json"
    ids = [answer.headers["X-Toxiproxy-Request-Id"] for answer in (first, second)]
    assert ids[0] != ids[1]
    assert all(re.fullmatch("[0-9a-v]{20}", one) for one in ids)


@pytest.mark.parametrize(  # A3
    ("agent", "path", "status"),
    [
        ("Mozilla/5.0", "/proxies", 403),
        ("Mozilla/5.0", "/version", 403),
        ("Mozilla/5.0", "/nope", 404),
        ("mozilla/5.0", "/proxies", 200),
    ],
)
def test_browsers_are_refused(api: Api, agent: str, path: str, status: int) -> None:
    answer = api("GET", path, User_Agent=agent)

    assert answer.status == status
    if status == 403:
        assert answer.raw == b"User agent not allowed\n"


@pytest.mark.parametrize(  # A26
    ("method", "path", "status", "body"),
    [
        ("GET", "/nope", 404, b"404 page not found\n"),
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
def test_only_the_known_routes_answer(api: Api, method: str, path: str, status: int, body: bytes) -> None:
    answer = api(method, path)

    assert (answer.status, answer.raw) == (status, body)
    assert "X-Toxiproxy-Request-Id" not in answer.headers


@pytest.mark.parametrize(  # A6 A7 A12 A14 A18 A19 A25 A27 A48 A49 A50 A51
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "/proxies", {"upstream": "x:1"}, 400, "missing required field: name"),
        ("POST", "/proxies", {"name": "x"}, 400, "missing required field: upstream"),
        ("POST", "/proxies", b"", 400, "bad request body: EOF"),
        ("POST", "/proxies", b'{"name":', 400, "bad request body: unexpected EOF"),
        ("POST", "/proxies", b'{"name":"x', 400, "bad request body: unexpected EOF"),
        ("POST", "/proxies", [], 400,
         "bad request body: json: cannot unmarshal array into Go value of type toxiproxy.Proxy"),
        ("POST", "/proxies", {"name": 5}, 400,
         "bad request body: json: cannot unmarshal number into Go struct field Proxy.name of type string"),
        ("POST", "/proxies", {**GOOD, "name": "p"}, 409, "proxy already exists"),
        ("POST", "/proxies", {**GOOD, "name": "q", "listen": "local373"}, 500,
         "listen tcp: address local373: missing port in address"),
        ("POST", "/proxies", {**GOOD, "name": "q", "listen": f"{LOOP}:99999"}, 500,
         "listen tcp: address 99999: invalid port"),
        ("POST", "/proxies/p", {"listen": "bad"}, 500, "address bad: missing port in address"),
        ("PATCH", "/proxies/p", {"enabled": "yes"}, 400,
         "bad request body: json: cannot unmarshal string into Go struct field Proxy.enabled of type bool"),
        ("GET", "/proxies/q", None, 404, "proxy not found"),
        ("PATCH", "/proxies/q", {}, 404, "proxy not found"),
        ("DELETE", "/proxies/q", None, 404, "proxy not found"),
        ("GET", "/proxies/q/toxics", None, 404, "proxy not found"),
        ("POST", "/proxies/q/toxics", b"", 404, "proxy not found"),
        ("POST", "/proxies/p/toxics", b"", 400, "bad request body: EOF"),
        ("POST", "/proxies/p/toxics", {"type": "latency", "stream": "side"}, 400,
         "stream was invalid, can be either upstream or downstream"),
        ("POST", "/proxies/p/toxics", {"type": "nope", "stream": ""}, 400,
         "stream was invalid, can be either upstream or downstream"),
        ("POST", "/proxies/p/toxics", {"type": "Latency"}, 400, "invalid toxic type"),
        ("POST", "/proxies/p/toxics", {"type": "noop", "name": "t"}, 409, "toxic already exists"),
        ("POST", "/proxies/p/toxics", {"type": "noop", "name": "t", "stream": "upstream"}, 409, "toxic already exists"),
        ("POST", "/proxies/p/toxics", {"type": "latency", "toxicity": "x"}, 400,
         "bad request body: json: cannot unmarshal string into Go struct field ToxicWrapper.toxicity of type float32"),
        ("GET", "/proxies/p/toxics/u", None, 404, "toxic not found"),
        ("PATCH", "/proxies/p/toxics/u", {}, 404, "toxic not found"),
        ("DELETE", "/proxies/p/toxics/u", None, 404, "toxic not found"),
    ],
)  # fmt: skip
def test_a_refusal_has_the_words_that_clients_compare(
    api: Api, method: str, path: str, body: object, status: int, error: str
) -> None:
    api.make(upstream="nowhere:9")
    api.toxic("latency", name="t")

    answer = api(method, path, body)

    assert (answer.status, answer.json) == (status, {"error": error, "status": status})
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.raw.endswith(b"}\n")
    assert list(api("GET", "/proxies").json) == ["p"]
    assert [toxic["type"] for toxic in api("GET", "/proxies/p/toxics").json] == ["latency"]


@pytest.mark.parametrize("value", [b"100.0", b"1e3", b"1.5", b'"5"', b"true", b"[]", b"9223372036854775808"])  # A51
def test_attributes_are_whole_numbers(api: Api, value: bytes) -> None:
    api.make()

    answer = api("POST", "/proxies/p/toxics", b'{"type":"latency","attributes":{"latency":%s}}' % value)

    assert answer.status == 400
    assert answer.error.startswith("bad request body: json: cannot unmarshal ")
    assert answer.error.endswith(".attributes.latency of type int64")
    assert api("GET", "/proxies/p/toxics").json == []


def test_a_created_proxy_listens_where_it_says(api: Api) -> None:  # A8 A13 A15 A21
    made = api("POST", "/proxies", GOOD)

    assert made.status == 201
    listen = made.json["listen"]
    assert {key: made.json[key] for key in ("name", "upstream", "enabled", "toxics")} == {
        "name": "p", "upstream": "nowhere:9", "enabled": True, "toxics": [],
    }  # fmt: skip
    assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d+", listen)
    assert can_connect(port_of(made.json))
    assert api("GET", "/proxies/p").json == made.json
    deleted = api("DELETE", "/proxies/p")
    assert (deleted.status, deleted.raw) == (204, b"")
    assert not can_connect(port_of(made.json))
    assert api("GET", "/proxies").json == {}
    assert api.make(listen=listen)["listen"] == listen


def test_a_disabled_proxy_keeps_its_text_and_its_port_closed(api: Api) -> None:  # A9 A10
    port = free_port()
    made = api.make(listen=f"localhost:{port}", enabled=False)

    assert (made["listen"], made["enabled"], can_connect(port)) == (f"localhost:{port}", False, False)
    up = api("PATCH", "/proxies/p", {"enabled": True}).json
    assert (up["listen"], up["enabled"], can_connect(port)) == (f"{LOOP}:{port}", True, True)
    down = api("PATCH", "/proxies/p", {"enabled": False}).json
    assert (down["listen"], down["enabled"], can_connect(port)) == (f"{LOOP}:{port}", False, False)
    assert api("PATCH", "/proxies/p", {"enabled": False}).status == 200


def test_a_taken_port_is_a_500_and_nothing_is_stored(api: Api) -> None:  # A11 A12
    listen = api.make("first")["listen"]

    answer = api("POST", "/proxies", {**GOOD, "listen": listen})

    assert answer.status == 500
    assert answer.error == f"listen tcp {listen}: bind: address already in use"
    assert list(api("GET", "/proxies").json) == ["first"]


@pytest.mark.parametrize("method", ["POST", "PATCH"])  # A17 A18 A20 A56
def test_an_update_changes_what_it_names(api: Api, method: str) -> None:
    before = api.make()

    assert api(method, "/proxies/p", {}).json == before
    after = api(method, "/proxies/p", {"name": "other", "upstream": "elsewhere:1"})
    assert (after.status, after.json) == (200, before | {"upstream": "elsewhere:1"})
    assert list(api("GET", "/proxies").json) == ["p"]


def test_keys_match_in_any_case_and_unknown_ones_are_ignored(api: Api) -> None:  # A23 A24
    body = {"NAME": "p", "Upstream": "x:1", "listen": f"{LOOP}:0", "toxics": [{"type": "noop"}], "ttl": 5}

    made = api("POST", "/proxies", json.dumps(body).encode() + b" and more text")

    assert (made.status, made.json["name"], made.json["upstream"], made.json["toxics"]) == (201, "p", "x:1", [])


def test_null_is_as_good_as_absent(api: Api) -> None:
    api.make()

    assert api("PATCH", "/proxies/p", {"enabled": None, "upstream": None}).json["enabled"] is True
    assert api("PATCH", "/proxies/p", b"null").status == 200
    assert api("POST", "/proxies/p/toxics", {"type": "latency", "attributes": None}).json["toxicity"] == 1


def test_names_with_spaces_are_addressable(api: Api) -> None:  # A55
    api.make("a b")
    api.toxic("noop", proxy="a%20b", name="t t")

    assert api("GET", "/proxies/a%20b/toxics/t%20t").json["name"] == "t t"
    assert api("DELETE", "/proxies/a%20b/toxics/t%20t").status == 204


@pytest.mark.parametrize(("kind", "attributes"), DEFAULTS.items())  # A39 A40 A46 A48 A52
def test_a_toxic_has_defaults_for_everything_but_its_type(api: Api, kind: str, attributes: dict[str, int]) -> None:
    api.make()
    assert api("GET", "/proxies/p/toxics").json == []

    made = api("POST", "/proxies/p/toxics", {"type": kind})

    name = f"{kind}_downstream"
    assert (made.status, made.json) == (
        200, {"attributes": attributes, "name": name, "type": kind, "stream": "downstream", "toxicity": 1},
    )  # fmt: skip
    assert api("GET", "/proxies/p/toxics").json == [made.json]
    assert api("GET", f"/proxies/p/toxics/{name}").json == made.json
    assert api("GET", "/proxies").json["p"]["toxics"] == [made.json]  # A16
    gone = api("DELETE", f"/proxies/p/toxics/{name}")
    assert (gone.status, gone.raw, api("GET", "/proxies/p/toxics").json) == (204, b"", [])


def test_toxics_are_listed_upstream_first_in_order_of_creation(api: Api) -> None:  # A41 A44 A53 A54
    api.make()
    api.toxic("latency", "downstream")
    api.toxic("latency", "UPSTREAM")
    api.toxic("latency", "downstream", name="second")
    api.toxic("latency", "upstream")
    api.patch("latency_downstream", attributes={"latency": 1})

    names = [toxic["name"] for toxic in api("GET", "/proxies/p/toxics").json]

    assert names == ["latency_UPSTREAM", "latency_upstream", "latency_downstream", "second"]


@pytest.mark.parametrize(
    ("given", "shown"), [(0.2, "0.2"), (0.333333333333, "0.33333334"), (5, "5"), (-1, "-1"), (0.5, "0.5"), (1.0, "1")]
)
def test_toxicity_is_a_32_bit_float(api: Api, given: float, shown: str) -> None:  # A45
    api.make()

    made = api("POST", "/proxies/p/toxics", {"type": "noop", "toxicity": given})

    assert made.raw.endswith(f'"toxicity":{shown}}}'.encode())


@pytest.mark.parametrize("method", ["POST", "PATCH"])  # A47
def test_a_toxic_update_merges_and_renames_nothing(api: Api, method: str) -> None:
    api.make()
    api.toxic("latency", latency=100, jitter=10, toxicity=0.5)
    path = "/proxies/p/toxics/latency_downstream"

    merged = api(method, path, {"attributes": {"jitter": 20}, "name": "x", "type": "noop", "stream": "upstream"})

    assert merged.json == {
        "attributes": {"latency": 100, "jitter": 20}, "name": "latency_downstream", "type": "latency",
        "stream": "downstream", "toxicity": 0.5,
    }  # fmt: skip
    assert api(method, path, {"toxicity": 0.25}).json["toxicity"] == 0.25
    assert api("GET", path).json["attributes"] == {"latency": 100, "jitter": 20}


def populated(api: Api, *proxies: dict[str, object]) -> tuple[int, list[tuple[str, bool]] | None]:
    answer = api("POST", "/populate", list(proxies))
    made = answer.json["proxies"]
    return answer.status, None if made is None else [(proxy["name"], proxy["enabled"]) for proxy in made]


def test_populate_makes_all_in_order(api: Api) -> None:  # A28 A29 A30 A34 A36
    one, two = {**GOOD, "name": "z"}, {**GOOD, "name": "a", "enabled": False}

    assert populated(api, one, two) == (201, [("z", True), ("a", False)])
    assert api.toxic("noop", proxy="z")
    assert populated(api) == (201, None)
    assert api("POST", "/populate", []).raw.strip() == b'{"proxies":null}'


def test_populate_keeps_what_is_the_same_and_replaces_what_differs(api: Api) -> None:  # A31 A35
    port = free_port()
    same = {**GOOD, "listen": f"localhost:{port}"}
    populated(api, same)
    api.toxic("noop")

    assert populated(api, {**same, "listen": f"{LOOP}:{port}", "enabled": False}) == (201, [("p", True)])
    assert len(api("GET", "/proxies/p/toxics").json) == 1
    populated(api, {**same, "upstream": "elsewhere:1"})
    assert api("GET", "/proxies/p/toxics").json == []


def test_populate_checks_all_before_it_makes_any(api: Api) -> None:  # A32
    answer = api("POST", "/populate", [GOOD, {"upstream": "x:1"}])

    assert (answer.status, answer.error) == (400, "missing required field: name at proxy 2")
    assert answer.json["proxies"] is None
    assert answer.headers["Content-Type"] == "application/json"
    assert api("GET", "/proxies").json == {}


def test_populate_stops_at_the_first_that_cannot_listen(api: Api) -> None:  # A33
    bad = {**GOOD, "name": "bad", "listen": "bad"}

    answer = api("POST", "/populate", [GOOD, bad, {**GOOD, "name": "last"}])

    assert (answer.status, answer.error) == (500, "listen tcp: address bad: missing port in address")
    assert [proxy["name"] for proxy in answer.json["proxies"]] == ["p"]
    assert list(api("GET", "/proxies").json) == ["p"]


def test_reset_starts_all_and_removes_all_toxics(api: Api) -> None:  # A37
    api.make("a")
    api.make("b", enabled=False)
    api.toxic("latency", proxy="a")

    answer = api("POST", "/reset")

    assert (answer.status, answer.raw) == (204, b"")
    assert {name: (p["enabled"], p["toxics"]) for name, p in api("GET", "/proxies").json.items()} == {
        "a": (True, []), "b": (True, []),
    }  # fmt: skip
