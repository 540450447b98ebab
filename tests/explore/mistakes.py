"""Mistakes, each planted into the rules of the program, and the smallest scene in which it must be found.

A mistake is a rule that is left out, or a `step` that wraps the real one; nothing of the program is patched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from chaos_runner import lifecycle
from chaos_runner.lifecycle import Command, Event, Life, Step
from tests.explore.scenes import PLAIN, THEIRS, TOXIC
from tests.explore.world import Rules, Scene

Mutant = Callable[[Life, Event], Step]


class Mistake(NamedTuple):
    """What was left out, where it shows, and which law it breaks (the first word of what is found)."""

    scene: Scene
    rules: Rules
    breaks: str


def _everywhere(step: Mutant) -> Rules:
    return Rules(step=step, orphan_step=step)


def effect_before_intent(life: Life, event: Event) -> Step:
    if isinstance(event, lifecycle.Began):
        return msgspec.structs.replace(life, state="INTENT", sent=True), (lifecycle.Inject(),)
    return lifecycle.step(life, event)


def no_arm(life: Life, event: Event) -> Step:
    after, commands = lifecycle.step(life, event)
    return (
        lifecycle.step(after, lifecycle.GuardianArmed()) if lifecycle.ArmGuardian() in commands else (after, commands)
    )


def no_fence(life: Life, event: Event) -> Step:
    if isinstance(event, lifecycle.Reverted) and life.state in {"UNDOING", "STUCK"}:
        return life, (lifecycle.Observe(),)
    return lifecycle.step(life, event)


def no_verify(life: Life, event: Event) -> Step:
    after, commands = lifecycle.step(life, event)
    undoing = life.state in {"UNDOING", "STUCK"} and lifecycle.Observe() in commands
    return lifecycle.step(after, lifecycle.Seen("absent")) if undoing else (after, commands)


def no_watch(life: Life, event: Event) -> Step:
    if isinstance(event, lifecycle.Seen) and life.state in {"UNDOING", "STUCK"}:
        life = msgspec.structs.replace(life, certain=True)
    return lifecycle.step(life, event)


def early_disarm(life: Life, event: Event) -> Step:
    after, commands = lifecycle.step(life, event)
    if isinstance(event, lifecycle.UndoAsked) and lifecycle.Revert() in commands:
        return after, (lifecycle.Disarm(), *commands)
    return after, commands


def resumes(life: Life, event: Event) -> Step:
    """Recovery that takes up where the runner stopped, as a workflow engine would."""
    if isinstance(event, lifecycle.UndoAsked) and event.orphaned:
        return msgspec.structs.replace(life, state="INTENT", sent=True), (lifecycle.Inject(),)
    return lifecycle.step(life, event)


def sends_again(life: Life, event: Event) -> Step:
    if isinstance(event, lifecycle.Doubted) and not life.answer:
        again: tuple[Command, ...] = (lifecycle.Inject(),)
        return msgspec.structs.replace(life, answer="denied"), again
    return lifecycle.step(life, event)


def trusts_a_doubt(life: Life, event: Event) -> Step:
    """An answer that did not come counts as certain, so that nothing is fenced and nothing watched."""
    after, commands = lifecycle.step(life, event)
    return msgspec.structs.replace(after, certain=True), commands


_ONE = Scene("one toxic", (TOXIC,), deaths=1, late=1, lost=0)
_PLAIN = Scene("one fault that cannot be fenced", (PLAIN,), deaths=1, late=1, lost=0)
_LIAR = _PLAIN._replace(title="a target that says yes and does nothing", deaths=0, late=0, lost=1)
_UNSEEN = Scene("a runner that recovery does not see", (TOXIC,), deaths=0, late=0, lost=0, stranger="unseen")
_MISJUDGED = _UNSEEN._replace(title="a runner that recovery takes for dead", stranger="misjudged")
_RIVALS = Scene("two runners want one place", (TOXIC, THEIRS), deaths=0, late=0, lost=0)
_HELD = Scene("one toxic, two requests are held", (TOXIC,), deaths=0, late=2, lost=0)
_LEASE = Scene("the embedded proxy and its lease", (TOXIC,), deaths=1, late=1, lost=0, lease=True)

MISTAKES: dict[str, Mistake] = {
    "effect-before-intent": Mistake(_ONE, _everywhere(effect_before_intent), "I1"),
    "no-arm": Mistake(_ONE, _everywhere(no_arm), "I9"),
    "disarm-before-closed": Mistake(_ONE, _everywhere(early_disarm), "I9"),
    "no-fence": Mistake(_ONE, _everywhere(no_fence), "F"),
    "no-verify": Mistake(_LIAR, _everywhere(no_verify), "I9"),
    "no-watch": Mistake(_PLAIN, _everywhere(no_watch), "I9"),
    "doubt-is-certain": Mistake(_ONE, _everywhere(trusts_a_doubt), "I9"),
    "sends-twice": Mistake(_ONE, _everywhere(sends_again), "a fault was sent twice"),
    "undo-not-shielded": Mistake(_ONE, Rules(shielded=False), "I4"),
    "no-epoch-check": Mistake(_UNSEEN, Rules(asserts_epoch=False), "I2"),
    "recovery-keeps-the-epoch": Mistake(_UNSEEN, Rules(recovery_bumps=False), "I2"),
    "recovery-lets-the-owner-live": Mistake(_MISJUDGED, Rules(recovery_kills=False), "I1"),
    "recovery-resumes": Mistake(_ONE, Rules(orphan_step=resumes), "I11"),
    "guardian-lets-the-runner-live": Mistake(_ONE, Rules(guardian_kills=False), "I2"),
    "two-faults-at-one-place": Mistake(_RIVALS, Rules(one_per_aspect=False), "I3"),
    # These three were in the program until they were found here.
    "recovery-dies-before-it-kills": Mistake(_MISJUDGED._replace(deaths=1), Rules(kills_before_it_bumps=False), "I1"),
    "relieved-by-who-does-not-look": Mistake(
        _HELD, Rules(relieved_by_a_takeover=True, undoes_what_is_watched=True), "I4"
    ),
    "fenced-for-want-of-a-lease": Mistake(_LEASE, Rules(fence_needs_lease=False), "F"),
}
