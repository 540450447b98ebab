"""Every record is a sentence in the past tense, the same in the terminal and in the report."""

from __future__ import annotations

import typing

import pytest

from chaos_runner import records
from chaos_runner.records import Entry, Target
from chaos_runner.render import words
from tests.render.conftest import rendered
from tests.render.tree import Page
from tools.sample_history import HISTORIES

TARGET = Target("proxy/payments")
EVERY: tuple[tuple[records.AnyRecord, str], ...] = (
    (records.RunStarted({}, {}, "ada"), "Run r started by ada"),
    (records.GuardianReady(7, ("http://a", "http://b")), "Guardian ready (pid 7): it can read http://a and http://b"),
    (records.GuardianLost("silent for 5 s"), "Guardian lost: silent for 5 s"),
    (records.PhaseBegan("fault", 0), "Fault window began (step 1)"),
    (records.BaselineHeld((("a", "b", 1, 0, 0),)), "Baseline held: 1 clause ok"),
    (records.NotStarted("not started: a lever is set"), "Nothing was injected: a lever is set"),
    (
        records.IntentCommitted("f", TARGET, "toxic", 0, "toxic:downstream:latency", {}),
        "Undo of toxic on proxy/payments written to the ledger; nothing sent yet",
    ),
    (records.FaultInjected("f", 0.12), "Injected toxic on proxy/payments, read back after 120 ms"),
    (
        records.FaultUncertain("f", "timeout"),
        "Uncertain whether toxic on proxy/payments landed, so it counts as injected: timeout",
    ),
    (
        records.FaultRefused("f", "409"),
        "Target refused toxic on proxy/payments, and a read showed nothing there: 409",
    ),
    (
        records.FaultConfirmed("f", "exchange", "ping took 400 ms"),
        "Effect of toxic on proxy/payments confirmed (by a measured exchange): ping took 400 ms",
    ),
    (records.FaultUnconfirmed("f", "no traffic"), "Effect of toxic on proxy/payments not confirmed: no traffic"),
    (
        records.FaultAbsent("f", "restarted"),
        "Found toxic on proxy/payments gone or changed in the middle of its window: restarted",
    ),
    (records.AbortTripped("lever", "pulled", 9.5), "Stop decided at 00:09.500 by a halt lever: pulled"),
    (records.UndoBegan("f", 61.5, "guardian"), "Undo of toxic on proxy/payments sent at 01:01.500 by the guardian"),
    (records.UndoFailed("f", "refused", 2), "Undo of toxic on proxy/payments failed, attempt 2: refused"),
    (
        records.FaultReverted("f", 61.0, drift="jitter"),
        "Reverted toxic on proxy/payments, read back as gone at 01:01.000, by the runner; "
        "changes by others left alone: jitter",
    ),
    (
        records.FaultReverted("f", 61.0, verified=False),
        "Reverted toxic on proxy/payments, gone by the target's word, not verified at 01:01.000, by the runner",
    ),
    (records.ActivityBegan("method", 0, "slow", background=True), "The method's slow began in the background"),
    (
        records.ActivityEnded("rollbacks", 0, {"activity": {"name": "undo"}, "status": "succeeded"}),
        "The rollback undo: succeeded",
    ),
    (
        records.ActivityEnded("after", 0, {"activity": {"name": "p"}, "status": "failed", "tolerance_met": False}),
        "After, the hypothesis' probe p: failed, NOT as tolerated",
    ),
    (
        records.FaultWatched("f", 3.0),
        "Watching toxic on proxy/payments for 3 s: a late request may still land",
    ),
    (records.FaultClosed("f"), "Closed toxic on proxy/payments: nothing of it is left"),
    (records.FaultSpent("f", "pod/b", 4.2), "Over: toxic on proxy/payments; pod/b took its place after 4.20 s"),
    (records.FaultSpent("f", ""), "Over: toxic on proxy/payments; nothing took its place"),
    (records.FaultStuck("f", "refused"), "NOT REVERTED: toxic on proxy/payments: refused"),
    (records.FaultForgotten("f", "box is gone", "Ada"), "Ada gave up on toxic on proxy/payments: box is gone"),
    (records.RecoveryMeasured(True, 7.25), "Steady again 7.25 s after the fault"),
    (records.RecoveryMeasured(False, 60.0, why="slow"), "Not steady again within 1 min: slow"),
    (records.Evidence("f", "counters", {"b": 2.0, "a": 1.5}), "Measured beside the checks, counters: a 1.5, b 2"),
    (
        records.AlertSeen("Slow", "Slow", {"alertname": "Slow", "job": "shop"}, "firing", 61.5),
        "Alert Slow fired, since 01:01.5: job=shop",
    ),
    (
        records.AlertSeen("a=b", "Slow", {"alertname": "Slow"}, "suppressed", 1.0, "silence 7"),
        "Alert Slow fired and was suppressed by silence 7, since 00:01.0: no other labels",
    ),
    (records.AlertGone("Slow", "Slow", {"alertname": "Slow"}), "Alert Slow was no longer there: no other labels"),
    (
        records.AlertsUnheard("no answer within 4 s"),
        "From here on nobody could tell that an alert does not fire: no answer within 4 s",
    ),
    (records.AlertsHeard(3), "Alerts heard: the always-on alert was there"),
    (records.Noted("Ada", "tea"), "Ada noted: tea"),
    (
        records.RunEnded(records.Outcome("HELD", "nothing", "CLEAN")),
        "Run ended by the runner: finding HELD, stopped by nothing, clean-up CLEAN",
    ),
)


def test_every_record_has_its_sentence() -> None:
    told = words.sentences([Entry("r", n, 0.0, 0.0, one) for n, (one, _) in enumerate(EVERY)])

    assert told == [sentence for _, sentence in EVERY]


def test_no_record_is_forgotten_here() -> None:
    assert {type(one) for one, _ in EVERY} == set(typing.get_args(records.AnyRecord))


@pytest.mark.parametrize(
    ("kind", "table"),
    [(records.StoppedBy, words.STOPPED), (records.Phase, words.PHASES)],
)
def test_every_word_of_a_record_has_a_word_for_people(kind: typing.Any, table: dict[str, str]) -> None:
    assert set(typing.get_args(kind)) == set(table)


def test_a_single_record_goes_by_the_id_of_its_fault() -> None:
    assert (
        words.sentence(Entry("r", 0, 0.0, 0.0, records.FaultClosed("f7"))) == "Closed fault f7: nothing of it is left"
    )


def test_a_sentence_is_one_line_of_bounded_length() -> None:
    told = words.sentence(Entry("r", 0, 0.0, 0.0, records.Noted("a\nb", "x\x1b[2J" * 999)))

    assert "\n" not in told
    assert "\x1b" not in told
    assert len(told) <= 600


def test_the_timeline_has_things_in_the_order_they_happened() -> None:
    """A stop is written down only after the undo was sent; readers want the decision first."""
    shown = " ".join("".join(Page(rendered(HISTORIES["aborted"]())).text).split("Since start")[1].split())

    assert (
        shown.index("Stop decided at 00:44.012") < shown.index("sent at 00:44.020") < shown.index("gone at 00:44.164")
    )
