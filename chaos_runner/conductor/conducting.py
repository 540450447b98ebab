"""Does what `course` says, one command at a time, and writes down what came of it; every fact with the day's epoch.

It may be killed at any moment: its children go on under their own rules, and the next conductor knows what it knew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import anyio
import msgspec

from chaos_runner import conduct, recover
from chaos_runner.api import Refused
from chaos_runner.clock import nursery
from chaos_runner.conductor import alarms, course, drill, folder, told, word
from chaos_runner.conductor.children import Children
from chaos_runner.conductor.course import (
    Ask,
    AwaitRun,
    Begin,
    EndDay,
    EndDrill,
    EndStep,
    Recover,
    Seen,
    StartDrill,
    StartRun,
    Wait,
)
from chaos_runner.conductor.folder import Folder
from chaos_runner.conductor.sight import Sight
from chaos_runner.conductor.steps import Planner
from chaos_runner.conductor.told import Told
from chaos_runner.gameday.facts import (
    AlertsUnread,
    AnyFact,
    ConductorBegan,
    DayEnded,
    DrillBegan,
    DrillEnded,
    Entry,
    Said,
    StepBegan,
    StepEnded,
)
from chaos_runner.load import Invalid
from chaos_runner.plan import Refusal
from chaos_runner.registry import Broken
from chaos_runner.store import Fenced, Owner, Store, StoreError

LOOK_S = 0.25
DEAF_S = 600.0  # so long the store may fail before this conductor gives up; the day can be taken up again

UNPLANNED = (Refusal, Invalid, Refused, ValueError, OSError, Broken)
Tell = Callable[[str], None]


class Conductor:
    """One conductor of one day."""

    def __init__(self, ledger: Store, place: Folder, day: str, epoch: int, tell: Tell) -> None:
        setting = place.setting()
        row = ledger.day(day)
        assert row is not None
        self._ledger, self._folder, self._day, self._epoch, self._tell = ledger, place, day, epoch, tell
        self._entries: list[Entry] = []
        self._told = self._read()
        self._setting = setting
        self._children = Children(place, setting, row.environment)
        self._sight = Sight(ledger, place, self._children, row.environment, row.stamp)
        self._planner = Planner(place, setting, self._told.scenario)

    async def run(self) -> DayEnded:
        """Until the day is over. Raises Fenced once another one conducts it, StoreError after ten minutes of them."""
        async with nursery() as group:
            group.start_soon(self._listen)
            deaf_since: float | None = None
            while (ended := self._told.day.ended) is None:
                try:
                    idle = await self._once()
                    deaf_since = None
                except Fenced:
                    raise
                except StoreError as why:
                    deaf_since = self._deaf(deaf_since, why)
                    idle = True
                await anyio.sleep(LOOK_S if idle else 0)
            group.cancel_scope.cancel()
        return ended

    def _deaf(self, since: float | None, why: StoreError) -> float:
        now = time.monotonic()
        if since is None:
            self._tell(f"the store cannot be used: {why}")
            return now
        if now - since > DEAF_S:
            raise why
        return since

    async def _once(self) -> bool:
        """Looks, decides, does; True where there was nothing to do."""
        self._told = self._read()
        seen = self._sight.look(self._told)
        command = course.next_of(self._told, seen)
        if isinstance(command, Wait):
            return True
        if isinstance(command, AwaitRun):
            return self._await(command)
        self._tell(_line(command))
        await self._do(command, seen)
        return False

    async def _do(self, command: course.Command, seen: Seen) -> None:
        match command:
            case Ask(asked):
                self._say(asked)
            case Begin(step, attempt):
                self._say(StepBegan(step=step, attempt=attempt))
            case course.Plan(step, attempt):
                await self._plan(step, attempt)
            case StartRun(step, attempt):
                self._start(step, attempt)
            case StartDrill():
                await self._drill()
            case EndDrill(run, how):
                self._say(drill.end(run, self._told, how, self._ledger, self._folder.state_dir))
            case Recover(run):
                await recover.recover(self._ledger, None, self._tell, only={run})
            case EndStep(ended):
                self._say(ended)
            case EndDay(ended):
                await self._end(ended)

    async def _plan(self, step: int, attempt: int) -> None:
        """A step that cannot be planned is over: nothing was started, and why."""
        try:
            await self._planner.step(step, attempt)
            self._compare(step)
        except UNPLANNED as why:
            self._say(StepBegan(step=step, attempt=attempt))
            self._say(StepEnded(step=step, why=_words(why)))

    def _compare(self, step: int) -> None:
        """Says so where the step's file is not what it was when the day began."""
        started = self._told.day.started
        one = self._told.scenario.steps[step]
        before = started.files.get(getattr(one, "run", "")) if started else None
        if before and before != self._planner.sha256(step):
            text = f"{getattr(one, 'run', '')} is not what it was when the day began; step {step + 1} runs it as it is"
            self._say(Said(who="conductor", text=text, step=step))

    def _start(self, step: int, attempt: int) -> None:
        """The fact first: a child without it refuses, and a fact without a child is told as such."""
        run = conduct.new_run_id()
        self._say(StepBegan(step=step, run=run, attempt=attempt))
        self._spawn(run, self._folder.plan_path(step, attempt), str(step))

    async def _drill(self) -> None:
        try:
            await self._planner.drill()
        except UNPLANNED as why:
            self._say(DrillEnded(run="", who="", why=_words(why)))
            return
        run = conduct.new_run_id()
        self._say(DrillBegan(run))
        self._spawn(run, self._folder.drill_path(), folder.DRILL)

    def _spawn(self, run: str, plan: Path, step: str) -> None:
        """One that cannot be started has no lock and no record, and is seen as one that never was."""
        try:
            self._children.start(run, plan, f"{self._day}:{step}")
        except OSError as why:
            self._folder.log_of(run).write_text(f"not started: {why}\n", encoding="utf-8")

    def _await(self, command: AwaitRun) -> bool:
        if command.halt:
            row = self._ledger.run(command.run)
            if self._children.halt(command.run, row, late=command.late):
                self._tell(f"{command.run} was asked to stop: {command.halt}")
        return True

    async def _end(self, ended: DayEnded) -> None:
        if ended.how == "incident":
            await word.send(self._told, ended, self._setting, self._ledger, self._folder.state_dir, self._tell)
        self._ledger.end_day(self._day, self._epoch, ended)
        self._told = self._read()

    # --- what is told ----------------------------------------------------------------------------------------

    def _read(self) -> Told:
        news = self._ledger.facts(self._day, self._entries[-1].seq if self._entries else 0)
        if not news and self._entries:
            return self._told
        self._entries += news
        return told.read(self._entries)

    def _say(self, fact: AnyFact) -> None:
        self._ledger.say(self._day, fact, self._epoch)

    async def _listen(self) -> None:
        """Watches the alerts that the scenario names, where it names some."""
        scenario = self._told.scenario
        if not scenario.alerts.wanted():
            return
        try:
            env = word.opened(self._setting, scenario.environment, self._folder.state_dir)
            try:
                kept = alarms.begin(scenario.alerts.wanted(), env, self._entries)
                await alarms.watch(kept, env, self._now, self._hear)
            finally:
                await env.aclose()
        except UNPLANNED as why:
            if not any(isinstance(entry.fact, AlertsUnread) for entry in self._entries):
                self._hear(AlertsUnread(_words(why)))

    def _now(self) -> int:
        """The step that goes on."""
        return next((step.step for step in self._told.steps if step.open), -1)

    def _hear(self, fact: AnyFact) -> bool:
        """Writes down what was heard; False where that has to be tried again."""
        try:
            self._say(fact)
        except Fenced:
            raise
        except StoreError as why:
            self._tell(f"an alert is not on record yet: {why}")
            return False
        return True


def take(ledger: Store, day: str, seen: int, why: str) -> int:
    """Makes this process the day's conductor; its epoch. Raises Fenced where somebody else is."""
    epoch = ledger.take_day(day, Owner.mine(), seen)
    ledger.say(day, ConductorBegan(pid=Owner.mine().pid, epoch=epoch, why=why), epoch)
    return epoch


def _words(why: BaseException) -> str:
    text = why.text() if isinstance(why, Invalid) else str(why)
    return (text.strip() or type(why).__name__)[:2000]


def _line(command: course.Command) -> str:
    return f"{type(command).__name__}: {msgspec.json.encode(msgspec.to_builtins(command)).decode():.300}"
