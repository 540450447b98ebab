"""The life of one fault as a pure machine: (life, event) -> (life, commands). No IO, no clock.

Events are what the ledger, the guardian, the target and the clock said; commands are what to do next. The engine,
the guardian and recovery all drive this one machine (`drive.py`) and decide nothing about a fault themselves.

    PLANNED -> INTENT -> INJECTED | UNKNOWN -> UNDOING -> UNDONE -> WATCHING -> CLOSED
    irreversible: INJECTED | UNKNOWN -> SPENT          any trouble while undoing: STUCK, still retried
"""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal[
    "PLANNED", "INTENT", "INJECTED", "UNKNOWN", "UNDOING", "UNDONE", "WATCHING", "CLOSED", "SPENT", "STUCK", "FORGOTTEN"
]
# Something may still be on the target. UNDONE is one: what was verified is not yet closed.
OPEN: frozenset[State] = frozenset({"INTENT", "INJECTED", "UNKNOWN", "UNDOING", "UNDONE", "WATCHING", "STUCK"})
OVER: frozenset[State] = frozenset({"CLOSED", "SPENT", "FORGOTTEN"})

# Twice the 25 s after which a Toxiproxy gives up on its own handler, and never below a minute.
WATCH_S = 60.0
WATCH_LOOKS_MAX = 4
_BACKOFF_S = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 15.0)


class Life(msgspec.Struct, frozen=True):
    """Where a fault is. `certain` means: its outcome is known and its sender can send no more.

    `sent` and `answer` say how far the injection came; `watch_s` is how long an uncertain fault is still watched.
    """

    state: State = "PLANNED"
    reversible: bool = True
    fences: bool = False
    certain: bool = True
    sent: bool = False
    answer: Literal["", "accepted", "denied"] = ""
    attempts: int = 0
    watch_s: float = WATCH_S
    why: str = ""

    @property
    def open(self) -> bool:
        """Whether something may still be on the target."""
        return self.state in OPEN


class Event(msgspec.Struct, frozen=True, tag=True):
    """Something that was learned; the tag is the class name."""


class Began(Event, frozen=True):
    """The engine wants this fault."""


class IntentSaved(Event, frozen=True):
    """The undo is durable."""


class IntentFailed(Event, frozen=True):
    """The undo could not be made durable."""

    why: str


class GuardianArmed(Event, frozen=True):
    """The guardian holds the row."""


class ArmFailed(Event, frozen=True):
    """The guardian did not answer."""

    why: str


class Accepted(Event, frozen=True):
    """The target accepted the fault."""


class Denied(Event, frozen=True):
    """The target refused it."""

    why: str


class Doubted(Event, frozen=True):
    """The reply is lost, late or not to be trusted."""

    why: str


class Seen(Event, frozen=True):
    """A fresh read of the target."""

    what: Literal["present", "absent", "drifted", "unreadable"]
    why: str = ""


class UndoAsked(Event, frozen=True):
    """The fault has to go; `orphaned` means that its sender died and may have left a request under way."""

    orphaned: bool = False


class Reverted(Event, frozen=True):
    """The revert request was answered well."""


class RevertFailed(Event, frozen=True):
    """A revert, or fence, request was not."""

    why: str


class Fenced(Event, frozen=True):
    """The name on the target is occupied."""


class Unfenced(Event, frozen=True):
    """The name is free again."""


class WatchOver(Event, frozen=True):
    """The watch period has passed."""


class RetryDue(Event, frozen=True):
    """The pause before the next attempt has passed."""


class PatienceOver(Event, frozen=True):
    """The undo has been failing for as long as its driver may keep quiet about it."""


class Command(msgspec.Struct, frozen=True, tag=True):
    """Something to do next; the tag is the class name."""


class SaveIntent(Command, frozen=True):
    """Commit the row with its undo, durably."""


class ArmGuardian(Command, frozen=True):
    """Send the row to the guardian and wait for its answer."""


class Inject(Command, frozen=True):
    """Send the fault, once."""


class Observe(Command, frozen=True):
    """Read the target."""


class Revert(Command, frozen=True):
    """Send the undo."""


class Fence(Command, frozen=True):
    """Occupy the name on the target."""


class Unfence(Command, frozen=True):
    """Give the name free."""


class Watch(Command, frozen=True):
    """Come back with WatchOver."""

    seconds: float


class Retry(Command, frozen=True):
    """Come back with RetryDue."""

    after_s: float


class Save(Command, frozen=True):
    """Write the new state down; best effort once undoing has begun."""

    state: State
    why: str = ""


class Disarm(Command, frozen=True):
    """The guardian may forget the row."""


class Shout(Command, frozen=True):
    """Tell people, loudly."""

    why: str


Step = tuple[Life, tuple[Command, ...]]


def step(life: Life, event: Event) -> Step:
    """The next life and what to do. An event that cannot happen here changes nothing: late answers are normal."""
    match event:
        case UndoAsked(orphaned):
            return _undo(life, orphaned)
        case PatienceOver() if life.state == "UNDOING":
            why = life.why or "the undo does not succeed"
            return _to(life, "STUCK", why=why), (Save("STUCK", why), Shout(why))
        case _ if life.state in {"PLANNED", "INTENT"}:
            return _going_in(life, event)
        case _ if life.state in {"UNDOING", "STUCK"}:
            return _coming_out(life, event)
        case _ if life.state == "WATCHING":
            return _watching(life, event)
        case _:
            return life, ()


def _to(life: Life, state: State, **changes: object) -> Life:
    return msgspec.structs.replace(life, state=state, **changes)


def _going_in(life: Life, event: Event) -> Step:
    if life.state == "PLANNED":
        return _before_intent(life, event)
    return _after_sending(life, event) if life.sent else _before_sending(life, event)


def _before_intent(life: Life, event: Event) -> Step:
    match event:
        case Began():
            return life, (SaveIntent(),)
        case IntentSaved():
            return _to(life, "INTENT"), (ArmGuardian(),)
        case IntentFailed(why):
            return _to(life, "PLANNED", why=why), ()
        case _:
            return life, ()


def _before_sending(life: Life, event: Event) -> Step:
    match event:
        case GuardianArmed():
            return _to(life, "INTENT", sent=True), (Inject(),)
        case ArmFailed(why):
            return _closed(life, why)
        case _:
            return life, ()


def _after_sending(life: Life, event: Event) -> Step:
    match event:
        case Accepted() if not life.answer:
            return _to(life, "INTENT", answer="accepted"), (Observe(),)
        case Denied(why) if not life.answer:
            return _to(life, "INTENT", answer="denied", why=why or "refused"), (Observe(),)
        case Doubted(why):
            return _unknown(life, why)
        case Seen(what, why) if life.answer:
            return _seen_going_in(life, what, why)
        case _:
            return life, ()


def _seen_going_in(life: Life, what: str, why: str) -> Step:
    if what == "present" and life.answer == "accepted":
        return _to(life, "INJECTED"), (Save("INJECTED"),)
    if what == "absent" and life.answer == "denied":
        return _closed(life, life.why)
    return _unknown(life, f"{life.why or 'accepted'}, but a read says {what}" + (f": {why}" if why else ""))


def _unknown(life: Life, why: str) -> Step:
    return _to(life, "UNKNOWN", certain=False, why=why), (Save("UNKNOWN", why),)


def _closed(life: Life, why: str = "") -> Step:
    return _to(life, "CLOSED", why=why), (Save("CLOSED", why), Disarm())


def _undo(life: Life, orphaned: bool) -> Step:
    if life.state not in OPEN:
        return life, ()
    if life.state == "WATCHING" and not orphaned:
        return life, (Watch(life.watch_s),)
    if not life.reversible:
        return _spent(life, orphaned)
    # An injection that was cut off before its answer came may still be under way.
    cut_off = life.state == "INTENT" and life.sent
    certain = life.certain and not orphaned and not cut_off
    return _to(life, "UNDOING", certain=certain, attempts=0), (Save("UNDOING"), Revert())


def _spent(life: Life, orphaned: bool) -> Step:
    if life.state == "INTENT" and not life.sent and not orphaned:
        return _closed(life, "never sent")
    return _to(life, "SPENT"), (Save("SPENT", life.why), Disarm())


def _coming_out(life: Life, event: Event) -> Step:
    match event:
        case Reverted():
            return life, ((Observe(),) if life.certain or not life.fences else (Fence(),))
        case Fenced():
            return life, (Observe(),)
        case RevertFailed(why):
            return _again(life, why)
        case Seen("absent", why):
            return _undone(life, why)
        case Seen(what, why):
            return _again(life, f"a read says {what}" + (f": {why}" if why else ""))
        case RetryDue():
            return life, (Revert(),)
        case _:
            return life, ()


def _again(life: Life, why: str) -> Step:
    pause = _BACKOFF_S[min(life.attempts, len(_BACKOFF_S) - 1)]
    return _to(life, life.state, attempts=life.attempts + 1, why=why), (Retry(pause),)


def _undone(life: Life, drift: str) -> Step:
    saved = Save("UNDONE", drift)
    if life.certain:
        return _to(life, "CLOSED", why=""), (saved, Save("CLOSED"), Disarm())
    return _to(life, "WATCHING", why="", attempts=0, watch_s=WATCH_S), (saved, Save("WATCHING"), Watch(WATCH_S))


def _watching(life: Life, event: Event) -> Step:
    match event:
        case WatchOver():
            return life, (Observe(),)
        case Seen("absent"):
            return (life, (Unfence(),)) if life.fences else _closed(life)
        case Seen("unreadable", why) | RevertFailed(why):
            return _look_again(life, why)
        case Seen(what, why):
            return _to(life, "UNDOING", why=f"came back: {what} {why}".strip()), (Save("UNDOING"), Revert())
        case Unfenced():
            return _closed(life)
        case _:
            return life, ()


def _look_again(life: Life, why: str) -> Step:
    """The fault was verified gone: a target that stays away is left to the next recovery, not waited for for ever."""
    if life.attempts >= WATCH_LOOKS_MAX:
        return _to(life, "WATCHING", why=why), ()
    return _to(life, "WATCHING", attempts=life.attempts + 1, why=why), (Watch(_BACKOFF_S[-1]),)
