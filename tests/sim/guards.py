"""A runner's line to its guardian and the guardian's life, in memory: the real messages, watch and undo."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import Any

import anyio
import msgspec
import trio

from chaos_runner import guardian, wire
from chaos_runner.api import Env
from chaos_runner.drive import ArmError, JournalError
from chaos_runner.guard import ARM_S, Silence
from chaos_runner.lifecycle import State
from chaos_runner.records import AnyRecord, IntentCommitted, Outcome, RunEnded
from chaos_runner.store import FaultRow, Fenced, Owner, Stamped, StoreError
from chaos_runner.verdict import headline
from tests.sim.ledger import SimStore
from tests.sim.process import Proc

TTL_S = 5.0
AGAIN_S, END_TRIES, TAKE_OVER_TRIES = 2.0, 3, 30  # as journal.ThreadJournal


class Pipe:
    """One direction of the socket: bytes in order, an end."""

    def __init__(self, types: Any) -> None:
        self._lines = wire.Lines(types)
        self.inbox: deque[wire.Message] = deque()
        self.ended = False
        self._news = anyio.Event()

    def put(self, message: wire.Message) -> None:
        if not self.ended:
            self.inbox += self._lines.feed(wire.encode(message))
            self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    async def news(self) -> None:
        """Returns once there is something to read, be it the end."""
        while not self.inbox and not self.ended:
            await self._news.wait()


class SimLine:
    """The runner's end, as `guard.GuardianLine`. `armed` are the faults whose rows were acknowledged."""

    def __init__(self, runner: Proc, proc: Proc, live: Callable[[SimGuardian], None]) -> None:
        self.down, self.up = Pipe(wire.GuardianInbox), Pipe(wire.GuardianOutbox)
        self._runner, self._proc, self._live = runner, proc, live
        self._silence = Silence(TTL_S)
        self._waiting = False
        self.armed: set[str] = set()
        runner.on_end.append(self.down.end)
        proc.on_end.append(self.up.end)

    async def start(self) -> wire.Ready:
        await self._runner.gate("starting the guardian")
        self._live(SimGuardian(self, self._proc))
        return wire.Ready(reads=("sim",), pid=1)

    def alive(self) -> bool:
        self._listen()
        return not self._proc.over and not self._silence.too_long(trio.current_time())

    def _listen(self) -> None:
        """Takes in what has come; whoever waits for an answer does that already."""
        if not self._waiting:
            self._take()
            self.up.inbox.clear()

    def _take(self) -> list[wire.Message]:
        came = list(self.up.inbox)
        self.up.inbox.clear()
        if came:
            self._silence.answered()
        return [message for message in came if not isinstance(message, wire.Heard)]

    async def arm(self, row: FaultRow) -> None:
        await self._runner.gate(f"arming {row.id}")
        self.down.put(wire.Arm(row=msgspec.to_builtins(row)))
        self._waiting = True
        try:
            with anyio.fail_after(ARM_S):
                answer = await self._answer()
        except TimeoutError:
            raise ArmError("no answer") from None
        finally:
            self._waiting = False
        if not (isinstance(answer, wire.Armed) and answer.id == row.id):
            raise ArmError(str(answer))
        self.armed.add(row.id)
        self._runner.done(f"arming {row.id}")

    async def _answer(self) -> wire.Message:
        while True:
            await self.up.news()
            for message in self._take():
                return message
            if self.up.ended:
                raise ArmError("it ended")

    async def disarm(self, fault: str) -> None:
        self._runner.effect(f"disarming {fault}")
        self.down.put(wire.Disarm(id=fault))

    def beat(self, tick: int) -> bool:
        if self._runner.stopped or self._runner.over:
            return True
        self._listen()
        self._silence.asked(trio.current_time())
        self.down.put(wire.Beat(tick=tick))
        return not self._proc.over

    async def bye(self, watched: Collection[str] = ()) -> None:
        self._runner.effect("saying goodbye")
        self.down.put(wire.Bye(watched=tuple(watched)))
        self.down.end()


class SimGuardian(guardian.Guardian):
    """The guardian's end: what it waits for comes from a pipe, and it may be stopped before it reads."""

    def __init__(self, line: SimLine, proc: Proc) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.line, self.proc = line, proc

    async def receive(self) -> wire.Message | None:
        await self.line.down.news()
        await self.proc.gate("reading a message")
        return self.line.down.inbox.popleft() if self.line.down.inbox else None

    async def send(self, message: wire.Message) -> None:
        self.proc.effect("answering")
        self.line.up.put(message)
        self.proc.done("answering")

    def _spoken(self) -> bool:
        return bool(self.line.down.inbox) or self.line.down.ended


async def guard(one: SimGuardian, runner: Proc, env: Env, journal: TaskJournal) -> None:
    """As `guardian.guard`, from READY on."""
    why = await one.watch(TTL_S)
    await one.proc.gate("taking over")
    if why:
        one.proc.story.tell(one.proc.name, f"takes over: {why}", "guardian took over")
        runner.kill("is killed by its guardian", "killed by its guardian")
    if why or one.rows:
        async with trio.open_nursery() as group:
            group.start_soon(journal.write)
            await guardian.undo(list(one.rows.values()), env, journal, why, relieved=journal.relieved)
            await journal.close()


class TaskJournal:
    """As `journal.ThreadJournal`: nothing waits for the store but `close`, and that not for ever."""

    def __init__(self, ledger: SimStore, run: str, epoch: int, t0: float, wall: Callable[[], float]) -> None:
        self.run, self._ledger, self._seen, self._t0, self._wall = run, ledger, epoch, t0, wall
        self._put, self._jobs = trio.open_memory_channel[Callable[[int], None]](1000)
        self._done = trio.Event()

    def now(self) -> float:
        return round(trio.current_time() - self._t0, 6)

    def save_intent(self, row: FaultRow, record: IntentCommitted) -> None:
        raise JournalError("a guardian injects nothing")

    def save_state(self, fault: str, state: State, record: AnyRecord | None, t: float) -> None:
        stamped = self._stamp(record, t) if record is not None else None
        self._put.send_nowait(lambda epoch: self._ledger.set_fault_state(fault, epoch, state, record=stamped))

    def end(self, outcome: Outcome) -> None:
        stamped = self._stamp(RunEnded(outcome=outcome, by="guardian"), self.now())
        self._put.send_nowait(lambda epoch: self._ledger.end_run(self.run, epoch, headline(outcome), record=stamped))

    def relieved(self, fault: str) -> str:
        """Somebody else has it by now, or it is over."""
        run = self._ledger.run(self.run)
        row = next((row for row in self._ledger.faults(self.run) if row.id == fault), None)
        if run is None or row is None:
            return ""
        return "taken over" if run.epoch > self._seen + 1 else "" if row.open else row.state

    async def close(self) -> None:
        self._put.close()
        with trio.move_on_after(10.0):
            await self._done.wait()
        self._jobs.close()

    def _stamp(self, record: AnyRecord, t: float) -> Stamped:
        return Stamped(record=record, at=self._wall() - (self.now() - t), t=t)

    async def write(self) -> None:
        """The thread's work; it hangs alone."""
        try:
            epoch = await self._tried(
                lambda: self._ledger.take_over(self.run, Owner.mine(), self._seen), TAKE_OVER_TRIES
            )
            while epoch is not None:
                job = await self._jobs.receive()
                await self._tried(lambda job=job: job(epoch), END_TRIES)  # type: ignore[misc]
        except (trio.EndOfChannel, trio.ClosedResourceError):
            pass
        finally:
            self._done.set()

    async def _tried(self, work: Callable[[], Any], tries: int) -> Any:
        for _ in range(tries):
            try:
                return work()
            except Fenced:
                return None
            except StoreError:
                await trio.sleep(AGAIN_S)
        return None
