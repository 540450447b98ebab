"""Step 6 of a run: intent durable, guardian armed, then the fault, once; and step 7: held until its time is over.

Raises nothing for trouble: what goes wrong is a doubt or a reason to stop, and `coming_out` follows in any case.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import anyio
import msgspec
from anyio.abc import TaskGroup

from chaos_runner import coming_out, judge, records
from chaos_runner.api import Bounded, Doubt, Fault, Refused, Undo
from chaos_runner.attend import Attendance
from chaos_runner.course import Course, Open
from chaos_runner.drive import Drive, JournalError
from chaos_runner.plan import PlannedFault
from chaos_runner.store import FaultRow

PREPARE_S = 10.0


def may_begin(course: Course, index: int) -> bool:
    """Whether this step may inject; a store that cannot be written forbids it."""
    try:
        course.phase("fault", index)
    except JournalError as why:
        course.stop("doubt", f"the store cannot be written: {why}")
    return course.well


async def inject_all(course: Course, index: int, opened: list[Open], attending: TaskGroup) -> None:
    """One target at a time; the first doubt ends it. What was opened is attended to in the group."""
    for planned in (fault for fault in course.plan.faults if fault.step == index):
        if course.loop.gate() is not None:
            return
        one = await _prepared(course, planned)
        if one is None:
            return
        opened.append(one)
        await course.loop.while_doing(functools.partial(_inject, course, one, opened))
        if not one.held:
            return
        attending.start_soon(one.attendance.keep, _gone(course, one))


async def hold(course: Course, opened: list[Open], attending: TaskGroup) -> None:
    """Until each lane's time is over, or the first reason to stop. A lane that is over is undone beside the others."""
    held = [one for one in opened if one.held]
    while held and course.well:
        await course.loop.until(min(one.ends_t for one in held))
        over = [one for one in held if one.ends_t <= course.loop.now() and not _extended(course, one)]
        held = [one for one in held if one not in over]
        if over and held and course.well:
            attending.start_soon(coming_out.undo_early, course, over)


def _extended(course: Course, one: Open) -> bool:
    """What is killed is watched until something took its place, for as long as that may take."""
    attendance, injected = one.attendance, one.drive.injected_t
    if injected is None or attendance.replaced_within is None or attendance.replaced:
        return False
    late = injected + attendance.replaced_within
    one.ends_t = min(course.loop.now() + 1, late)
    if course.loop.now() < late:
        return True
    key = one.planned.target.key
    course.deviations.append(f"{key}: nothing took its place within {attendance.replaced_within:g}s")
    return False


def _gone(course: Course, one: Open) -> Callable[[str], None]:
    def gone(why: str) -> None:
        course.journal.try_note(records.FaultAbsent(fault=one.drive.row.id, why=why))

    return gone


async def _prepared(course: Course, planned: PlannedFault) -> Open | None:
    """The fault ready to be sent; None with a doubt when it cannot be."""
    setting = course.setting
    fault: Fault = msgspec.convert(planned.params, setting.faults[planned.kind])
    mark = f"cx.{course.run_id}.{planned.n}.{int(_expiry(course))}"
    undo: Undo | None = None

    async def prepare() -> None:
        nonlocal undo
        try:
            with anyio.fail_after(PREPARE_S):
                await _room(course, fault, planned)
                undo = await fault.prepare(setting.env, planned.target, mark)
        except (Refused, Doubt, TimeoutError) as why:
            course.doubts.append(
                f"not injected: {planned.target.key}: {str(why) or f'no answer within {PREPARE_S:g} s'}"
            )

    await course.loop.while_doing(prepare)
    if undo is None or course.loop.stop is not None:
        return None
    row = _row(course, planned, undo)
    return Open(
        planned=planned,
        drive=Drive(row, fault, setting.env, course.journal, guard=setting.guard, shout=course.shout),
        attendance=Attendance(row.id, fault, setting.env, undo, planned.confirm, course.loop.now),
    )


async def _room(course: Course, fault: Fault, planned: PlannedFault) -> None:
    """Raises Refused where too little would be left now, whatever was there when the plan was made."""
    able: object = fault
    if isinstance(able, Bounded):
        keep = course.experiment.blast_radius.keep_available
        if why := await able.no_room(course.setting.env, planned.target, keep):
            raise Refused(why)


def _row(course: Course, planned: PlannedFault, undo: Undo) -> FaultRow:
    return FaultRow(
        id=f"{course.run_id}.{planned.n}",
        run=course.run_id,
        n=planned.n,
        epoch=course.journal.epoch,
        step=planned.step,
        kind=planned.kind,
        version=planned.version,
        target=planned.target,
        aspect=planned.aspect,
        undo=msgspec.to_builtins(undo),
        reversible=planned.reversible,
        expires_at=_expiry(course),
    )


def _expiry(course: Course) -> float:
    return course.setting.clock.wall() + course.experiment.blast_radius.max_duration


async def _inject(course: Course, one: Open, opened: list[Open]) -> None:
    target, loop = one.planned.target.key, course.loop
    await one.attendance.measure_before()
    if loop.gate() is not None:
        return
    try:
        await one.attendance.lease()
    except (Refused, Doubt) as why:
        course.doubts.append(f"not injected: {target}: no lease: {why}")
        return
    latest_t = loop.now() + course.experiment.blast_radius.max_duration if one.planned.reversible else math.inf
    loop.expires_t = min(loop.expires_t, latest_t)
    life = await one.drive.inject()
    if life.state == "INJECTED":
        one.ends_t = min(loop.now() + one.planned.hold_s, latest_t)
        _watch_from(course, math.ceil(loop.now()), [other for other in opened if other is not one])
        return
    course.doubts.append(f"not injected: {target}: {life.why}")
    if life.state == "UNKNOWN":
        course.stop("doubt", f"{target}: it cannot be told whether the fault landed: {life.why}")


def _watch_from(course: Course, tick: int, beside: list[Open]) -> None:
    """The abort rules start anew with the first fault that is open."""
    if course.loop.watch is None:
        course.loop.watch = judge.AbortWatch(course.setting.rules, tick, budget=course.experiment.abort.error_budget)
    elif not any(one.held for one in beside):
        course.loop.watch.restart(tick)
