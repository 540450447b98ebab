"""A digest says what the report says, and nothing that the records do not hold."""

from __future__ import annotations

import msgspec
import pytest

from chaos_runner.history import fold
from chaos_runner.records import Entry, RunStarted
from chaos_runner.render import digested, measured, planned, story, tables, windows
from chaos_runner.review import digest
from chaos_runner.review.classes import class_of
from chaos_runner.review.digest import Digest
from tests.review.kit import of
from tools.sample_history import HISTORIES, History


@pytest.mark.parametrize("name", HISTORIES)
def test_latencies_are_those_of_the_report(name: str) -> None:
    history = HISTORIES[name]()
    run = fold(history.entries)
    spans = windows.spans(run, history.entries, history.samples)
    ticks = measured.gathered(history.samples)["shoppers"]
    before = measured.pooled(ticks, lambda tick: spans.before is not None and spans.before.holds(tick))
    during = measured.pooled(ticks, spans.during)
    found = digest.figures(of(history), "shoppers")

    assert found is not None
    for side, cell in enumerate((before, during)):
        assert found.median[side] == pytest.approx(tables.quantile(cell, 0.5))
        assert found.p95[side] == pytest.approx(tables.quantile(cell, 0.95))
        assert found.replies[side] == sum(cell.histogram.values())
        share = cell.bad_share(0)
        assert found.success[side] == (None if share is None else pytest.approx(1 - share))


@pytest.mark.parametrize("name", HISTORIES)
def test_the_verdict_is_that_of_the_report(name: str) -> None:
    history = HISTORIES[name]()
    run = fold(history.entries)
    found = of(history)

    assert found.word == story.headline(run)
    assert found.halt_s == story.halt_latency(run)
    assert (found.run, found.started_at) == (run.id, run.started_at)
    assert planned.read(run).service == found.service == "checkout"


@pytest.mark.parametrize("name", HISTORIES)
def test_a_digest_comes_back_from_its_bytes(name: str) -> None:
    found = of(HISTORIES[name]())

    assert digest.decoded(digest.encoded(found)) == found
    assert len(digest.encoded(found)) < 2000
    assert digest.decoded(digest.encoded(found)[:-1]) is None


def test_what_was_not_measured_is_none_and_never_zero() -> None:
    found = of(HISTORIES["not_started"]())
    assert (found.harmed, found.recovery_s, found.halt_s, found.decision_s) == (None, None, None, None)
    shoppers = digest.figures(found, "shoppers")
    assert shoppers is not None
    assert (shoppers.p95[1], shoppers.success[1], shoppers.shift) == (None, None, None)
    assert digest.decoded(b'{"run":"r","started_at":1.0}') == Digest(run="r", started_at=1.0)


def test_harm_is_counted_from_the_injection_to_the_end() -> None:
    history = HISTORIES["aborted"]()
    bad = [sum(one.bad for one in s.counts if one.clause == 1) for s in history.samples if s.check == "shoppers"]

    assert of(history).harmed == sum(bad[29:])


@pytest.mark.parametrize("name", ["held", "aborted", "crashed"])
def test_half_a_history_has_a_digest(name: str) -> None:
    history = HISTORIES[name]()
    for n in range(len(history.entries)):
        assert of(History(history.entries[:n], history.samples)).run == (history.entries[0].run if n else "")


def test_only_what_was_shown_to_take_effect_in_a_run_that_came_to_a_finding_is_covered() -> None:
    assert of(HISTORIES["held"]()).covers == ("slow-dependency",)
    assert of(HISTORIES["aborted"]()).covers == ("slow-dependency",)
    assert of(HISTORIES["lever"]()).covers == ()
    assert of(HISTORIES["unknown"]()).covers == ()
    assert of(HISTORIES["not_started"]()).covers == ()


def _replanned(change: str, to: object) -> digest.Identity:
    history = HISTORIES["held"]()
    first = history.entries[0]
    assert isinstance(first.record, RunStarted)
    plan = msgspec.json.decode(msgspec.json.encode(first.record.plan))
    at = plan
    *way, last = change.split("/")
    for step in way:
        at = at[int(step) if step.isdigit() else step]
    assert last in at
    at[last] = to
    record = msgspec.structs.replace(first.record, plan=plan)
    entries: list[Entry] = [msgspec.structs.replace(first, record=record), *history.entries[1:]]
    return digested.of(fold(entries), entries, history.samples).identity


@pytest.mark.parametrize(
    ("change", "to", "parts"),
    [
        ("experiment/abort/violated_for", 31.0, {"plan"}),
        ("experiment/method/0/for", 31.0, {"plan"}),
        ("experiment/steady_state/shoppers/with/rate", 41, {"load"}),
        ("experiment/steady_state/shoppers/expect/0/text", "success >= 98%", {"clauses"}),
        ("connections/services/shop", "https://other.stg", {"environment"}),
        ("environment", "production", {"environment"}),
        ("seed", 7, set()),
        ("experiment/title", "Another title", set()),
        ("experiment/hypothesis", "Another one", set()),
    ],
)
def test_an_identity_changes_with_its_own_part_alone(change: str, to: object, parts: set[str]) -> None:
    usual, other = of(HISTORIES["held"]()).identity, _replanned(change, to)

    assert {name for name in usual.__struct_fields__ if getattr(usual, name) != getattr(other, name)} == parts


def test_a_port_on_loopback_is_no_part_of_an_environment() -> None:
    assert _replanned("connections/services/shop", "http://127.0.0.1:4001") == _replanned(
        "connections/services/shop", "http://127.0.0.1:39123"
    )


def test_a_failure_class_follows_from_the_kind_and_a_plugins_kind_is_its_own() -> None:
    assert class_of("toxic", "toxic:downstream:latency") == class_of("http_delay", "toxic:http_delay")
    assert class_of("toxic", "toxic:upstream:timeout") == "hang"
    assert class_of("dns_wrong", "anything") == "dns-wrong"
    assert class_of("toxic", "toxic:downstream:odd_one") == "toxic-odd-one"
    assert class_of("noop", "file:x") == ""
