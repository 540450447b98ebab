"""TCP connections: whether one comes up, what it answers, how long that takes; one a sample, or at a small rate."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, ClassVar

import anyio
import msgspec
from anyio.abc import TaskGroup
from msgspec import Meta

from chaos_runner import histogram, wire
from chaos_runner.api import Env, Metric, Reading, Refused, SampleStream, Unknown
from chaos_runner.clock import nursery
from chaos_runner.expect import Clause, Duration, Rate
from chaos_runner.model import Where
from chaos_runner.probes import _addresses, _streams
from chaos_runner.records import ClauseCount, Sample

RATE_MAX = 50.0
AT_ONCE_MAX = 64
ANSWER_BYTES_MAX = 64 * 1024
EXEMPLARS_MAX = 3


class Answer(msgspec.Struct, frozen=True):
    """How one attempt went; without `latency_s` there was no answer."""

    good: bool
    latency_s: float | None = None
    error: str = ""


class TcpProbe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Connects to an address; with `send:` and `expect:` it also talks. For protocols that are not HTTP."""

    kind: ClassVar[str] = "tcp"

    service: Annotated[str, Meta(description="a service of the environment", max_length=200)] = ""
    address: Annotated[str, Meta(description="host:port, instead of a service", max_length=500)] = ""
    send: Annotated[str, Meta(description='text to send, such as "PING\\r\\n"', max_length=10_000)] = ""
    expect: Annotated[str, Meta(description="what the answer has in it", max_length=1000)] = ""
    timeout: Annotated[Duration, Meta(description="how long connecting and answering may take, at most 8s")] = 2.0
    rate: Annotated[Rate | None, Meta(description="so many connections, whatever the answers do; at most 50/s")] = None

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        if bool(self.service) == bool(self.address):
            yield (), "name a service with `service:`, or an address with `address:`"
        elif self.address and (why := _addresses.wrong(self.address)):
            yield ("address",), why
        if not 0.01 <= self.timeout <= 8:
            yield ("timeout",), "between 10ms and 8s"
        if self.rate is not None and not 0.1 <= self.rate <= RATE_MAX:
            yield ("rate",), f"between 6/m and {RATE_MAX:g}/s"

    def metrics(self) -> tuple[Metric, ...]:
        """Events, and the time of a single attempt."""
        latency = Metric("latency", "gauge", "duration", "the time to the connection, or to the expected answer")
        return _streams.EVENTS if self.streaming() else (*_streams.EVENTS, latency)

    def reads(self, env: Env) -> str:
        """The address, as a sentence has it."""
        load = f", {self.rate:g}/s" if self.rate else ""
        return f"tcp {_addresses.address(env, self.service, self.address).text}{load}"

    async def read(self, env: Env) -> Reading:
        """One connection."""
        try:
            where = _addresses.address(env, self.service, self.address)
        except Refused as why:
            raise Unknown(str(why)) from None
        await _addresses.check(where)
        answer = await self.attempt(where)
        if answer.latency_s is None:
            return Reading({"success": False, "error": answer.error})
        return Reading({"success": answer.good, "latency": answer.latency_s}, latency_s=answer.latency_s)

    async def attempt(self, where: _addresses.Address) -> Answer:
        """Connects and talks once, within the timeout."""
        began = anyio.current_time()
        try:
            with anyio.fail_after(self.timeout):
                got = await self._talk(where)
        except TimeoutError:
            return Answer(False, error=f"no answer within {self.timeout:g} s")
        except (OSError, anyio.EndOfStream, anyio.BrokenResourceError) as why:
            return Answer(False, error=_words(why))
        took = anyio.current_time() - began
        return Answer(got, took, "" if got else "another answer")

    async def _talk(self, where: _addresses.Address) -> bool:
        async with await anyio.connect_tcp(where.host, where.port) as stream:
            if self.send:
                await stream.send(self.send.encode())
            wanted, got = self.expect.encode(), b""
            while wanted not in got:
                got += await stream.receive()
                if len(got) > ANSWER_BYTES_MAX:
                    return False
        return True

    def streaming(self) -> bool:
        """With a rate it measures all the time."""
        return self.rate is not None

    def events_per_second(self) -> float:
        """Connections a second."""
        return self.rate or 0.0

    def lag_s(self, clause: Clause) -> float:
        """A tick comes in one piece, once its last attempt is over."""
        return self.timeout

    @contextlib.asynccontextmanager
    async def stream(
        self, env: Env, check: str, clauses: tuple[Clause, ...], t0_ns: int
    ) -> AsyncIterator[SampleStream]:
        """Connects at the rate for as long as the block runs."""
        where = _addresses.address(env, self.service, self.address)
        try:
            await _addresses.check(where)
        except Unknown as why:
            raise Refused(str(why)) from None
        attempts = _Attempts(self, where, check, _streams.clauses(clauses))
        async with nursery() as group:
            group.start_soon(attempts.run, group, t0_ns)
            yield attempts
            group.cancel_scope.cancel()


class _Attempts:
    """Open loop: attempts begin at their times, whatever the answers do. One that finds 64 under way is a failure."""

    def __init__(
        self, probe: TcpProbe, where: _addresses.Address, check: str, clauses: tuple[wire.LoadClause, ...]
    ) -> None:
        self._probe = probe
        self._where = where
        self._check = check
        self._clauses = clauses
        self._ticks: dict[int, list[tuple[float, Answer | None]]] = {}
        self._busy = 0
        self._stopped = False
        self._next = 0

    async def run(self, group: TaskGroup, t0_ns: int) -> None:
        """Begins attempt k at t0 + k / rate."""
        rate = self._probe.events_per_second()
        offset = anyio.current_time() - time.monotonic_ns() / 1e9
        t0 = t0_ns / 1e9 + offset
        k = 0
        while True:
            await anyio.sleep(max(0.0, t0 + k / rate - anyio.current_time()))
            if self._stopped:
                return
            tick = self._ticks.setdefault(math.floor(k / rate + 1e-9), [])
            tick.append((k / rate, None))
            group.start_soon(self._attempt, tick, len(tick) - 1)
            self._next = math.floor((k + 1) / rate + 1e-9)
            k += 1

    async def _attempt(self, tick: list[tuple[float, Answer | None]], place: int) -> None:
        answer = Answer(False, error=f"{AT_ONCE_MAX} attempts were under way")
        if self._busy < AT_ONCE_MAX:
            self._busy += 1
            try:
                answer = await self._probe.attempt(self._where)
            finally:
                self._busy -= 1
        tick[place] = (tick[place][0], answer)

    def take(self) -> tuple[Sample, ...]:
        """The ticks whose last attempt is over."""
        done = [n for n, tick in self._ticks.items() if self._whole(n, tick)]
        return tuple(self._sample(n, self._ticks.pop(n)) for n in sorted(done))

    def _whole(self, n: int, tick: list[tuple[float, Answer | None]]) -> bool:
        return (n < self._next or self._stopped) and all(answer is not None for _at, answer in tick)

    def _sample(self, n: int, tick: list[tuple[float, Answer | None]]) -> Sample:
        answers = [(at, answer) for at, answer in tick if answer is not None]
        times = [answer.latency_s for _at, answer in answers if answer.latency_s is not None]
        bad = [(at, answer) for at, answer in answers if not answer.good][:EXEMPLARS_MAX]
        return Sample(
            check=self._check,
            tick=n,
            counts=tuple(self._count(m, clause, tick) for m, clause in enumerate(self._clauses)),
            histogram=histogram.of(times),
            exemplars=tuple(wire.Exemplar(at, answer.latency_s or 0.0, error=answer.error) for at, answer in bad),
            scheduled=len(tick),
            errors=len(answers) - len(times),
        )

    def _count(self, n: int, clause: wire.LoadClause, tick: list[tuple[float, Answer | None]]) -> ClauseCount:
        answers = [answer for _at, answer in tick if answer is not None]
        if clause.metric == "success":
            good = sum(answer.good for answer in answers)
        else:
            good = sum(answer.latency_s is not None and answer.latency_s <= clause.limit_s for answer in answers)
        return ClauseCount(n, good, len(answers) - good, len(tick) - len(answers))

    async def beat(self) -> None:
        """Nothing: it lives and dies with the control loop."""

    async def finish(self) -> tuple[Sample, ...]:
        """Begins no more attempts, waits for those under way, at most their timeout; the rest stays unknown."""
        self._stopped = True
        with anyio.move_on_after(self._probe.timeout + 1):
            while self._busy:
                await anyio.sleep(0.02)
        last = tuple(self._sample(n, tick) for n, tick in sorted(self._ticks.items()))
        self._ticks.clear()
        return last


def _words(why: Exception) -> str:
    cause = why.__cause__
    if isinstance(cause, BaseExceptionGroup):  # one error for each address that the name has
        cause = cause.exceptions[0]
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno).lower()
    return str(cause or why) or "closed without the answer"
