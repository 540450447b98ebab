"""Counts what became of every scheduled request, tick by tick. No clock and no IO: times come in as nanoseconds.

Each request of each clause ends in exactly one of good, bad and unknown, whatever arrives twice, late or never.
"""

from __future__ import annotations

import math
from collections import deque
from fractions import Fraction
from typing import Any

from chaos_runner.wire import Exemplar, LoadPlan, Tick

EXEMPLARS_MAX = 5
_NS = 1_000_000_000
_PER_BUCKET = 1 / math.log(1.02)


class Schedule:
    """When request k is due and to which tick it belongs, exactly: nothing drifts however long the load runs."""

    def __init__(self, plan: LoadPlan, t0_ns: int) -> None:
        self.t0_ns = t0_ns
        self._rate = Fraction(plan.rate).limit_denominator(1_000_000)
        self._tick = Fraction(plan.tick_s).limit_denominator(1_000_000)

    def due_ns(self, k: int) -> int:
        return self.t0_ns + k * _NS * self._rate.denominator // self._rate.numerator

    def first(self, n: int) -> int:
        """The first request of tick n, whether or not tick n has any."""
        return math.ceil(n * self._tick * self._rate)

    def start_ns(self, n: int) -> int:
        return self.t0_ns + int(n * self._tick * _NS)


class Asked:
    """One request from its intended time until it is over. `open` has a bit for every clause not yet decided."""

    __slots__ = ("bad", "connection", "due_ns", "open", "over", "tick")

    def __init__(self, due_ns: int, tick: _Tick, clauses: int) -> None:
        self.due_ns = due_ns
        self.tick = tick
        self.open = (1 << clauses) - 1
        self.bad = False
        self.over = False
        self.connection: Any = None


class _Tick:
    """The counts of one tick while some of its requests are not over."""

    __slots__ = ("counts", "end_ns", "errors", "exemplars", "histogram", "left", "living", "n", "scheduled", "stall_ns")

    def __init__(self, n: int, end_ns: int, scheduled: int, clauses: int) -> None:
        self.n = n
        self.end_ns = end_ns
        self.scheduled = self.living = scheduled
        self.left = [scheduled] * clauses
        self.counts = [[0, 0, 0] for _ in range(clauses)]
        self.histogram: dict[int, int] = {}
        self.errors: dict[str, int] = {}
        self.exemplars: list[Exemplar] = []
        self.stall_ns = 0


GOOD, BAD, UNKNOWN = 0, 1, 2


class Tally:
    """Takes each request's fate and gives out ticks as they become final."""

    def __init__(self, plan: LoadPlan, schedule: Schedule) -> None:
        self._plan = plan
        self._schedule = schedule
        self._clauses = tuple((c.metric == "success", c.limit_s) for c in plan.clauses)
        self._ticks: deque[_Tick] = deque()
        self._next_tick = 0
        self._next_start_ns = schedule.t0_ns
        self._end_k = 0  # requests below this belong to a tick that was begun
        self._next_k = 0
        self._stopped = False
        self._told = [0] * len(plan.clauses)  # the next tick to report, per clause

    @property
    def done(self) -> bool:
        """Whether every tick that was begun has been given out whole."""
        return not self._ticks

    def begin(self, now_ns: int) -> None:
        """Opens every tick that has begun by now, also those without requests."""
        while self._next_start_ns <= now_ns and not self._stopped:
            n = self._next_tick
            end_k = self._schedule.first(n + 1)
            end_ns = self._schedule.start_ns(n + 1)
            self._ticks.append(_Tick(n, end_ns, end_k - self._end_k, len(self._clauses)))
            self._end_k = end_k
            self._next_tick += 1
            self._next_start_ns = end_ns

    def ask(self) -> Asked:
        """The next scheduled request, which is due now or earlier; `begin` opened its tick."""
        k = self._next_k
        self._next_k += 1
        tick = self._ticks[-1]
        if k < self._end_k - tick.scheduled:
            tick = next(t for t in self._ticks if k < self._schedule.first(t.n + 1))
        return Asked(self._schedule.due_ns(k), tick, len(self._clauses))

    def cut(self, now_ns: int) -> None:
        """Stopped: begins no further tick, and forgets the requests of the last one that were never due."""
        self._stopped = True
        if not self._ticks:
            return
        tick = self._ticks[-1]
        never = self._end_k - self._next_k
        tick.scheduled -= never
        tick.living -= never
        tick.left = [left - never for left in tick.left]
        tick.end_ns = min(tick.end_ns, now_ns)

    def limit(self, asked: Asked, clause: int) -> None:
        """The clause's limit passed without a reply: bad now, however it ends."""
        if asked.open >> clause & 1:
            asked.bad = True
            self._decide(asked, clause, BAD)

    def reply(self, asked: Asked, now_ns: int, status: int, success: bool, error: str = "") -> None:
        """A complete reply; above the timeout it is none."""
        if asked.over:
            return
        latency_s = (now_ns - asked.due_ns) / _NS
        if latency_s > self._plan.timeout_s:
            self.failed(asked, now_ns, "timeout")
            return
        for i, (is_success, limit_s) in enumerate(self._clauses):
            if asked.open >> i & 1:
                good = success if is_success else latency_s <= limit_s
                asked.bad |= not good
                self._decide(asked, i, GOOD if good else BAD)
        bucket = bucket_of(latency_s)
        histogram = asked.tick.histogram
        histogram[bucket] = histogram.get(bucket, 0) + 1
        self._over(asked, latency_s, status, error)

    def failed(self, asked: Asked, now_ns: int, error: str) -> None:
        """No complete reply will come: bad for every clause still open."""
        if asked.over:
            return
        asked.bad = True
        self._decide_open(asked, BAD)
        asked.tick.errors[error] = asked.tick.errors.get(error, 0) + 1
        self._over(asked, (now_ns - asked.due_ns) / _NS, 0, error)

    def unknown(self, asked: Asked) -> None:
        """The worker was not looking during this request's life: neither good nor bad for what was still open."""
        if asked.over:
            return
        self._decide_open(asked, UNKNOWN)
        asked.bad = False
        self._over(asked, 0.0, 0, "")

    def stalled(self, from_ns: int, to_ns: int) -> None:
        """Notes a stall of the worker in the ticks that it overlaps."""
        for tick in reversed(self._ticks):
            tick.stall_ns = max(tick.stall_ns, to_ns - from_ns)
            if self._schedule.start_ns(tick.n) <= from_ns:
                return

    def ready(self, now_ns: int) -> list[Tick]:
        """What became final since the last call, in order of ticks for each clause."""
        found = []
        whole = 0  # ticks that leave with this call, from the front
        for position, tick in enumerate(self._ticks):
            if tick.end_ns > now_ns:
                break
            clauses = tuple(i for i, told in enumerate(self._told) if told == tick.n and tick.left[i] == 0)
            for i in clauses:
                self._told[i] += 1
            last = tick.living == 0 and whole == position
            whole += last
            if clauses or last:
                found.append(self._message(tick, clauses, last))
        for _ in range(whole):
            self._ticks.popleft()
        return found

    def _decide(self, asked: Asked, clause: int, verdict: int) -> None:
        asked.open &= ~(1 << clause)
        asked.tick.counts[clause][verdict] += 1
        asked.tick.left[clause] -= 1

    def _decide_open(self, asked: Asked, verdict: int) -> None:
        for clause in range(len(self._clauses)):
            if asked.open >> clause & 1:
                self._decide(asked, clause, verdict)

    def _over(self, asked: Asked, latency_s: float, status: int, error: str) -> None:
        asked.over = True
        tick = asked.tick
        tick.living -= 1
        if asked.bad and len(tick.exemplars) < EXEMPLARS_MAX:
            at_s = (asked.due_ns - self._schedule.t0_ns) / _NS
            tick.exemplars.append(Exemplar(round(at_s, 6), round(latency_s, 6), status, error))

    def _message(self, tick: _Tick, clauses: tuple[int, ...], last: bool) -> Tick:
        good_bad_unknown = tuple((c[0], c[1], c[2]) for c in (tick.counts[i] for i in clauses))
        if not last:
            return Tick(self._plan.check, tick.n, tick.scheduled, clauses, good_bad_unknown)
        return Tick(
            check=self._plan.check,
            n=tick.n,
            scheduled=tick.scheduled,
            clauses=clauses,
            counts=good_bad_unknown,
            last=True,
            histogram=tuple(sorted(tick.histogram.items())),
            exemplars=tuple(tick.exemplars),
            errors=tick.errors,
            stall_s=round(tick.stall_ns / _NS, 6),
        )


def bucket_of(latency_s: float) -> int:
    """The histogram's bucket: two percent wide, from a microsecond up."""
    return int(math.log(latency_s * 1e6) * _PER_BUCKET) if latency_s > 1e-6 else 0
