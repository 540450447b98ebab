"""Protobuf is read as far as it is known, and refused from there on; it is never read wrongly in silence."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_runner.pocket.cluster.api import protobuf
from tests.pocket.cluster.kit import Desk


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value)]) + value


def body(kind: str, raw: bytes, version: str = "v1") -> bytes:
    about = field(1, version.encode()) + field(2, kind.encode())
    return protobuf.MAGIC + field(1, about) + field(2, raw) + field(3, b"") + field(4, b"")


NAMED = field(1, field(1, b"x") + field(2, b"") + field(8, b""))


def test_a_message_is_read_into_what_json_would_have_said() -> None:
    labels = field(11, field(1, b"a") + field(2, b"b"))
    found = protobuf.decoded(body("Namespace", field(1, field(1, b"x") + labels) + field(2, b"")))

    assert found == {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "x", "labels": {"a": "b"}}}


@pytest.mark.parametrize(
    ("bound", "value"), [(field(1, 0) + field(2, 2) + field(3, b""), 2), (field(1, 1) + field(3, b"50%"), "50%")]
)
def test_a_number_or_a_share_is_told_apart(bound: bytes, value: object) -> None:
    found = protobuf.decoded(body("PodDisruptionBudget", NAMED + field(2, field(1, bound)), "policy/v1"))

    assert found["spec"]["minAvailable"] == value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"k8s\x00",
        b"{}",
        body("Pod", NAMED),
        body("Namespace", NAMED + field(9, b"something")),
        body("Namespace", NAMED + field(3, field(1, b"Active"))),
        body("Namespace", NAMED)[:-20],
    ],
)
def test_what_is_not_known_is_refused_and_not_ignored(raw: bytes) -> None:
    with pytest.raises(protobuf.Unreadable):
        protobuf.decoded(raw)


@given(st.binary(max_size=80))
def test_no_bytes_do_anything_worse(raw: bytes) -> None:
    for whole in (protobuf.MAGIC + raw, body("Deployment", raw[:60])):
        with contextlib.suppress(protobuf.Unreadable):
            protobuf.decoded(whole)


def test_what_is_nested_without_end_is_refused() -> None:
    raw = b""
    while len(raw) < 120:
        raw = field(3, raw)

    with pytest.raises(protobuf.Unreadable):
        protobuf.decoded(body("Namespace", raw))


def test_the_server_says_that_it_wants_json_then(desk: Desk) -> None:
    known = desk.post("/api/v1/namespaces", body("Namespace", NAMED), media=protobuf.MEDIA)
    unknown = desk.post("/api/v1/namespaces/lab/pods", body("Pod", NAMED), media=protobuf.MEDIA)

    assert (known.status, known.value["metadata"]["name"]) == (201, "x")
    assert unknown.status == 415
