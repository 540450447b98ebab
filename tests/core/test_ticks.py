"""The control loop and its clock: on time, woken by people, never blind while it waits for something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from chaos_runner.clock import Clock, nursery
from chaos_runner.records import Sample
from chaos_runner.ticks import LATE_S, Interrupts, Loop
from tests.engine.kit import virtually


class Quiet:
    def __init__(self) -> None:
        self.beats: list[float] = []

    def take(self) -> list[Sample]:
        return []

    async def beat(self) -> None:
        self.beats.append(anyio.current_time())


def loop(source: Quiet, **options: Any) -> Loop:
    given: dict[str, Any] = {
        "interrupts": Interrupts(), "lever": lambda: "", "watchdog": None, "deadline_t": 1e9,
        "show": lambda _status: None,
    }  # fmt: skip
    return Loop(Clock(), source, lambda _samples: None, **(given | options))


def test_a_tick_is_a_second_whatever_a_tick_costs() -> None:
    async def go() -> list[float]:
        source = Quiet()
        ticking = loop(source)

        async def slow() -> None:
            source.beats.append(anyio.current_time())
            await anyio.sleep(0.4)

        source.beat = slow
        await ticking.until(5)
        return source.beats

    assert virtually(go) == [1, 2, 3, 4, 5]


def test_it_ends_at_the_moment_and_not_at_the_next_tick() -> None:
    async def go() -> float:
        await loop(Quiet()).until(2.25)
        return anyio.current_time()

    assert virtually(go) == pytest.approx(2.25)


@pytest.mark.parametrize("t", [0.0, 0.3, 0.999])
def test_a_person_wakes_it(t: float) -> None:
    async def go() -> tuple[float, str]:
        interrupts = Interrupts()
        ticking = loop(Quiet(), interrupts=interrupts)
        async with nursery() as group:

            async def ask() -> None:
                await anyio.sleep(t)
                interrupts.ask("me")

            group.start_soon(ask)
            await ticking.until(100)
        assert ticking.stop is not None
        return anyio.current_time(), ticking.stop.stopped_by

    assert virtually(go) == (pytest.approx(t), "person")


def test_after_the_first_word_it_neither_spins_nor_sleeps_on() -> None:
    async def go() -> int:
        source, interrupts = Quiet(), Interrupts()
        ticking = loop(source, interrupts=interrupts)
        interrupts.ask("me")
        await ticking.until(10, through=True)
        return len(source.beats)

    assert virtually(go) == 10


def test_it_ticks_while_work_is_done_and_ends_with_the_last_of_it() -> None:
    async def go() -> tuple[float, int]:
        source = Quiet()
        await loop(source).while_doing(lambda: anyio.sleep(2.5), lambda: anyio.sleep(4.5))
        return anyio.current_time(), len(source.beats)

    assert virtually(go) == (pytest.approx(4.5), 5)


def test_no_work_takes_no_time() -> None:
    async def go() -> float:
        await loop(Quiet()).while_doing()
        return anyio.current_time()

    assert virtually(go) == 0


def test_work_that_fails_fails_as_itself() -> None:
    async def go() -> None:
        async def fail() -> None:
            raise ZeroDivisionError

        await loop(Quiet()).while_doing(fail, lambda: anyio.sleep(100))

    with pytest.raises(ZeroDivisionError):
        virtually(go)


@pytest.mark.parametrize(("options", "why"), [
    ({"lever": lambda: "pulled"}, "lever"),
    ({"deadline_t": 3.0}, "deadline"),
])  # fmt: skip
def test_the_gate_asks_afresh(options: dict[str, Any], why: str) -> None:
    async def go() -> str:
        ticking = loop(Quiet(), **options)
        await anyio.sleep(3.5)
        stop = ticking.gate()
        assert stop is not None
        return stop.stopped_by

    assert virtually(go) == why


def test_a_faults_time_is_over_a_tick_after_its_hold_would_have_ended() -> None:
    async def go() -> float:
        ticking = loop(Quiet())
        ticking.expires_t = 5.0
        await ticking.until(100)
        assert ticking.stop is not None
        return ticking.stop.decided_t

    assert virtually(go) == 5.0 + LATE_S


def test_the_first_reason_stays() -> None:
    async def go() -> list[str]:
        words = iter(["one", "two", "three"])
        lever: Callable[[], str] = lambda: next(words)  # noqa: E731
        ticking = loop(Quiet(), lever=lever)
        await ticking.until(3, through=True)
        assert ticking.stop is not None
        return [ticking.stop.why]

    assert virtually(go) == ["one"]


def test_a_clock_that_began_before_says_so() -> None:
    async def go() -> float:
        return Clock(ago_s=100.0).now()

    assert virtually(go) == pytest.approx(100.0)


def test_waiting_ends_with_the_first_event() -> None:
    async def go() -> float:
        never, soon = anyio.Event(), anyio.Event()
        async with nursery() as group:

            async def set_soon() -> None:
                await anyio.sleep(0.5)
                soon.set()

            group.start_soon(set_soon)
            await Clock().until(10, never, soon)
        return anyio.current_time()

    assert virtually(go) == pytest.approx(0.5)
