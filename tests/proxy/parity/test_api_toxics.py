"""A38-A54: toxics made, shown, changed and removed."""

from __future__ import annotations

import pytest

from tests.proxy.parity.kit import STREAMS, refusal
from tests.proxy.toxi import Api

DEFAULTS: dict[str, dict[str, int]] = {
    "latency": {"latency": 0, "jitter": 0},
    "bandwidth": {"rate": 0},
    "slow_close": {"delay": 0},
    "timeout": {"timeout": 0},
    "reset_peer": {"timeout": 0},
    "slicer": {"average_size": 9, "size_variation": 0, "delay": 0},
    "limit_data": {"bytes": 0},
    "noop": {},
}
TOXICS = "/proxies/p/toxics"


@pytest.fixture(autouse=True)
def p(api: Api) -> None:
    api.make()


def names(api: Api) -> list[str]:
    return [toxic["name"] for toxic in api("GET", TOXICS).json]


def test_a38_no_toxics_are_an_empty_array(api: Api) -> None:
    answer = api("GET", TOXICS)

    assert (answer.status, answer.raw.strip()) == (200, b"[]")


def test_a39_a_toxic_is_shown_as_it_was_made(api: Api) -> None:
    asked = {"attributes": {"latency": 7, "jitter": 3}, "name": "t", "type": "latency", "stream": "upstream"}

    made = api("POST", TOXICS, asked | {"toxicity": 0.5})
    assert (made.status, made.json) == (200, asked | {"toxicity": 0.5})
    assert list(made.json) == ["attributes", "name", "type", "stream", "toxicity"]
    assert api("GET", TOXICS).json == [made.json]
    assert api("GET", f"{TOXICS}/t").json == made.json
    assert api("GET", "/proxies/p").json["toxics"] == [made.json]


@pytest.mark.parametrize("more", [{}, {"name": "", "attributes": None, "toxicity": None, "stream": None}])
def test_a40_all_but_the_type_has_a_default(api: Api, more: dict[str, object]) -> None:
    made = api("POST", TOXICS, {"type": "latency"} | more).json

    assert made == {
        "attributes": {"latency": 0, "jitter": 0}, "name": "latency_downstream", "type": "latency",
        "stream": "downstream", "toxicity": 1,
    }  # fmt: skip


def test_a41_two_of_one_type_need_two_names(api: Api) -> None:
    assert [api.toxic("latency", name="a"), api.toxic("latency", name="b")] == ["a", "b"]
    assert names(api) == ["a", "b"]


def test_a42_a_name_is_taken_whatever_the_type(api: Api) -> None:
    api.toxic("latency", name="t", latency=5)
    before = api("GET", TOXICS).json

    assert refusal(api, "POST", TOXICS, {"type": "noop", "name": "t"}) == (409, "toxic already exists")
    assert api("GET", TOXICS).json == before


def test_a43_a_name_is_taken_on_both_streams(api: Api) -> None:
    api.toxic("latency", "upstream", name="t")

    asked = {"type": "latency", "name": "t", "stream": "downstream"}
    assert refusal(api, "POST", TOXICS, asked) == (409, "toxic already exists")


def test_a44_default_names_on_both_streams_live_together(api: Api) -> None:
    assert [api.toxic("latency", stream) for stream in STREAMS] == ["latency_upstream", "latency_downstream"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [(b"0.2", "0.2"), (b"0.333333333333", "0.33333334"), (b"5", "5"), (b"-1", "-1"), (b"1.0", "1"), (b"0", "0"),
     (b"0.1", "0.1"), (b"16777217", "16777216"), (b"123456789", "123456790")],
)  # fmt: skip
def test_a45_toxicity_is_a_32_bit_float(api: Api, given: bytes, shown: str) -> None:
    made = api("POST", TOXICS, b'{"type":"noop","toxicity":%s}' % given)

    assert made.raw.endswith(f'"toxicity":{shown}}}'.encode())
    assert api("POST", TOXICS, b'{"type":"noop","name":"t","toxicity":1e39}').status == 400


def test_a46_a_noop_is_a_toxic(api: Api) -> None:
    assert api("POST", TOXICS, {"type": "noop"}).json["attributes"] == {}
    assert names(api) == ["noop_downstream"]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a47_an_update_merges_attributes_and_renames_nothing(api: Api, method: str) -> None:
    api.toxic("latency", latency=100, jitter=10, toxicity=0.5)
    path = f"{TOXICS}/latency_downstream"

    merged = api(method, path, {"attributes": {"JITTER": 20}, "name": "x", "type": "noop", "stream": "upstream"})
    assert (merged.status, merged.json) == (200, {
        "attributes": {"latency": 100, "jitter": 20}, "name": "latency_downstream", "type": "latency",
        "stream": "downstream", "toxicity": 0.5,
    })  # fmt: skip
    assert api(method, path, {"toxicity": 0.25}).json["toxicity"] == 0.25
    assert api("GET", path).json["attributes"] == {"latency": 100, "jitter": 20}


def test_a48_a_removed_toxic_is_gone(api: Api) -> None:
    api.toxic("latency", name="t")

    gone = api("DELETE", f"{TOXICS}/t")
    assert (gone.status, gone.raw, names(api)) == (204, b"", [])
    for method, body in (("DELETE", None), ("GET", None), ("PATCH", {}), ("POST", {})):
        assert refusal(api, method, f"{TOXICS}/t", body) == (404, "toxic not found")


@pytest.mark.parametrize("stream", ["side", "", "upstream "])
def test_a49_there_are_two_streams(api: Api, stream: str) -> None:
    words = "stream was invalid, can be either upstream or downstream"
    assert refusal(api, "POST", TOXICS, {"type": "latency", "stream": stream}) == (400, words)
    assert refusal(api, "POST", TOXICS, {"type": "nonsense", "stream": stream}) == (400, words)


@pytest.mark.parametrize("kind", ["nonsense", "Latency", "", None])
def test_a50_an_unknown_type_is_refused(api: Api, kind: str | None) -> None:
    api.toxic("noop", name="t")

    assert refusal(api, "POST", TOXICS, {"type": kind, "name": "t"}) == (400, "invalid toxic type")


@pytest.mark.parametrize(
    "value", [b"100.0", b"1e3", b"1.5", b'"5"', b"true", b"[]", b"{}", b"9223372036854775808", b"-9223372036854775809"]
)
def test_a51_attributes_are_whole_numbers(api: Api, value: bytes) -> None:
    asked = api("POST", TOXICS, b'{"type":"latency","attributes":{"latency":%s}}' % value)

    assert asked.status == 400
    assert asked.error.startswith("bad request body: json: cannot unmarshal ")
    assert asked.error.endswith(" into Go struct field LatencyToxic.attributes.latency of type int64")
    assert names(api) == []


@pytest.mark.parametrize("kind", DEFAULTS)
def test_a52_each_type_shows_all_its_attributes(api: Api, kind: str) -> None:
    # A slicer of zeros, which brings the real server down with the next byte, is a law of its own: D1.
    asked = {"average_size": 9} if kind == "slicer" else {}

    made = api("POST", TOXICS, {"type": kind, "attributes": asked}).json
    assert list(made["attributes"].items()) == list(DEFAULTS[kind].items())


def test_a53_toxics_are_listed_upstream_first_in_order_of_creation(api: Api) -> None:
    for name, stream in (("d2", "downstream"), ("u2", "upstream"), ("d1", "downstream"), ("u1", "upstream")):
        api.toxic("latency", stream, name=name)
    api.patch("d2", attributes={"latency": 1})

    assert names(api) == ["u2", "u1", "d2", "d1"]


def test_a54_a_stream_in_capitals_is_taken_and_shown_as_given(api: Api) -> None:
    api.toxic("latency", "downstream")

    made = api("POST", TOXICS, {"type": "latency", "stream": "UPSTREAM"}).json
    assert (made["stream"], made["name"]) == ("UPSTREAM", "latency_UPSTREAM")
    assert names(api) == ["latency_UPSTREAM", "latency_downstream"]
