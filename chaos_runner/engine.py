"""Runs one plan: the only module where order matters.

The order is the safety argument: a durable run, a guardian that answers, a steady state that was measured; then for
each fault intent, arm, inject, read back; and whatever happens, undo, verify, and only then write it down.
"""

from __future__ import annotations

from chaos_runner import coming_out, ending, going_in, opening
from chaos_runner.clock import nursery
from chaos_runner.course import Course, Open, Setting
from chaos_runner.model import PauseStep
from chaos_runner.plan import Plan, Refusal
from chaos_runner.records import Outcome


class Engine:
    """One run of one plan."""

    def __init__(self, plan: Plan, run_id: str, setting: Setting) -> None:
        self.course = Course(plan, run_id, setting)

    async def run(self) -> Outcome:
        """Steps 4 to 9 of a run. Raises Refusal when nothing was started; its record is written then.

        Any other exception is our bug: everything is undone before it travels on.
        """
        course = self.course
        course.journal = course.setting.begin(course.setting.started)  # durable from here on
        try:
            await opening.start_guardian(course)
            async with opening.measuring(course) as first:
                await opening.hold_baseline(course, first)
                for index in range(len(course.experiment.method)):
                    if not await self._step(index):
                        break
                await ending.await_alerts(course)
                await ending.last_samples(course)
            return ending.end(course)
        except Refusal as why:
            ending.not_started(course, str(why))
            raise
        except BaseException as bug:
            ending.broken_by(course, bug)
            raise
        finally:
            await ending.leave(course)

    async def _step(self, index: int) -> bool:
        """One entry of `method`, its undo and its recovery; False when the run is to end."""
        course = self.course
        step = course.experiment.method[index]
        if isinstance(step, PauseStep):
            return await ending.pause(course, index, step.pause)
        if not going_in.may_begin(course, index):
            return False
        opened: list[Open] = []
        try:
            async with nursery() as attending:
                await going_in.inject_all(course, index, opened, attending)
                await going_in.hold(course, opened, attending)
                attending.cancel_scope.cancel()
        finally:
            await coming_out.undo(course, opened)
        coming_out.write_down(course)
        recovered = await ending.recover(course, index)
        for one in opened:
            ending.confirm_effect(course, one)
        return recovered and course.well


__all__ = ["Engine", "Setting"]
