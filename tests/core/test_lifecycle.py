"""The life of one fault: what each event does in each state, late answers included."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from chaos_runner.lifecycle import (
    OPEN,
    OVER,
    WATCH_S,
    Accepted,
    ArmFailed,
    ArmGuardian,
    Began,
    Denied,
    Disarm,
    Doubted,
    Event,
    Fence,
    Fenced,
    GuardianArmed,
    Inject,
    IntentFailed,
    IntentSaved,
    Life,
    Observe,
    PatienceOver,
    Retry,
    RetryDue,
    Revert,
    Reverted,
    RevertFailed,
    Save,
    SaveIntent,
    Seen,
    Shout,
    State,
    UndoAsked,
    Unfence,
    Unfenced,
    Watch,
    WatchOver,
    step,
)

PLANNED = Life(fences=True)
INTENT = Life("INTENT", fences=True)
SENT = Life("INTENT", fences=True, sent=True)
ACCEPTED = Life("INTENT", fences=True, sent=True, answer="accepted")
DENIED = Life("INTENT", fences=True, sent=True, answer="denied", why="no")
INJECTED = Life("INJECTED", fences=True, sent=True)
UNKNOWN = Life("UNKNOWN", fences=True, sent=True, certain=False)
UNDOING = Life("UNDOING", fences=True, sent=True)
UNSURE = Life("UNDOING", fences=True, sent=True, certain=False)
STUCK = Life("STUCK", fences=True, sent=True)
WATCHING = Life("WATCHING", fences=True, sent=True, certain=False)
CLOSED = Life("CLOSED")
SPENT = Life("SPENT", reversible=False)

TABLE: list[tuple[Life, Event, str, tuple[object, ...]]] = [
    (PLANNED, Began(), "PLANNED", (SaveIntent(),)),
    (PLANNED, IntentSaved(), "INTENT", (ArmGuardian(),)),
    (PLANNED, IntentFailed("full"), "PLANNED", ()),
    (INTENT, GuardianArmed(), "INTENT", (Inject(),)),
    (INTENT, ArmFailed("deaf"), "CLOSED", (Save("CLOSED", "deaf"), Disarm())),
    (SENT, Accepted(), "INTENT", (Observe(),)),
    (SENT, Denied("no"), "INTENT", (Observe(),)),
    (SENT, Doubted("lost"), "UNKNOWN", (Save("UNKNOWN", "lost"),)),
    (ACCEPTED, Seen("present"), "INJECTED", (Save("INJECTED"),)),
    (ACCEPTED, Seen("absent"), "UNKNOWN", (Save("UNKNOWN", "accepted, but a read says absent"),)),
    (ACCEPTED, Seen("drifted", "odd"), "UNKNOWN", (Save("UNKNOWN", "accepted, but a read says drifted: odd"),)),
    (ACCEPTED, Seen("unreadable"), "UNKNOWN", (Save("UNKNOWN", "accepted, but a read says unreadable"),)),
    (DENIED, Seen("absent"), "CLOSED", (Save("CLOSED", "no"), Disarm())),
    (DENIED, Seen("present"), "UNKNOWN", (Save("UNKNOWN", "no, but a read says present"),)),
    (DENIED, Seen("unreadable"), "UNKNOWN", (Save("UNKNOWN", "no, but a read says unreadable"),)),
    (INJECTED, UndoAsked(), "UNDOING", (Save("UNDOING"), Revert())),
    (UNKNOWN, UndoAsked(), "UNDOING", (Save("UNDOING"), Revert())),
    (INTENT, UndoAsked(), "UNDOING", (Save("UNDOING"), Revert())),
    (STUCK, UndoAsked(), "UNDOING", (Save("UNDOING"), Revert())),
    (WATCHING, UndoAsked(), "WATCHING", (Watch(WATCH_S),)),
    (WATCHING, UndoAsked(orphaned=True), "UNDOING", (Save("UNDOING"), Revert())),
    (UNDOING, Reverted(), "UNDOING", (Observe(),)),
    (UNSURE, Reverted(), "UNDOING", (Fence(),)),
    (UNSURE, Fenced(), "UNDOING", (Observe(),)),
    (UNDOING, RevertFailed("down"), "UNDOING", (Retry(0.1),)),
    (UNDOING, Seen("present"), "UNDOING", (Retry(0.1),)),
    (UNDOING, Seen("drifted"), "UNDOING", (Retry(0.1),)),
    (UNDOING, Seen("unreadable"), "UNDOING", (Retry(0.1),)),
    (UNDOING, RetryDue(), "UNDOING", (Revert(),)),
    (UNDOING, Seen("absent"), "CLOSED", (Save("UNDONE"), Save("CLOSED"), Disarm())),
    (UNSURE, Seen("absent"), "WATCHING", (Save("UNDONE"), Save("WATCHING"), Watch(WATCH_S))),
    (UNDOING, PatienceOver(), "STUCK",
     (Save("STUCK", "the undo does not succeed"), Shout("the undo does not succeed"))),
    (STUCK, RetryDue(), "STUCK", (Revert(),)),
    (STUCK, RevertFailed("down"), "STUCK", (Retry(0.1),)),
    (STUCK, Seen("absent"), "CLOSED", (Save("UNDONE"), Save("CLOSED"), Disarm())),
    (WATCHING, WatchOver(), "WATCHING", (Observe(),)),
    (WATCHING, Seen("absent"), "WATCHING", (Unfence(),)),
    (WATCHING, Unfenced(), "CLOSED", (Save("CLOSED"), Disarm())),
    (WATCHING, Seen("present"), "UNDOING", (Save("UNDOING"), Revert())),
    (WATCHING, Seen("drifted"), "UNDOING", (Save("UNDOING"), Revert())),
    (WATCHING, Seen("unreadable"), "WATCHING", (Watch(15.0),)),
    (msgspec.structs.replace(WATCHING, attempts=4), Seen("unreadable"), "WATCHING", ()),
    (WATCHING, RevertFailed("down"), "WATCHING", (Watch(15.0),)),
]  # fmt: skip


def name(row: tuple[Life, Event, str, tuple[object, ...]]) -> str:
    life, event = row[0], row[1]
    return f"{life.state}-{'sent-' * life.sent}{'unsure-' * (not life.certain)}{event}"


@pytest.mark.parametrize("row", TABLE, ids=name)
def test_what_an_event_does(row: tuple[Life, Event, str, tuple[object, ...]]) -> None:
    life, event, state, commands = row
    after, todo = step(life, event)

    assert (after.state, todo) == (state, commands)


EVENTS: tuple[Event, ...] = (
    Began(), IntentSaved(), IntentFailed("x"), GuardianArmed(), ArmFailed("x"), Accepted(), Denied("x"), Doubted("x"),
    Seen("present"), Seen("absent"), Seen("drifted"), Seen("unreadable"), UndoAsked(), UndoAsked(orphaned=True),
    Reverted(), RevertFailed("x"), Fenced(), Unfenced(), WatchOver(), RetryDue(), PatienceOver(),
)  # fmt: skip
LIVES = (
    PLANNED, INTENT, SENT, ACCEPTED, DENIED, INJECTED, UNKNOWN, UNDOING, UNSURE, STUCK, WATCHING, CLOSED, SPENT,
)  # fmt: skip


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.state)
def test_any_other_event_is_a_late_answer_and_changes_nothing(life: Life) -> None:
    told = {(repr(row[0]), repr(row[1])) for row in TABLE}
    surprises = {
        repr(event): step(life, event)
        for event in EVENTS
        if (repr(life), repr(event)) not in told and step(life, event) != (life, ())
    }
    expected = set()
    if life.state in OPEN:  # asking for the undo always has an answer
        expected = {repr(UndoAsked()), repr(UndoAsked(orphaned=True))}
    if life.state == "INTENT" and life.sent:
        expected |= {repr(Doubted("x"))}
    if life.state == "INTENT" and life.sent and not life.answer:
        expected |= {repr(Denied("x"))}
    if life.state == "INTENT" and life.answer:
        expected |= {repr(Seen(what)) for what in ("present", "absent", "drifted", "unreadable")}
    if life.state == "INTENT" and not life.sent:
        expected |= {repr(ArmFailed("x"))}
    if life.state == "PLANNED":
        expected |= {repr(IntentFailed("x"))}
    if life.state in {"UNDOING", "STUCK"}:
        expected |= {repr(e) for e in EVENTS if isinstance(e, Reverted | RevertFailed | Fenced | Seen | RetryDue)}
        expected |= {repr(PatienceOver())}
    if life.state == "WATCHING":
        expected |= {repr(RevertFailed("x"))}
    assert surprises.keys() <= expected


def test_an_irreversible_fault_ends_spent() -> None:
    for life in (INJECTED, UNKNOWN, SENT):
        after, todo = step(msgspec.structs.replace(life, reversible=False), UndoAsked())
        assert after.state == "SPENT"
        assert Revert() not in todo


def test_an_irreversible_fault_that_was_never_sent_is_closed_and_not_spent() -> None:
    after, _todo = step(Life("INTENT", reversible=False), UndoAsked())

    assert after.state == "CLOSED"


def test_an_orphan_may_have_been_sent_whatever_its_row_says() -> None:
    assert step(Life("INTENT", reversible=False), UndoAsked(orphaned=True))[0].state == "SPENT"
    assert not step(INTENT, UndoAsked(orphaned=True))[0].certain


def test_an_injection_that_was_cut_off_is_uncertain() -> None:
    assert not step(SENT, UndoAsked())[0].certain
    assert step(INTENT, UndoAsked())[0].certain


def test_the_pauses_between_tries_grow_to_fifteen_seconds() -> None:
    life, pauses = UNDOING, []
    for _ in range(10):
        life, (retry,) = step(life, RevertFailed("down"))
        assert isinstance(retry, Retry)
        pauses.append(retry.after_s)

    assert pauses == sorted(pauses)
    assert pauses[-1] == 15.0


def test_every_state_is_open_over_or_not_begun() -> None:
    assert set(get_args(State)) == OPEN | OVER | {"PLANNED"}
    assert not OPEN & OVER
