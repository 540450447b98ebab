"""Sends each request at its intended time, whatever the answers do, and settles it exactly once.

One timer paces the sends, one heartbeat does everything that is due to time: limits, timeouts, stalls, reports.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from chaos_runner.wire import LoadPlan, Tick
from chaos_runner.worker.alarm import Alarm
from chaos_runner.worker.pool import Pool
from chaos_runner.worker.reply import Reply
from chaos_runner.worker.request import Judge, check_plan, request_bytes
from chaos_runner.worker.stalls import Stalls
from chaos_runner.worker.tally import Asked, Schedule, Tally

_NS = 1_000_000_000
_LATE_NS_MAX = 60 * _NS


class OpenLoop:
    """A running load. `say` gets each tick as it becomes final; call `start` once and `beat` every 20 ms."""

    def __init__(
        self,
        plan: LoadPlan,
        t0_ns: int,
        say: Callable[[Tick], None],
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        check_plan(plan)
        now_ns = clock_ns()
        if now_ns - t0_ns > _LATE_NS_MAX:
            msg = f"the first request was due {(now_ns - t0_ns) / _NS:.0f} s ago; at most 60 s are caught up with"
            raise ValueError(msg)
        self._say = say
        self._clock_ns = clock_ns
        self._judge = Judge(plan.success)
        self._schedule = Schedule(plan, t0_ns)
        self._tally = Tally(plan, self._schedule)
        self._stalls = Stalls(min(now_ns, t0_ns))
        self._pool = Pool(
            plan,
            request_bytes(plan),
            self._judge.keeps_body,
            on_replied=self._replied,
            on_failed=self._failed,
            clock_ns=clock_ns,
        )
        self._limits = _limits(plan)
        self._timeout_ns = int(plan.timeout_s * _NS)
        self._unsettled: deque[Asked] = deque()  # in order of intended time, hence of timeout
        self._next_k = 0
        self._next_due_ns = t0_ns
        self._alarm = Alarm(self._pace)
        self._stopped = False

    def start(self) -> None:
        self._pace()

    def stop(self) -> None:
        """Sends no further request; `done` follows within the timeout."""
        if self._stopped:
            return
        self._stopped = True
        self._alarm.close()
        self._observe(self._clock_ns())
        self._send_due()
        self._tally.cut(self._clock_ns())

    def close(self) -> None:
        """Ends it at once and leaves nothing open."""
        self.stop()
        self._pool.close()

    @property
    def done(self) -> bool:
        return self._stopped and self._tally.done

    def beat(self) -> None:
        now_ns = self._clock_ns()
        self._observe(now_ns)
        self._apply_limits(now_ns)
        self._apply_timeouts(now_ns)
        self._pool.reap(now_ns)
        self._tally.begin(now_ns)
        for tick in self._tally.ready(now_ns):
            self._say(tick)

    def _pace(self) -> None:
        if self._stopped:
            return
        self._observe(self._clock_ns())
        self._send_due()
        self._alarm.set(self._next_due_ns)

    def _send_due(self) -> None:
        """Sends what is due; what was due during a stall is not sent late in a burst, it is unknown."""
        now_ns = self._clock_ns()
        self._tally.begin(now_ns)
        while self._next_due_ns <= now_ns:
            asked = self._tally.ask()
            self._next_k += 1
            self._next_due_ns = self._schedule.due_ns(self._next_k)
            if asked.due_ns <= self._stalls.blind_until_ns:
                self._tally.unknown(asked)
                continue
            self._unsettled.append(asked)
            for _, _, waiting in self._limits:
                waiting.append(asked)
            self._pool.send(asked)

    def _observe(self, now_ns: int) -> None:
        """Must come before any judgement: after a stall the first thing that runs may be a reply."""
        stall_ns, blinds = self._stalls.observe(now_ns)
        if stall_ns:
            self._tally.begin(now_ns)
            self._tally.stalled(now_ns - stall_ns, now_ns)
        if blinds:
            for asked in self._unsettled:
                self._tally.unknown(asked)

    def _replied(self, asked: Asked, reply: Reply) -> None:
        now_ns = self._clock_ns()
        self._observe(now_ns)
        error = self._judge.error(reply.status, reply.content)
        self._tally.reply(asked, now_ns, reply.status, error is None, error or "")

    def _failed(self, asked: Asked, error: str) -> None:
        now_ns = self._clock_ns()
        self._observe(now_ns)
        self._tally.failed(asked, now_ns, error)

    def _apply_limits(self, now_ns: int) -> None:
        for clause, limit_ns, waiting in self._limits:
            while waiting and now_ns - waiting[0].due_ns > limit_ns:
                self._tally.limit(waiting.popleft(), clause)

    def _apply_timeouts(self, now_ns: int) -> None:
        while self._unsettled and now_ns - self._unsettled[0].due_ns > self._timeout_ns:
            asked = self._unsettled.popleft()
            self._tally.failed(asked, now_ns, self._pool.give_up(asked))


def _limits(plan: LoadPlan) -> tuple[tuple[int, int, deque[Asked]], ...]:
    """(clause, limit, requests in order) for each latency clause that is decided before the timeout."""
    return tuple(
        (i, int(clause.limit_s * _NS), deque())
        for i, clause in enumerate(plan.clauses)
        if clause.metric == "slower" and clause.limit_s < plan.timeout_s
    )
