"""Steps 4 and 5 of a run: a guardian that answers, and a steady state that was measured. Injects nothing.

What goes wrong here is a Refusal: nothing was started.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import AsyncIterator, Iterator

from chaos_runner import judge, records
from chaos_runner.api import Doubt, Refused
from chaos_runner.course import Course
from chaos_runner.detection import Detection
from chaos_runner.drive import JournalError
from chaos_runner.listening import Listening
from chaos_runner.plan import BASELINE_TIMES, Refusal
from chaos_runner.sampling import Sampling
from chaos_runner.ticks import Loop

GRACE_S = 60.0  # beyond the worst case of the plan, for everything that takes time around it


async def start_guardian(course: Course) -> None:
    """Returns once the guardian has answered READY. Raises Refusal."""
    guard = course.setting.guard
    if guard is None:
        return
    try:
        ready = await guard.start()
    except Doubt as why:
        raise Refusal(f"not started: {why}") from None
    with _durably():
        course.journal.note(records.GuardianReady(pid=ready.pid, reads=ready.reads))


@contextlib.asynccontextmanager
async def measuring(course: Course) -> AsyncIterator[int]:
    """All checks are read until left; the value is the first tick that is measured. Raises Refusal."""
    setting = course.setting
    course.sampling = Sampling(course.experiment.steady_state, setting.probes, setting.env, setting.clock)
    course.loop = Loop(
        setting.clock,
        course.sampling,
        course.journal.add_samples,
        interrupts=setting.interrupts,
        lever=setting.lever,
        watchdog=setting.guard,
        deadline_t=setting.clock.now() + course.plan.worst_case_s + GRACE_S,
        show=course.show,
    )
    async with contextlib.AsyncExitStack() as stack:
        try:
            first = await stack.enter_async_context(course.sampling.running())
            await _listen(course, stack)
        except (Refused, Doubt) as why:
            raise Refusal(f"not started: {why}") from None
        yield first


async def _listen(course: Course, stack: contextlib.AsyncExitStack) -> None:
    """Listens to alerts until the stack is left, where the experiment names some."""
    setting, named, always_on = course.setting, course.experiment.alerts, course.plan.connections.always_on
    if named is None or always_on is None or setting.alerts is None:
        return
    course.detection = Detection(named, always_on)
    listening = Listening(setting.alerts, course.detection, setting.env, setting.clock, course.hear)
    await stack.enter_async_context(listening.running())


async def hold_baseline(course: Course, first: int) -> None:
    """The steady state must be steady, by the very rules that will judge the fault. Raises Refusal."""
    loop, rules = course.loop, course.setting.rules
    with _durably():
        course.phase("baseline")
    course.baseline = await _measured(course, first, math.ceil(course.experiment.baseline))
    answer = judge.gate(rules, loop.samples, course.baseline, course.experiment.abort.error_budget)
    if isinstance(answer, judge.Closed):
        raise Refusal(f"not started: {answer.why}")
    if course.detection is not None and (why := course.detection.against(loop.now())):
        raise Refusal(f"not started: {why}")
    with _durably():
        course.journal.note(records.BaselineHeld(clauses=answer.clauses))


async def _measured(course: Course, first: int, length: int) -> range:
    """The baseline's ticks; up to twice as many as asked for when a stutter left too few of them measured.

    It only grows: what was measured counts, good or bad, so that waiting cannot choose a better baseline.
    """
    loop, rules = course.loop, course.setting.rules
    for end in range(first + length, first + BASELINE_TIMES * length + 1):
        await loop.until(end)
        await loop.until(end + course.lag_s + 2, enough=functools.partial(_all_in, course, end))
        if loop.stop is not None:
            raise Refusal(f"not started: {loop.stop.why}")
        if not judge.stuttered(rules, loop.samples, range(first, end)):
            break
    return range(first, end)


def _all_in(course: Course, end: int) -> bool:
    """Whether every clause's last sample before `end` has come."""
    seen: dict[tuple[str, int], int] = {}
    for sample in course.loop.samples:
        for count in sample.counts:
            key = (sample.check, count.clause)
            seen[key] = max(seen.get(key, 0), sample.tick)
    return all(seen.get(rule.key, 0) >= end - math.ceil(rule.every) for rule in course.setting.rules)


@contextlib.contextmanager
def _durably() -> Iterator[None]:
    try:
        yield
    except JournalError as why:
        raise Refusal(f"not started: the store cannot be written: {why}") from None
