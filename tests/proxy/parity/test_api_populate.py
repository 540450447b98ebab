"""A28-A37: many proxies at once, and everything back to the beginning."""

from __future__ import annotations

from tests.proxy.parity.kit import GOOD
from tests.proxy.toxi import LOOP, Answer, Api, can_connect, free_port, port_of


def populate(api: Api, *proxies: dict[str, object]) -> Answer:
    return api("POST", "/populate", list(proxies))


def made(answer: Answer) -> list[tuple[str, bool]]:
    return [(proxy["name"], proxy["enabled"]) for proxy in answer.json["proxies"]]


def test_a28_populate_makes_all_in_order(api: Api) -> None:
    answer = populate(api, {**GOOD, "name": "z", "enabled": True}, {**GOOD, "name": "a", "enabled": True})

    assert (answer.status, made(answer)) == (201, [("z", True), ("a", True)])
    assert answer.headers["Content-Type"] == "application/json"
    assert all(can_connect(port_of(proxy)) for proxy in answer.json["proxies"])


def test_a29_populate_starts_what_does_not_say_otherwise(api: Api) -> None:
    answer = populate(api, GOOD)

    assert made(answer) == [("p", True)]
    assert can_connect(port_of(answer.json["proxies"][0]))


def test_a30_populate_leaves_a_disabled_proxy_down(api: Api) -> None:
    port = free_port()
    answer = populate(api, GOOD, {**GOOD, "name": "down", "listen": f"{LOOP}:{port}", "enabled": False})

    assert made(answer) == [("p", True), ("down", False)]
    assert not can_connect(port)
    assert populate(api, {**GOOD, "name": "odd", "listen": "bad", "enabled": False}).status == 201


def test_a31_populate_keeps_what_is_the_same_and_replaces_what_differs(api: Api) -> None:
    same = {**GOOD, "listen": f"localhost:{free_port()}"}
    populate(api, same)
    api.toxic("noop")

    for again in (same, same | {"listen": str(same["listen"]).replace("localhost", LOOP)}):
        assert made(populate(api, again)) == [("p", True)]
        assert len(api("GET", "/proxies/p/toxics").json) == 1
    populate(api, {**same, "upstream": "elsewhere:1"})
    shown = api("GET", "/proxies/p").json
    assert (shown["upstream"], shown["toxics"]) == ("elsewhere:1", [])


def test_a32_populate_checks_all_before_it_makes_any(api: Api) -> None:
    for field in ("name", "upstream"):
        answer = populate(api, GOOD, {**GOOD, "name": "q", field: ""})

        words = f"missing required field: {field} at proxy 2"
        assert (answer.status, answer.json) == (400, {"error": words, "status": 400, "proxies": None})
        assert answer.headers["Content-Type"] == "application/json"
        assert api("GET", "/proxies").json == {}


def test_a33_populate_stops_at_the_first_that_cannot_listen(api: Api) -> None:
    bad = {**GOOD, "name": "bad", "listen": "bad"}

    answer = populate(api, GOOD, bad, {**GOOD, "name": "last"})
    assert (answer.status, answer.error) == (500, "listen tcp: address bad: missing port in address")
    assert made(answer) == [("p", True)]
    assert list(api("GET", "/proxies").json) == ["p"]
    assert populate(api, bad).json["proxies"] is None


def test_a34_a_populated_proxy_takes_toxics(api: Api) -> None:
    populate(api, GOOD)

    assert api.toxic("latency", latency=5) == "latency_downstream"
    assert len(api("GET", "/proxies/p/toxics").json) == 1


def test_a35_populate_leaves_an_unchanged_proxy_as_it_is(api: Api) -> None:
    same = {**GOOD, "listen": f"{LOOP}:{free_port()}"}
    populate(api, same)

    assert made(populate(api, same | {"enabled": False})) == [("p", True)]
    api("PATCH", "/proxies/p", {"enabled": False})
    assert made(populate(api, same | {"enabled": True})) == [("p", False)]


def test_a36_populating_nothing_answers_null(api: Api) -> None:
    for body in (b"[]", b"null"):
        answer = api("POST", "/populate", body)
        assert (answer.status, answer.raw.strip()) == (201, b'{"proxies":null}')


def test_a37_reset_starts_all_and_removes_all_toxics(api: Api) -> None:
    api.make("a")
    api.make("b", enabled=False)
    for name in ("a", "b"):
        api.toxic("latency", proxy=name)
        api.toxic("noop", "upstream", proxy=name)

    answer = api("POST", "/reset")
    assert (answer.status, answer.raw) == (204, b"")
    shown = api("GET", "/proxies").json
    assert {name: (proxy["enabled"], proxy["toxics"]) for name, proxy in shown.items()} == {
        "a": (True, []), "b": (True, []),
    }  # fmt: skip
    assert all(can_connect(port_of(proxy)) for proxy in shown.values())
