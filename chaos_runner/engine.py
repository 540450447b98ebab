"""Runs one plan: the only module where order matters. Read `Engine.run` first.

The order is the safety argument: a durable run, a guardian that answers, a steady state that was measured; then for
each fault intent, arm, inject, read back; and whatever happens, undo, verify, and only then write it down.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import msgspec

from chaos_runner import confirm, judge, records
from chaos_runner.api import Doubt, Env, Probe, Refused
from chaos_runner.attend import Attendance
from chaos_runner.clock import Clock, nursery
from chaos_runner.drive import Drive, JournalError, Watchline
from chaos_runner.journal import RunJournal
from chaos_runner.model import PauseStep
from chaos_runner.plan import Plan, PlannedFault, Refusal
from chaos_runner.records import ClauseJudged, Outcome, Phase, StoppedBy
from chaos_runner.rule import Rule
from chaos_runner.sampling import Sampling
from chaos_runner.store import FaultRow
from chaos_runner.ticks import Interrupts, Loop, Status, Stop

UNDO_PATIENCE_S = 60.0
GRACE_S = 60.0  # beyond the worst case of the plan, for everything that takes time around it


class Setting(msgspec.Struct):
    """Everything outside of the engine that a run touches."""

    env: Env
    clock: Clock
    faults: Mapping[str, type[Any]]
    probes: Mapping[str, Probe]
    rules: tuple[Rule, ...]
    load_rate: float
    begin: Callable[[records.RunStarted], RunJournal]
    started: records.RunStarted
    guard: Watchline | None
    interrupts: Interrupts
    lever: Callable[[], str]
    show: Callable[[Status], None]
    shout: Callable[[str], None]


class Open(msgspec.Struct):
    """One fault of the plan that was sent, or may have been."""

    planned: PlannedFault
    drive: Drive
    attendance: Attendance
    ends_t: float = math.inf
    window: range = range(0)


class Engine:
    """One run of one plan."""

    def __init__(self, plan: Plan, run_id: str, setting: Setting) -> None:
        self.plan = plan
        self.run_id = run_id
        self.s = setting
        self.experiment = plan.experiment
        self.baseline: range = range(0)
        self.pauses: list[range] = []
        self.done: list[Open] = []
        self.doubts: list[str] = []
        self.deviations: list[str] = []
        self.stop_record: records.AbortTripped | None = None

    async def run(self) -> Outcome:
        """Steps 4 to 9 of a run. Raises Refusal when nothing was started; its record is written then.

        Any other exception is our bug: everything is undone before it travels on.
        """
        self.journal = self.s.begin(self.s.started)  # durable from here on
        try:
            await self._start_guardian()
            sampling = Sampling(self.experiment.steady_state, self.s.probes, self.s.env, self.s.clock)
            async with sampling.running() as first:
                self.loop = self._loop(sampling)
                await self._hold_baseline(first)
                for index in range(len(self.experiment.method)):
                    if not await self._step(index):
                        break
                self.loop.samples += await sampling.finish()
            return await self._end()
        except Refusal as why:
            self._ended_early(str(why), "nothing")
            raise
        except BaseException as bug:
            self._ended_early(f"{type(bug).__name__}: {bug}", "bug")
            raise
        finally:
            await self._leave()

    # --- before the first fault ------------------------------------------------------------------------------

    async def _start_guardian(self) -> None:
        if self.s.guard is None:
            return
        try:
            ready = await self.s.guard.start()
        except Doubt as why:
            raise Refusal(f"not started: {why}") from None
        self.journal.note(records.GuardianReady(pid=ready.pid, reads=ready.reads))

    def _loop(self, sampling: Sampling) -> Loop:
        return Loop(
            self.s.clock,
            sampling,
            self.journal.add_samples,
            interrupts=self.s.interrupts,
            lever=self.s.lever,
            watchdog=self.s.guard,
            deadline_t=self.s.clock.now() + self.plan.worst_case_s + GRACE_S,
            show=self.s.show,
        )

    async def _hold_baseline(self, first: int) -> None:
        """Step 5: the steady state must be steady, by the very rules that will judge the fault."""
        self._phase("baseline")
        end = first + math.ceil(self.experiment.baseline)
        await self.loop.until(end)
        await self.loop.until(end + self._lag() + 2, enough=lambda: self._all_in(end))
        if self.loop.stop is not None:
            raise Refusal(f"not started: {self.loop.stop.why}")
        self.baseline = range(first, end)
        answer = judge.gate(self.s.rules, self.loop.samples, self.baseline, self.experiment.abort.error_budget)
        if isinstance(answer, judge.Closed):
            raise Refusal(f"not started: {answer.why}")
        self.journal.note(records.BaselineHeld(clauses=answer.clauses))

    def _lag(self) -> float:
        return max((rule.lag_s for rule in self.s.rules), default=0.0)

    def _all_in(self, end: int) -> bool:
        """Whether every clause's last sample before `end` has come."""
        seen: dict[tuple[str, int], int] = {}
        for sample in self.loop.samples:
            for count in sample.counts:
                key = (sample.check, count.clause)
                seen[key] = max(seen.get(key, 0), sample.tick)
        return all(seen.get(rule.key, 0) >= end - math.ceil(rule.every) for rule in self.s.rules)

    # --- one step --------------------------------------------------------------------------------------------

    async def _step(self, index: int) -> bool:
        """One entry of `method`, its undo and its recovery; False when the run is to end."""
        step = self.experiment.method[index]
        if isinstance(step, PauseStep):
            return await self._pause(index, step.pause)
        if not self._may_begin(index):
            return False
        opened: list[Open] = []
        try:
            await self._inject_all(index, opened)
            await self._hold(opened)
        finally:
            with anyio.CancelScope(shield=True):
                await self._undo(opened)
        self._write_down()
        recovered = await self._recover(index)
        for one in opened:
            self._confirm(one)
        return recovered and self.loop.stop is None and not self.doubts

    async def _pause(self, index: int, seconds: float) -> bool:
        self._try_phase("pause", index)
        began = math.ceil(self.loop.now())
        await self.loop.until(self.loop.now() + seconds)
        self.pauses.append(range(began, math.floor(self.loop.now())))
        return self.loop.stop is None

    def _may_begin(self, index: int) -> bool:
        """A store that cannot be written forbids injecting."""
        try:
            self._phase("fault", index)
        except JournalError as why:
            self.loop.stop = self.loop.stop or Stop("doubt", f"the store cannot be written: {why}", self.loop.now())
        return self.loop.stop is None

    async def _inject_all(self, index: int, opened: list[Open]) -> None:
        """Step 6: one target at a time; the first doubt ends it."""
        for planned in (fault for fault in self.plan.faults if fault.step == index):
            if self.loop.gate() is not None or not await self._inject(planned, opened):
                return

    async def _inject(self, planned: PlannedFault, opened: list[Open]) -> bool:
        fault = msgspec.convert(planned.params, self.s.faults[planned.kind])
        mark = f"cx.{self.run_id}.{planned.n}.{int(self.s.clock.wall() + self.experiment.blast_radius.max_duration)}"
        fault_id = f"{self.run_id}.{planned.n}"
        try:
            with anyio.fail_after(10):
                undo = await fault.prepare(self.s.env, planned.target, mark)
        except (Refused, Doubt, TimeoutError) as why:
            self.doubts.append(f"not injected: {planned.target.key}: {why or 'no answer within 10 s'}")
            return False
        attendance = Attendance(fault_id, fault, self.s.env, undo, planned.confirm, self.loop.now)
        drive = Drive(
            self._row(planned, fault_id, undo), fault, self.s.env, self.journal, guard=self.s.guard, shout=self.s.shout
        )
        one = Open(planned=planned, drive=drive, attendance=attendance)
        opened.append(one)
        await self.loop.while_doing(lambda: self._go_in(one, opened))
        return drive.life.state == "INJECTED"

    def _row(self, planned: PlannedFault, fault_id: str, undo: Any) -> FaultRow:
        return FaultRow(
            id=fault_id,
            run=self.run_id,
            n=planned.n,
            epoch=self.journal.epoch,
            step=planned.step,
            kind=planned.kind,
            version=planned.version,
            target=planned.target,
            aspect=planned.aspect,
            undo=msgspec.to_builtins(undo),
            reversible=planned.reversible,
            expires_at=self.s.clock.wall() + self.experiment.blast_radius.max_duration,
        )

    async def _go_in(self, one: Open, opened: list[Open]) -> None:
        target = one.planned.target.key
        await one.attendance.measure_before()
        if self.loop.gate() is not None:
            return
        try:
            await one.attendance.lease()
        except (Refused, Doubt) as why:
            self.doubts.append(f"not injected: {target}: no lease: {why}")
            return
        life = await one.drive.inject()
        now = self.loop.now()
        if life.state == "INJECTED":
            one.ends_t = now + one.planned.hold_s
            self._watch_from(math.ceil(now), [other for other in opened if other is not one])
            return
        self.doubts.append(f"not injected: {target}: {life.why}")
        if life.state == "UNKNOWN":
            doubt = f"{target}: it cannot be told whether the fault landed: {life.why}"
            self.loop.stop = self.loop.stop or Stop("doubt", doubt, now)

    def _watch_from(self, tick: int, beside: list[Open]) -> None:
        """The abort rules start anew with the first fault that is open; the oldest one sets the time limit."""
        if self.loop.watch is None:
            budget = self.experiment.abort.error_budget
            self.loop.watch = judge.AbortWatch(self.s.rules, tick, budget=budget)
        elif not any(one.drive.life.state == "INJECTED" for one in beside):
            self.loop.watch.restart(tick)
        self.loop.expires_t = min(self.loop.expires_t, self.loop.now() + self.experiment.blast_radius.max_duration)

    async def _hold(self, opened: list[Open]) -> None:
        """Step 7: until each lane's time is over, or the first reason to stop."""
        held = [one for one in opened if one.drive.life.state == "INJECTED"]
        async with nursery() as group:
            for one in held:
                group.start_soon(one.attendance.keep, self._absent(one))
            while held and self.loop.stop is None and not self.doubts:
                await self.loop.until(min(one.ends_t for one in held))
                over = [one for one in held if one.ends_t <= self.loop.now() and not self._extended(one)]
                held = [one for one in held if one not in over]
                if over and held and self.loop.stop is None:
                    await self._undo(over)
            group.cancel_scope.cancel()

    def _extended(self, one: Open) -> bool:
        """What is killed is watched until something took its place, for as long as that may take."""
        attendance, injected = one.attendance, one.drive.injected_t
        if injected is None or attendance.replaced_within is None or attendance.replaced:
            return False
        late = injected + attendance.replaced_within
        one.ends_t = min(self.loop.now() + 1, late)
        if self.loop.now() < late:
            return True
        key = one.planned.target.key
        self.deviations.append(f"{key}: nothing took its place within {attendance.replaced_within:g}s")
        return False

    def _absent(self, one: Open) -> Callable[[str], None]:
        def gone(why: str) -> None:
            self.journal.try_note(records.FaultAbsent(fault=one.drive.row.id, why=why))

        return gone

    # --- always ----------------------------------------------------------------------------------------------

    async def _undo(self, opened: list[Open]) -> None:
        """Step 8: reverts and verifies everything that is open; nothing is written before the first request."""
        left = [one for one in opened if one.drive.life.open]
        if not left:
            return
        self.done += [one for one in left if one not in self.done]
        lanes = [functools.partial(self._undo_lane, lane) for lane in _lanes(left)]
        async with nursery() as group:
            for one in left:
                group.start_soon(one.attendance.keep_lease)
            try:
                await self.loop.while_doing(*lanes)
            except BaseException:  # a bug of the ticks must not cost the undo
                with anyio.CancelScope(shield=True):
                    for lane in lanes:
                        await lane()
                raise
            group.cancel_scope.cancel()

    async def _undo_lane(self, lane: list[Open]) -> None:
        for one in (one for one in lane if one.drive.life.open):
            one.window = range(math.ceil(one.drive.injected_t or self.loop.now()), math.floor(self.loop.now()))
            one.drive.replaced = one.attendance.replaced
            await one.drive.undo(patience_s=UNDO_PATIENCE_S)

    def _write_down(self) -> None:
        """What had to wait for the reverts: the reason to stop, and the samples."""
        stop = self.loop.stop
        if stop is not None and self.stop_record is None and stop.stopped_by != "nothing":
            self.stop_record = records.AbortTripped(
                stopped_by=stop.stopped_by, why=stop.why, decided_t=stop.decided_t, check=stop.check, clause=stop.clause
            )
            self.journal.try_note(self.stop_record)
        self.loop.flush()
        self.loop.watch = None
        self.loop.expires_t = math.inf

    def _confirm(self, one: Open) -> None:
        if one.drive.injected_t is None:
            return
        effect = one.attendance.effect
        answer = confirm.verdict(effect, self.baseline, one.window, self.loop.samples, self.s.load_rate)
        shown_t = effect.shown_t if effect.shown_t is not None else one.drive.injected_t
        self.journal.try_note(answer, shown_t)
        if one.attendance.figures:
            title = f"{one.planned.kind} on {one.planned.target.key}"
            self.journal.try_note(records.Evidence(fault=effect.fault, title=title, figures=one.attendance.figures))
        if isinstance(answer, records.FaultUnconfirmed):
            self.doubts.append(f"{one.planned.target.key}: the effect was not shown: {answer.why}")
        if effect.absent:
            self.doubts.append(f"{one.planned.target.key}: the fault was not there all the time: {effect.absent}")

    async def _recover(self, index: int) -> bool:
        """Step 9: sampling goes on until the system is well again, or its time is over."""
        self._try_phase("recovery", index)
        since = self.loop.now()
        watch = judge.RecoveryWatch(self.s.rules, math.ceil(since))
        self.loop.listen(watch.observe)
        within = self.experiment.recovery.within
        await self.loop.until(
            since + within + self._lag() + 1,
            through=True,
            enough=lambda: watch.recovered_at() is not None or self.s.interrupts.hurry,
        )
        at = watch.recovered_at()
        took = (at + 1 - since) if at is not None else within
        recovered = at is not None and took <= within + 1
        why = "" if recovered else watch.missing()
        self.journal.try_note(
            records.RecoveryMeasured(recovered=recovered, seconds=round(took, 3), step=index, why=why)
        )
        if not recovered and not self.s.interrupts.hurry:
            known = self.deviations if watch.state() == "violated" else self.doubts
            known.append(f"not recovered within {within:g}s: {why}")
        return recovered

    async def _end(self) -> Outcome:
        clauses = self._judged()
        outcome = self._outcome(clauses)
        self._try_phase("ended")
        self.loop.flush()
        self.journal.end(records.RunEnded(outcome=outcome, clauses=clauses), self._figures())
        return outcome

    def _windows(self) -> list[frozenset[int]]:
        """The ticks of each step in which one of its faults was open from beginning to end."""
        steps = sorted({one.planned.step for one in self.done})
        return [frozenset().union(*(one.window for one in self.done if one.planned.step == n)) for n in steps]

    def _judged(self) -> tuple[ClauseJudged, ...]:
        """Over the fault windows; a plan without faults is a control, and all that was watched is judged."""
        if self.plan.faults:
            return judge.judged(self.s.rules, self.loop.samples, self._windows())
        calm = [self.baseline, *self.pauses]
        return judge.judged(self.s.rules, self.loop.samples, calm, fault_open=False)

    def _outcome(self, clauses: tuple[ClauseJudged, ...]) -> Outcome:
        stop = self.loop.stop
        states = {one.drive.life.state for one in self.done}
        left = tuple(
            f"{one.planned.kind} on {one.planned.target.key} ({one.drive.row.id}): {one.drive.life.why}"
            for one in self.done
            if one.drive.life.open and one.drive.life.state != "WATCHING"
        )
        return judge.outcome(
            clauses,
            stopped_by=stop.stopped_by if stop else "nothing",
            stopped_why=stop.why if stop else "",
            cleanup="LEFT" if left else "WATCHING" if "WATCHING" in states else "CLEAN",
            left=left,
            deviations=self.deviations,
            doubts=self.doubts,
        )

    def _figures(self) -> dict[str, float]:
        gone = [one.drive.gone_t for one in self.done if one.drive.gone_t is not None]
        stop = self.loop.stop
        figures = {"events": float(sum(sample.scheduled for sample in self.loop.samples))}
        if stop is not None and gone:
            figures["halt_s"] = round(max(gone) - stop.decided_t, 6)
        return figures

    def _ended_early(self, why: str, stopped_by: StoppedBy) -> None:
        if stopped_by == "nothing":
            self.journal.try_note(records.NotStarted(reason=why))
        left = any(one.drive.life.open for one in self.done)
        outcome = Outcome(finding="UNKNOWN", stopped_by=stopped_by, cleanup="LEFT" if left else "CLEAN", why=why)
        verdict = "NOT_STARTED" if stopped_by == "nothing" else ""
        self.journal.end(records.RunEnded(outcome=outcome), {}, verdict=verdict)

    async def _leave(self) -> None:
        """Whatever happened: leases end once nothing is open, and the guardian finishes what is left."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(10):
            if not any(one.drive.life.open for one in self.done):
                for one in self.done[:1]:
                    await one.attendance.release()
            if self.s.guard is not None:
                await self.s.guard.bye()

    def _phase(self, phase: Phase, step: int = -1) -> None:
        self.loop.phase = phase
        self.journal.note(records.PhaseBegan(phase=phase, step=step))

    def _try_phase(self, phase: Phase, step: int = -1) -> None:
        self.loop.phase = phase
        self.journal.try_note(records.PhaseBegan(phase=phase, step=step))


def _lanes(opened: list[Open]) -> list[list[Open]]:
    """Last-in first-out within one target, targets beside each other."""
    lanes: dict[str, list[Open]] = {}
    for one in reversed(opened):
        lanes.setdefault(one.planned.target.key, []).append(one)
    return list(lanes.values())
