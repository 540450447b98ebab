"""When to stop calling a dependency, and when to try again. Pure: the caller brings the time."""

from __future__ import annotations

from collections import deque

import msgspec

WINDOW = 20  # the last outcomes that count


class Ticket(msgspec.Struct, frozen=True):
    """Leave to make one call; an outcome counts only in the state that allowed the call."""

    generation: int
    trial: bool


class Breaker:
    """Closed, until too many of the last calls failed; then open for a while; then one trial call decides."""

    def __init__(self, *, calls_min: int, share: float, open_for_s: float) -> None:
        self._calls_min = calls_min
        self._share = share
        self._open_for_s = open_for_s
        self._outcomes: deque[bool] = deque(maxlen=WINDOW)
        self._generation = 0
        self._opened_at: float | None = None
        self._trial_out = False

    def state(self, now: float) -> str:
        """`closed`, `open` or `half-open`."""
        if self._opened_at is None:
            return "closed"
        return "half-open" if now - self._opened_at >= self._open_for_s else "open"

    def admit(self, now: float) -> Ticket | None:
        """A ticket for one call, or None: do not call."""
        state = self.state(now)
        if state == "open" or (state == "half-open" and self._trial_out):
            return None
        self._trial_out = state == "half-open"
        return Ticket(self._generation, self._trial_out)

    def record(self, ticket: Ticket, *, ok: bool, now: float) -> None:
        """Counts the outcome of an admitted call. Outcomes that arrive after a change of state are history."""
        if ticket.generation != self._generation:
            return
        if ticket.trial:
            self._change(None if ok else now)
            return
        self._outcomes.append(ok)
        failed = self._outcomes.count(False)
        if len(self._outcomes) >= self._calls_min and failed >= self._share * len(self._outcomes):
            self._change(now)

    def _change(self, opened_at: float | None) -> None:
        self._opened_at = opened_at
        self._trial_out = False
        self._generation += 1
        self._outcomes.clear()


class RetryBudget:
    """Retries may be a share of calls and no more: each call earns `share` of a retry, up to `saved_max`."""

    def __init__(self, *, share: float, saved_max: float = 10.0) -> None:
        self._share = share
        self._saved_max = saved_max
        self._saved = 0.0

    def earn(self) -> None:
        """One call was made."""
        self._saved = min(self._saved_max, self._saved + self._share)

    def spend(self) -> bool:
        """Takes one retry from the budget, if there is one."""
        # The sum of many tenths falls short of a whole by a hair.
        if self._saved < 1.0 - 1e-9:
            return False
        self._saved -= 1.0
        return True
