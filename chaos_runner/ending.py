"""Step 9 of a run: well again or not, whether the faults took effect, and the outcome. Harms and undoes nothing."""

from __future__ import annotations

import math

import anyio
import msgspec

from chaos_runner import coming_out, confirm, judge, records
from chaos_runner.course import Course, Open
from chaos_runner.records import ClauseJudged, Outcome, StoppedBy

LEAVE_S = 4.0


async def pause(course: Course, index: int, seconds: float) -> bool:
    """Nothing happens for a while, and the checks go on; False when the run is to end."""
    loop = course.loop
    course.try_phase("pause", index)
    began = math.ceil(loop.now())
    await loop.until(loop.now() + seconds)
    course.pauses.append(range(began, math.floor(loop.now())))
    return course.well


async def recover(course: Course, index: int) -> bool:
    """Sampling goes on until the system is well again, or its time is over."""
    loop, interrupts = course.loop, course.setting.interrupts
    course.try_phase("recovery", index)
    since = loop.now()
    watch = judge.RecoveryWatch(course.setting.rules, math.ceil(since))
    loop.listen(watch.observe)
    within = course.experiment.recovery.within
    await loop.until(
        since + within + course.lag_s + 1,
        through=True,
        enough=lambda: watch.recovered_at() is not None or interrupts.hurry,
    )
    at = watch.recovered_at()
    took = (at + 1 - since) if at is not None else within
    recovered = at is not None and took <= within + 1
    why = "" if recovered else watch.missing()
    course.journal.try_note(records.RecoveryMeasured(recovered=recovered, seconds=round(took, 3), step=index, why=why))
    if not recovered and not interrupts.hurry:
        known = course.deviations if watch.state() == "violated" else course.doubts
        known.append(f"not recovered within {within:g}s: {why}")
    return recovered


def confirm_effect(course: Course, one: Open) -> None:
    """Writes down whether the fault was shown to take effect; where it was not, that is a doubt."""
    if one.drive.injected_t is None:
        return
    effect, target = one.attendance.effect, one.planned.target.key
    window = one.window or range(0)
    answer = confirm.verdict(effect, course.baseline, window, course.loop.samples, course.setting.load_rate)
    shown_t = effect.shown_t if effect.shown_t is not None else one.drive.injected_t
    course.journal.try_note(answer, shown_t)
    if isinstance(answer, records.FaultConfirmed):
        course.confirmed_t = shown_t if course.confirmed_t is None else min(course.confirmed_t, shown_t)
    if one.attendance.figures:
        title = f"{one.planned.kind} on {target}"
        course.journal.try_note(records.Evidence(fault=effect.fault, title=title, figures=one.attendance.figures))
    if isinstance(answer, records.FaultUnconfirmed):
        course.doubts.append(f"{target}: the effect was not shown: {answer.why}")
    if effect.absent:
        course.doubts.append(f"{target}: the fault was not there all the time: {effect.absent}")


async def await_alerts(course: Course) -> None:
    """The checks go on until every expected alert has fired, or its time is over."""
    loop, detection = course.loop, course.detection
    if detection is None or course.setting.interrupts.hurry:
        return
    wait_s = detection.outstanding_s(course.times)
    await loop.until(loop.now() + wait_s, enough=lambda: detection.outstanding_s(course.times) <= 0)


async def last_samples(course: Course) -> None:
    """Lets what is under way end; the control loop goes on meanwhile, for a fault may still be watched."""

    async def finish() -> None:
        last = await course.sampling.finish()
        course.loop.samples += last
        course.loop.flush(last)

    await course.loop.while_doing(finish)


def end(course: Course) -> Outcome:
    """Judges the run and writes its end."""
    coming_out.write_down(course)
    course.write_heard()
    clauses = _judged(course)
    outcome = _outcome(course, clauses)
    course.try_phase("ended")
    course.journal.end(records.RunEnded(outcome=outcome, clauses=clauses), _figures(course))
    course.raise_bugs()
    return _on_record(outcome, course.journal.trouble)


def _on_record(outcome: Outcome, trouble: list[str]) -> Outcome:
    """A finding that nobody can look up is none."""
    if not trouble or outcome.finding != "HELD":
        return outcome
    return msgspec.structs.replace(outcome, finding="UNKNOWN", why=f"{trouble[0]}; {outcome.why}")


def _judged(course: Course) -> tuple[ClauseJudged, ...]:
    """Over the fault windows; a plan without faults is a control, and all that was watched is judged."""
    rules, samples = course.setting.rules, course.loop.samples
    alerts = course.detection.judged(course.times) if course.detection is not None else ()
    if course.plan.faults:
        return judge.judged(rules, samples, _windows(course)) + alerts
    return judge.judged(rules, samples, [course.baseline, *course.pauses], fault_open=False) + alerts


def _windows(course: Course) -> list[frozenset[int]]:
    """The ticks of each step in which one of its faults was open from beginning to end."""
    steps = sorted({one.planned.step for one in course.done})
    return [
        frozenset[int]().union(*(one.window or () for one in course.done if one.planned.step == step)) for step in steps
    ]


def _outcome(course: Course, clauses: tuple[ClauseJudged, ...]) -> Outcome:
    stop = course.loop.stop
    return judge.outcome(
        clauses,
        stopped_by=stop.stopped_by if stop else "nothing",
        stopped_why=stop.why if stop else "",
        cleanup=course.cleanup,
        left=_left(course),
        deviations=course.deviations,
        doubts=course.doubts,
    )


def _left(course: Course) -> tuple[str, ...]:
    """What may still be on which target, as sentences."""
    return tuple(
        f"{one.planned.kind} on {one.planned.target.key} ({one.drive.row.id}): {one.drive.life.why}"
        for one in course.done
        if one.left
    )


def _figures(course: Course) -> dict[str, float]:
    gone = [one.drive.gone_t for one in course.done if one.drive.gone_t is not None]
    stop = course.loop.stop
    figures = {"events": float(sum(sample.scheduled for sample in course.loop.samples))}
    if stop is not None and gone:
        figures["halt_s"] = round(max(gone) - stop.decided_t, 6)
    return figures


def not_started(course: Course, why: str) -> None:
    """Nothing was injected, and why."""
    course.journal.try_note(records.NotStarted(reason=why))
    _broken_off(course, "nothing", why, verdict="NOT_STARTED")


def broken_by(course: Course, bug: BaseException) -> None:
    """A bug ended the run; what was open is undone by now, or left and said so."""
    _broken_off(course, "bug", f"{type(bug).__name__}: {bug}")


def _broken_off(course: Course, stopped_by: StoppedBy, why: str, verdict: str = "") -> None:
    told = "; ".join([*_left(course), why])
    outcome = Outcome(finding="UNKNOWN", stopped_by=stopped_by, cleanup=course.cleanup, why=told)
    course.journal.end(records.RunEnded(outcome=outcome), {}, verdict=verdict)


async def leave(course: Course) -> None:
    """Whatever happened: leases end once nothing is open, and the guardian finishes what is left."""
    guard = course.setting.guard
    leased = next((one for one in course.done if one.attendance.leased), None)
    try:
        with anyio.CancelScope(shield=True), anyio.move_on_after(LEAVE_S):
            if leased is not None and not any(one.drive.life.open for one in course.done):
                await leased.attendance.release()
    finally:
        if guard is not None:
            await guard.bye([one.drive.row.id for one in course.done if one.drive.life.state == "WATCHING"])
