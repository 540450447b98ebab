"""What happens beside the control loop while a fault is held: its lease, its effect, and whether it is still there."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import anyio
import pytest

from chaos_runner.api import LEASE_TTL_S, Absent, Doubt, Drifted, Env, Observation, Refused, Undo
from chaos_runner.attend import CALL_S, EVERY_S, LOOK_EVERY, Attendance
from chaos_runner.clock import nursery
from chaos_runner.model import Confirmation
from chaos_runner.testing import FINE, HANGS, LOST_REPLY, REFUSED, FakeFault, FakeKill, FakeWorld, PlainFault, Reply
from chaos_runner.testing import slow as slowly
from tests.engine.kit import travels, virtually

READ_BACK = (Confirmation(text="read-back"),)
READS: tuple[Any, ...] = ("observe", "effect")


class Held:
    """A fault that is on its target and attended to."""

    def __init__(self, world: FakeWorld, fault: Any = None, confirm: tuple[Confirmation, ...] = ()) -> None:
        self.world = world
        self.fault: Any = fault or FakeFault()
        self.told: list[tuple[float, str]] = []
        self.env = world.env()
        self.confirm = confirm
        self.later: list[tuple[float, Callable[[], object]]] = []

    def at(self, t: float, deed: Callable[[], object]) -> None:
        self.later.append((t, deed))

    def silent(self, since: float, until: float) -> None:
        """Every answer is lost for a while, but what was asked for is done."""
        for operation in ("observe", "effect", "lease"):
            self.at(since, lambda one=operation: self.world.always(one, LOST_REPLY))  # type: ignore[misc]
            self.at(until, lambda one=operation: self.world.always(one, FINE))  # type: ignore[misc]

    async def prepared(self) -> Attendance:
        undo = await self.fault.prepare(self.env, self.world.targets[0], "cx.r1.0.99")
        self.undo: Undo = undo
        return Attendance("r1.0", self.fault, self.env, undo, self.confirm, anyio.current_time)

    async def injected(self) -> Attendance:
        one = await self.prepared()
        await one.measure_before()
        await one.lease()
        await self.fault.inject(self.env, self.undo)
        return one

    def hold(self, seconds: float) -> Attendance:
        """Holds it so long, then ends as an undo does."""

        async def held() -> Attendance:
            one = await self.injected()
            async with nursery() as group:
                for t, deed in self.later:
                    group.start_soon(self._later, t, deed)
                group.start_soon(one.keep, lambda why: self.told.append((anyio.current_time(), why)))
                await anyio.sleep(seconds)
                one.end()
            return one

        return virtually(held)

    async def _later(self, t: float, deed: Callable[[], object]) -> None:
        await anyio.sleep(t)
        deed()

    def vanish(self) -> None:
        self.world.harm.clear()

    def times(self, operation: str) -> list[float]:
        return [t for t, asked, _key in self.world.asked if asked == operation]


def held(fault: Any = None, confirm: tuple[Confirmation, ...] = (), **options: bool) -> Held:
    return Held(FakeWorld(**options), fault, confirm)


# --- the lease ---------------------------------------------------------------------------------------------------


def test_a_lease_is_renewed_each_second_however_long_reads_take() -> None:
    one = held(leases=True)
    for operation in READS:
        one.world.always(operation, HANGS)
    one.hold(30.0)
    renewed = one.times("lease")

    assert max(b - a for a, b in itertools.pairwise(renewed)) == pytest.approx(EVERY_S)
    assert one.world.harm


def test_a_renewal_that_hangs_is_given_up_before_the_lease_lapses() -> None:
    one = held(leases=True)
    one.world.will("lease", FINE, FINE, FINE, HANGS)
    attended = one.hold(20.0)
    renewed = one.times("lease")

    assert max(b - a for a, b in itertools.pairwise(renewed)) == pytest.approx(CALL_S + EVERY_S)
    assert one.world.harm and attended.effect.absent == ""


def test_a_target_without_leases_is_asked_once() -> None:
    one = held()
    attended = one.hold(10.0)

    assert not attended.leased
    assert one.times("lease") == []


def test_a_lease_is_renewed_while_the_fault_is_being_undone() -> None:
    one = held(leases=True)

    async def undone() -> bool:
        attended = await one.injected()
        attended.end()
        async with nursery() as group:
            group.start_soon(attended.keep_lease)
            await anyio.sleep(3 * LEASE_TTL_S)
            group.cancel_scope.cancel()
        return one.world.broken

    assert virtually(undone)


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (HANGS, Doubt, "no answer within 2.4 s"),
        (REFUSED, Refused, "as scripted"),
        (LOST_REPLY, Doubt, "the reply was lost"),
    ],
)
def test_a_lease_that_is_not_granted_is_an_error_within_its_limit(
    reply: Reply, error: type[Exception], words: str
) -> None:
    one = held(leases=True)
    one.world.will("lease", reply)

    async def leased() -> None:
        attended = await one.prepared()
        with pytest.raises(error, match=words):
            await attended.lease()
        assert not attended.leased
        assert anyio.current_time() <= CALL_S

    virtually(leased)


class Releasing(FakeFault, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fault whose lease is hard to give back."""

    released: ClassVar[list[float]] = []
    answer: ClassVar[Callable[[], Awaitable[None]]]

    async def release(self, env: Env, undo: Undo) -> None:
        self.released.append(anyio.current_time())
        await type(self).answer()


async def _refuses() -> None:
    raise Refused("no")


async def _doubts() -> None:
    raise Doubt("lost")


@pytest.mark.parametrize("answer", [_refuses, _doubts, anyio.sleep_forever, anyio.lowlevel.checkpoint])
def test_giving_a_lease_back_is_tried_once_and_never_fails(answer: Callable[[], Awaitable[None]]) -> None:
    Releasing.released.clear()
    Releasing.answer = staticmethod(answer)  # type: ignore[assignment]
    one = held(Releasing(), leases=True)

    async def released() -> float:
        attended = await one.injected()
        await attended.release()
        return anyio.current_time()

    assert virtually(released) <= CALL_S
    assert len(Releasing.released) == 1


def test_what_was_never_leased_is_not_given_back() -> None:
    Releasing.released.clear()
    one = held(Releasing())

    async def released() -> None:
        await (await one.injected()).release()

    virtually(released)
    assert Releasing.released == []


# --- silence -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leases", "seconds", "lost"), [(True, 3.0, False), (True, 7.0, True), (False, 7.0, False), (False, 13.0, True)]
)
@pytest.mark.parametrize("answers_again", [True, False])
def test_silence_longer_than_a_lease_lives_counts_as_absence(
    leases: bool, seconds: float, lost: bool, answers_again: bool
) -> None:
    one = held(leases=leases)
    one.silent(4.0, 4.0 + seconds if answers_again else 99.0)
    attended = one.hold(30.0 if answers_again else 4.0 + seconds)

    assert ("the target did not answer for" in attended.effect.absent) == lost
    assert one.world.harm


def test_silence_is_told_by_nobody_but_the_finding() -> None:
    """It may still be there: the run goes on, and comes out as unknown."""
    one = held(leases=True)
    one.silent(4.0, 14.0)
    one.hold(30.0)

    assert one.told == []


def test_silence_while_undoing_says_nothing_about_the_fault() -> None:
    one = held(leases=True)

    async def undone() -> str:
        attended = await one.injected()
        async with nursery() as group:
            group.start_soon(attended.keep, print)
            await anyio.sleep(3.0)
            attended.end()
            one.world.will("lease", *[LOST_REPLY] * 15)
            group.start_soon(attended.keep_lease)
            await anyio.sleep(30.0)
            group.cancel_scope.cancel()
        attended.end()
        return attended.effect.absent

    assert virtually(undone) == ""


# --- still there? ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leases", [True, False])
def test_a_fault_that_is_gone_is_told_once(leases: bool) -> None:
    one = held(leases=leases)
    one.at(5.5, one.vanish)
    attended = one.hold(30.0)
    ((t, why),) = one.told

    assert why == attended.effect.absent == "it was gone"
    assert 5.5 < t <= 5.5 + LOOK_EVERY * EVERY_S
    assert one.times("observe")[-1] == t


class Changed(FakeFault, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fault that somebody changes at second 5."""

    seen: ClassVar[Observation]

    async def observe(self, env: Env, undo: Undo) -> Observation:
        return self.seen if anyio.current_time() >= 5 else await super().observe(env, undo)


@pytest.mark.parametrize("seen", [Drifted("its toxicity is 0.1"), Absent("its toxicity is 0.1")])
def test_a_fault_that_somebody_changed_is_told_once_and_how(seen: Observation) -> None:
    Changed.seen = seen
    one = held(Changed())
    attended = one.hold(30.0)

    assert [why for _t, why in one.told] == ["its toxicity is 0.1"]
    assert attended.effect.absent == "its toxicity is 0.1"


@pytest.mark.parametrize("reply", [HANGS, REFUSED, LOST_REPLY])
def test_a_target_that_cannot_be_read_is_not_a_fault_that_is_gone(reply: Reply) -> None:
    one = held()
    one.world.will("observe", reply)
    attended = one.hold(12.0)

    assert one.told == []
    assert attended.effect.absent == ""


def test_after_the_end_nothing_is_judged_and_nothing_is_waited_for() -> None:
    one = held()
    for operation in READS:
        one.world.always(operation, HANGS)

    async def ended() -> float:
        attended = await one.injected()
        async with nursery() as group:
            group.start_soon(attended.keep, lambda why: one.told.append((anyio.current_time(), why)))
            await anyio.sleep(1.5)
            attended.end()
            one.vanish()
        return anyio.current_time()

    assert virtually(ended) == pytest.approx(1.5)
    assert one.told == []


def test_a_bug_in_a_read_is_not_swallowed() -> None:
    one = held()
    one.world.always("observe", Reply(error="bug"))

    with travels(RuntimeError, "as scripted"):
        one.hold(10.0)


# --- the effect --------------------------------------------------------------------------------------------------


def test_an_effect_is_shown_from_the_moment_it_was_first_seen() -> None:
    one = held(traffic=False)
    one.at(5.5, lambda: setattr(one.world, "traffic", True))
    attended = one.hold(20.0)

    assert attended.effect.shown_t == pytest.approx(6.0)
    assert attended.effect.evidence == "1 stream was affected"
    assert attended.figures == {"affected": 1.0}


def test_an_effect_once_shown_stays_shown() -> None:
    one = held()
    one.at(5.5, lambda: setattr(one.world, "traffic", False))

    assert one.hold(20.0).effect.shown_t == pytest.approx(1.0)


@pytest.mark.parametrize("reply", [HANGS, REFUSED, LOST_REPLY])
def test_an_effect_that_cannot_be_read_is_asked_for_again(reply: Reply) -> None:
    one = held()
    one.world.will("effect", reply, reply)
    attended = one.hold(20.0)

    assert attended.effect.shown_t is not None
    assert attended.effect.shown_t < 2 * (CALL_S + EVERY_S) + 2 * EVERY_S


def test_what_the_author_confirms_by_checks_is_not_measured() -> None:
    one = held(confirm=READ_BACK)
    attended = one.hold(10.0)

    assert one.times("effect") == []
    assert attended.effect.before == {}


def test_a_fault_that_measures_nothing_is_only_looked_at() -> None:
    one = held(PlainFault())
    attended = one.hold(10.0)

    assert not attended.effect.able
    assert one.times("effect") == [] and one.times("observe")


class Blind(FakeFault, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fault that cannot read what was before."""

    answer: ClassVar[Callable[[], Awaitable[Any]]]

    async def before(self, env: Env, undo: Undo) -> dict[str, float]:
        await type(self).answer()
        return {}


@pytest.mark.parametrize("answer", [_refuses, _doubts, anyio.sleep_forever])
def test_without_figures_from_before_nothing_is_proven(answer: Callable[[], Awaitable[Any]]) -> None:
    Blind.answer = staticmethod(answer)  # type: ignore[assignment]
    one = held(Blind())
    attended = one.hold(10.0)

    assert not attended.effect.able
    assert one.times("effect") == []
    assert one.times("inject") and one.times("inject")[0] <= CALL_S + EVERY_S


# --- what takes its place ----------------------------------------------------------------------------------------


class Counted(FakeKill, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A kill that counts how often it is asked; the first answer never comes."""

    asked: ClassVar[list[float]] = []

    async def replaced(self, env: Env, undo: Undo) -> str:
        self.asked.append(anyio.current_time())
        if len(self.asked) == 1:
            await anyio.sleep_forever()
        return await super().replaced(env, undo)


def test_a_replacement_is_seen_once_and_a_hanging_read_does_not_hide_it() -> None:
    Counted.asked.clear()
    attended = held(Counted(replaced_after=5.0)).hold(30.0)

    assert attended.replaced == "fake/one again"
    assert 5.0 <= Counted.asked[-1] <= 5.0 + CALL_S + EVERY_S
    assert attended.replaced_within is None


def test_what_nothing_replaces_is_not_replaced() -> None:
    assert held(FakeKill(replaced_after=60.0)).hold(30.0).replaced == ""


def test_slow_answers_are_answers() -> None:
    one = held(leases=True)
    for operation in ("observe", "effect", "lease"):
        one.world.always(operation, slowly(CALL_S - 0.1))
    attended = one.hold(40.0)

    assert attended.effect.absent == "" and attended.effect.shown_t is not None
    assert one.told == [] and one.world.harm
