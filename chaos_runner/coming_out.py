"""Step 8 of a run: everything that is open is reverted and verified; only then is it written down.

Whatever happened before, and whatever goes wrong here with one fault, no other one waits for it.
"""

from __future__ import annotations

import functools
import math

import anyio

from chaos_runner import records
from chaos_runner.clock import nursery
from chaos_runner.course import Course, Open

UNDO_PATIENCE_S = 60.0


async def undo(course: Course, opened: list[Open]) -> None:
    """Reverts and verifies what is open. Nothing cuts it short: not a second Ctrl-C, not a bug of the ticks."""
    left = [one for one in opened if one.drive.life.open]
    if not left:
        return
    _close_windows(course, left)
    with anyio.CancelScope(shield=True):
        async with nursery() as group:
            for one in left:
                group.start_soon(one.attendance.keep_lease)
            lanes = [functools.partial(_shielded, lane) for lane in _lanes(left)]
            await course.loop.while_doing(*lanes)
            group.cancel_scope.cancel()
    course.raise_bugs()


async def undo_early(course: Course, over: list[Open]) -> None:
    """As `undo`, for lanes that are over while others are held: beside the ticks, and cut off by whatever stops them.

    What was cut off `undo` does again.
    """
    _close_windows(course, over)
    async with nursery() as group:
        for lane in _lanes(over):
            group.start_soon(_undo_lane, lane)
    left = [one for one in over if one.left]
    if left:
        course.stop("doubt", f"{left[0].planned.target.key}: the undo does not succeed: {left[0].drive.life.why}")


def write_down(course: Course) -> None:
    """What had to wait for the reverts: the reason to stop, and the samples."""
    stop = course.loop.stop
    if stop is not None and course.tripped is None:
        course.tripped = records.AbortTripped(
            stopped_by=stop.stopped_by, why=stop.why, decided_t=stop.decided_t, check=stop.check, clause=stop.clause
        )
        course.journal.try_note(course.tripped)
        if stop.stopped_by == "guardian":
            course.journal.try_note(records.GuardianLost(stop.why))
    course.loop.flush()
    course.loop.watch = None
    course.loop.expires_t = math.inf


def _close_windows(course: Course, opened: list[Open]) -> None:
    course.done += [one for one in opened if one not in course.done]
    now = course.loop.now()
    for one in opened:
        one.attendance.end()
        if one.window is None:
            begun = one.drive.injected_t
            one.window = range(math.ceil(now if begun is None else begun), math.floor(now))


def _lanes(opened: list[Open]) -> list[list[Open]]:
    """Last-in first-out within one target, targets beside each other."""
    lanes: dict[str, list[Open]] = {}
    for one in reversed(opened):
        lanes.setdefault(one.planned.target.key, []).append(one)
    return list(lanes.values())


async def _shielded(lane: list[Open]) -> None:
    with anyio.CancelScope(shield=True):
        await _undo_lane(lane)


async def _undo_lane(lane: list[Open]) -> None:
    for one in (one for one in lane if one.drive.life.open):
        one.drive.replaced, one.drive.replaced_t = one.attendance.replaced, one.attendance.replaced_t
        await one.drive.undo(patience_s=UNDO_PATIENCE_S)
    for one in lane:
        one.drive.tell()
