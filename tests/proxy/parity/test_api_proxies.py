"""A6-A24, A55: proxies made, shown, changed and deleted."""

from __future__ import annotations

import json
import re

import pytest

from tests.proxy.parity import alone
from tests.proxy.parity.kit import GOOD, refusal
from tests.proxy.toxi import LOOP, Api, can_connect, free_port, port_of


def test_a06_a_proxy_without_a_name_is_refused(api: Api) -> None:
    for body in ({"upstream": "x:1"}, {"name": "", "upstream": "x:1"}, {"name": None, "upstream": "x:1"}):
        assert refusal(api, "POST", "/proxies", body) == (400, "missing required field: name")
    assert api("GET", "/proxies").json == {}


def test_a07_a_proxy_without_an_upstream_is_refused(api: Api) -> None:
    assert refusal(api, "POST", "/proxies", {"name": "x"}) == (400, "missing required field: upstream")
    assert api("GET", "/proxies").json == {}


def test_a08_a_created_proxy_listens_where_it_says(api: Api) -> None:
    made = api("POST", "/proxies", GOOD)

    assert made.status == 201
    assert list(made.json) == ["name", "listen", "upstream", "enabled", "Logger", "toxics"]
    assert {key: made.json[key] for key in ("name", "upstream", "enabled", "toxics")} == {
        "name": "p", "upstream": "nowhere:9", "enabled": True, "toxics": [],
    }  # fmt: skip
    assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d+", made.json["listen"])
    assert can_connect(port_of(made.json))


def test_a09_a_disabled_proxy_keeps_its_text_and_its_port_closed(api: Api) -> None:
    port = free_port()
    made = api("POST", "/proxies", GOOD | {"listen": f"localhost:{port}", "enabled": False})

    assert (made.status, made.json["listen"], made.json["enabled"]) == (201, f"localhost:{port}", False)
    assert not can_connect(port)
    assert api("POST", "/proxies", {"name": "q", "upstream": "x:1", "listen": "bad", "enabled": False}).status == 201


def test_a10_a_proxy_goes_up_and_down(api: Api) -> None:
    port = free_port()
    api.make(listen=f"localhost:{port}", enabled=False)

    for enabled in (True, False, False):
        shown = api("PATCH", "/proxies/p", {"enabled": enabled})
        assert (shown.status, shown.json["listen"]) == (200, f"{LOOP}:{port}")
        assert shown.json["enabled"] is can_connect(port) is enabled


def test_a11_a_name_is_taken_until_its_proxy_is_deleted(api: Api) -> None:
    api.make()

    for listen in (f"{LOOP}:0", "bad"):
        assert refusal(api, "POST", "/proxies", GOOD | {"listen": listen}) == (409, "proxy already exists")
    api("DELETE", "/proxies/p")
    assert api("POST", "/proxies", GOOD).status == 201


def test_a12_a_port_is_taken_until_its_proxy_is_deleted(api: Api) -> None:
    listen = api.make("first")["listen"]

    taken = f"listen tcp {listen}: bind: address already in use"
    assert refusal(api, "POST", "/proxies", GOOD | {"listen": listen}) == (500, taken)
    assert list(api("GET", "/proxies").json) == ["first"]
    api("DELETE", "/proxies/first")
    assert api.make(listen=listen)["listen"] == listen


def test_a13_a_proxy_is_shown_as_it_was_made(api: Api) -> None:
    made = api.make()

    shown = api("GET", "/proxies/p")
    assert (shown.status, shown.json) == (200, made)


def test_a14_an_unknown_proxy_is_a_404(api: Api) -> None:
    assert refusal(api, "GET", "/proxies/q") == (404, "proxy not found")
    assert refusal(api, "GET", "/proxies/q/toxics") == (404, "proxy not found")
    assert refusal(api, "POST", "/proxies/q/toxics", b"") == (404, "proxy not found")


def test_a15_a_deleted_proxy_is_gone(api: Api) -> None:
    port = port_of(api.make())

    deleted = api("DELETE", "/proxies/p")
    assert (deleted.status, deleted.raw) == (204, b"")
    assert not can_connect(port)
    assert api("GET", "/proxies").json == {}
    assert refusal(api, "DELETE", "/proxies/p") == (404, "proxy not found")


def test_a16_the_list_shows_proxies_and_their_toxics(api: Api) -> None:
    made = {name: api.make(name) for name in ("b", "a", "B")}
    api.toxic("latency", proxy="a", latency=5)
    made["a"]["toxics"] = api("GET", "/proxies/a/toxics").json

    shown = api("GET", "/proxies").json
    assert shown == made
    assert list(shown) == ["B", "a", "b"]


@pytest.mark.parametrize("body", [b"{}", b"null", b'{"enabled":null,"listen":null,"upstream":null}'])
def test_a17_an_empty_update_changes_nothing(api: Api, body: bytes) -> None:
    made = api.make()

    updated = api("PATCH", "/proxies/p", body)
    assert (updated.status, updated.json) == (200, made)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a18_post_and_patch_update_alike(api: Api, method: str) -> None:
    made = api.make()

    updated = api(method, "/proxies/p", {"upstream": "elsewhere:1"})
    assert (updated.status, updated.json) == (200, made | {"upstream": "elsewhere:1"})


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a19_an_update_of_nothing_is_a_404(api: Api, method: str) -> None:
    for body in ({}, b""):
        assert refusal(api, method, "/proxies/q", body) == (404, "proxy not found")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a20_an_update_renames_nothing(api: Api, method: str) -> None:
    made = api.make()

    assert api(method, "/proxies/p", {"name": "other"}).json == made
    assert list(api("GET", "/proxies").json) == ["p"]


@pytest.mark.parametrize("listen", [f"{LOOP}:0", "localhost:0", f"{LOOP}:"])
def test_a21_port_0_becomes_a_real_port(api: Api, listen: str) -> None:
    made = api.make(listen=listen)

    assert made["listen"].startswith(f"{LOOP}:")
    assert can_connect(port_of(made))


def test_a22_an_empty_listen_means_every_address_of_both_families(api: Api) -> None:
    # Without a network but the loopback, so that nobody else can reach the port.
    found = alone.run("real" if api.kind == "real" else "embedded")

    for listen in ("", ":0", "0.0.0.0:0", "[::]:0"):
        shown, over_4, over_6 = found[listen]
        assert re.fullmatch(r"\[::\]:[1-9]\d+", shown)
        assert (over_4, over_6) == (True, True)


def test_a23_unknown_keys_are_ignored(api: Api) -> None:
    made = api("POST", "/proxies", GOOD | {"toxics": [{"type": "noop"}], "ttl": 5})

    assert (made.status, made.json["toxics"]) == (201, [])
    assert "ttl" not in made.json


def test_a24_keys_match_in_any_case(api: Api) -> None:
    body = {"NAME": "p", "Upstream": "x:1", "lIsten": f"{LOOP}:0", "up\u017ftream": "y:2"}

    made = api("POST", "/proxies", json.dumps(body, ensure_ascii=False).encode() + b" and more text")
    assert (made.status, made.json["name"], made.json["upstream"]) == (201, "p", "y:2")


@pytest.mark.parametrize(("name", "path"), [("a b", "a%20b"), ("é%", "%C3%A9%25"), ("a+b", "a+b")])
def test_a55_names_with_spaces_and_the_like_are_addressable(api: Api, name: str, path: str) -> None:
    api.make(name)
    api.toxic("noop", proxy=path, name=f"t {name}")

    assert api("GET", f"/proxies/{path}/toxics/t%20{path}").json["name"] == f"t {name}"
    assert api("DELETE", f"/proxies/{path}/toxics/t%20{path}").status == 204
    assert api("DELETE", f"/proxies/{path}").status == 204
