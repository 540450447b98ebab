"""Reads all checks while a run goes on: polled probes by a task each, streaming ones from their own process.

Decides nothing. A probe that raises Unknown gives an unknown sample; any other error is our bug and ends the run.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import anyio
import msgspec
from anyio.abc import TaskGroup

from chaos_runner import expect, histogram
from chaos_runner.api import Env, Follows, Metric, Probe, Reading, SampleStream, Streams, Unknown
from chaos_runner.clock import Clock, nursery
from chaos_runner.expect import Clause
from chaos_runner.model import Check
from chaos_runner.records import ClauseCount, Sample
from chaos_runner.wire import Exemplar

READ_S = 10.0
READS_AT_ONCE = 16
STREAM_LEAD_S = 1.0


def metric_of(probe: Probe, clause: Clause) -> Metric:
    """The metric a clause names. Raises KeyError: the loader has checked it."""
    found = next((metric for metric in probe.metrics() if metric.covers(clause.metric)), None)
    if found is None:
        raise KeyError(clause.metric)
    return found


def sample_of(check: str, clauses: Sequence[Clause], probe: Probe, tick: int, reading: Reading | Unknown) -> Sample:
    """One reading judged by every clause: ok, violated or unknown."""
    if isinstance(reading, Unknown):
        counts = tuple(ClauseCount(n, 0, 0, 1) for n in range(len(clauses)))
        return Sample(check=check, tick=tick, counts=counts, scheduled=1, why=str(reading))
    counts = tuple(_count(n, clause, metric_of(probe, clause), reading) for n, clause in enumerate(clauses))
    bad = any(count.bad for count in counts)
    return Sample(
        check=check,
        tick=tick,
        counts=counts,
        values=_numbers(reading.values),
        histogram=_histogram(reading.latency_s),
        exemplars=(Exemplar(at_s=float(tick), latency_s=reading.latency_s or 0.0, error=_error(reading)),)
        if bad
        else (),
        scheduled=1,
        why="; ".join(f"{metric}: {why}" for metric, why in sorted(reading.unknown.items()))[:500],
    )


def _count(n: int, clause: Clause, metric: Metric, reading: Reading) -> ClauseCount:
    try:
        good = _good(clause, metric, reading)
    except (TypeError, KeyError, OverflowError):
        return ClauseCount(n, 0, 0, 1)
    return ClauseCount(n, int(good), int(not good), 0)


def _good(clause: Clause, metric: Metric, reading: Reading) -> bool:
    """Raises TypeError or KeyError for what is not there or not of its type: unknown, not no."""
    if metric.kind == "gauge":
        return expect.holds(clause, reading.values[clause.metric])
    if expect.percentile(clause.metric) is None:
        return _truth(reading.values[clause.metric])
    if reading.latency_s is None:
        return False
    return expect.holds(msgspec.structs.replace(clause, op="<="), reading.latency_s)


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        msg = f"{value!r:.60} is neither true nor false"
        raise TypeError(msg)
    return value


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in values.items() if _finite(value)}


def _finite(value: object) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _histogram(latency_s: float | None) -> tuple[tuple[int, int], ...]:
    return () if latency_s is None or not _finite(latency_s) else histogram.of([latency_s])


def _error(reading: Reading) -> str:
    return str(reading.values.get("error", ""))[:200]


class Sampling:
    """All checks of an experiment, being read. `take` never waits."""

    def __init__(self, checks: Mapping[str, Check], probes: Mapping[str, Probe], env: Env, clock: Clock) -> None:
        self._checks = checks
        self._probes = probes
        self._env = env
        self._clock = clock
        self._streams: list[tuple[SampleStream, int]] = []
        self._fresh: list[Sample] = []
        self._limit = anyio.CapacityLimiter(READS_AT_ONCE)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """Samples until left; the value is the first tick that is sampled."""
        streaming = self._streaming()
        polled = self._checks.keys() - set(streaming)
        async with nursery() as group, contextlib.AsyncExitStack() as stack:
            for probe in (self._probes[name] for name in polled):
                if isinstance(probe, Follows):
                    await stack.enter_async_context(probe.following(self._env))
            # Only now: what took its time to begin has missed no tick.
            first = math.ceil(self._clock.now() + (STREAM_LEAD_S if streaming else 0.0))
            for name in streaming:
                await self._open(name, first, stack)
            for name in polled:
                self._poll(name, first, group)
            try:
                yield first
            finally:
                group.cancel_scope.cancel()

    def take(self) -> list[Sample]:
        """What has come since the last call."""
        fresh, self._fresh = self._fresh, []
        for stream, first in self._streams:
            fresh += [_shifted(sample, first) for sample in stream.take()]
        return fresh

    async def beat(self) -> None:
        """Tells the streams that the control loop lives."""
        for stream, _first in self._streams:
            await stream.beat()

    async def finish(self) -> list[Sample]:
        """Lets the streams end what is under way; the last samples."""
        last = self.take()
        for stream, first in self._streams:
            last += [_shifted(sample, first) for sample in await stream.finish()]
        return last

    def _streaming(self) -> list[str]:
        return [name for name, probe in self._probes.items() if isinstance(probe, Streams) and probe.streaming()]

    async def _open(self, name: str, first: int, stack: contextlib.AsyncExitStack) -> None:
        probe = self._probes[name]
        assert isinstance(probe, Streams)
        t0_ns = int((self._clock.t0 + first) * 1e9)
        clauses = self._checks[name].clauses()
        stream = await stack.enter_async_context(probe.stream(self._env, name, clauses, t0_ns))
        self._streams.append((stream, first))

    def _poll(self, name: str, first: int, group: TaskGroup) -> None:
        group.start_soon(self._read_on, name, first)

    async def _read_on(self, name: str, first: int) -> None:
        check, probe = self._checks[name], self._probes[name]
        turn = 0
        while True:
            due = first + turn * check.interval
            await self._clock.until(due)
            reading = await self._read(probe)
            self._fresh.append(sample_of(name, check.clauses(), probe, math.floor(due + 1e-9), reading))
            turn = max(turn + 1, math.ceil((self._clock.now() - first) / check.interval))

    async def _read(self, probe: Probe) -> Reading | Unknown:
        try:
            async with self._limit:
                with anyio.fail_after(READ_S):
                    return await probe.read(self._env)
        except TimeoutError:
            return Unknown(f"no answer within {READ_S:g} s")
        except Unknown as why:
            return why


def _shifted(sample: Sample, first: int) -> Sample:
    return msgspec.structs.replace(sample, tick=sample.tick + first)
