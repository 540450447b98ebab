"""What is asked after each point: is anything left, was anything done twice, did the ledger ever say too much?"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.crash.bench import GONE, SETTLE_S, Slot

LOOK_S = 0.008
ONCE = ("IntentCommitted", "FaultInjected", "FaultReverted", "FaultClosed", "RunEnded")
LEASE = "/chaos-runner/v1/leases/"


class Seen(NamedTuple):
    """One point: whether it was reached, how long the fault outlived the death, and all that was wrong."""

    point: str
    reached: bool
    clean_s: float
    problems: tuple[str, ...]

    @property
    def leaked(self) -> bool:
        return any(one.startswith("leak") for one in self.problems)


class Look:
    """Looks at target and ledger; `clean_s` is from the death to the first look that saw no fault any more."""

    def __init__(self, slot: Slot, died: float) -> None:
        self.slot, self.died = slot, died
        self.clean_s = 0.0
        self.problems: set[str] = set()
        self._was = False

    def until_settled(self, limit_s: float = SETTLE_S, *, dead: int = 0) -> Look:
        """Looks until nobody will do anything more: all are gone, or `dead` is, or only a watch is left."""
        end = time.monotonic() + limit_s
        while not self._settled(self.harmed()) and not self._left_alone(dead):
            if time.monotonic() > end:
                self.problems.add(f"not settled: {self.slot.ledger.run()} {self.slot.ledger.fault()}")
                break
            time.sleep(LOOK_S)
        return self

    def harmed(self) -> bool:
        """One look."""
        before = self.slot.ledger.fault()
        harmed = self.slot.harm()
        if harmed or self._was:
            self.clean_s = time.monotonic() - self.died
        self._was = harmed
        if harmed and before in GONE:
            self.problems.add(f"the ledger says {before}, and the fault is on the target")
        if harmed and not self.slot.ledger.fault():
            self.problems.add("a fault on the target, and no row of it")
        return harmed

    def _settled(self, harmed: bool) -> bool:
        if harmed:
            return False
        ledger = self.slot.ledger
        return not self.slot.living() or (ledger.run() == "ENDED" and ledger.fault() in {"", "WATCHING", "CLOSED"})

    def _left_alone(self, dead: int) -> bool:
        return bool(dead) and not lives(dead) and self.slot.living() in ([], [dead])


def lives(pid: int) -> bool:
    """Whether the process is there, and no zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in {b"Z", b"X"}
    return False


def judged(slot: Slot, point: object, reached: bool, look: Look | None = None) -> Seen:
    """Everything that is wrong once all are dead and a recovery has been there."""
    problems = [*sorted(look.problems if look else ()), *_target(slot), *_ledger(slot), *_calls(slot)]
    return Seen(str(point), reached, look.clean_s if look else 0.0, tuple(problems))


def _target(slot: Slot) -> Iterator[str]:
    if slot.harm():
        yield "leak: the fault is still on the target"
    if slot.others() != slot.before:
        yield f"somebody else's things were changed: {slot.others()}"


def _ledger(slot: Slot) -> Iterator[str]:
    run, fault = slot.ledger.run(), slot.ledger.fault()
    if slot.ledger.damage:
        yield f"the ledger cannot be read: {slot.ledger.damage}"
    if run not in {"", "ENDED"}:
        yield f"the run is {run} after a recovery"
    if fault not in {"", *GONE}:
        yield f"the row is {fault} after a recovery"
    for kind, times in Counter(record["type"] for record in slot.ledger.records()).items():
        if kind in ONCE and times > 1:
            yield f"twice: {times} records {kind}"


def _calls(slot: Slot) -> Iterator[str]:
    calls, removed, there = slot.relay.calls, 0, False
    harming = [call for call in calls if call.injects]
    yield from (f"injected by {call.role}: {call}" for call in harming if call.role != "runner")
    yield from (f"injected without an intent: {call}" for call in harming if not call.intent)
    if len(harming) > 1:
        yield f"twice: injected {len(harming)} times"
    for call in calls:
        there = there or (call.injects and call.status == 200)
        if call.removes and call.status == 204 and there:
            removed, there = removed + 1, False
        if call.method != "GET" and not _ours(call.path, call.body):
            yield f"touched what is not ours: {call}"
    if removed > 1:
        yield f"twice: undone {removed} times at the target"
    yield from _verified(slot)


def _ours(path: str, body: dict[str, object]) -> bool:
    if path == "/proxies/p/toxics":
        return str(body.get("name", "")).startswith("cx.")
    return path.startswith((LEASE, "/proxies/p/toxics/cx."))


def _verified(slot: Slot) -> Iterator[str]:
    """Who says that a fault is reverted has read the target after asking for it."""
    for record in slot.ledger.records():
        if record["type"] != "FaultReverted":
            continue
        mine = [call for call in slot.relay.calls if call.role == record.get("by", "runner")]
        if not mine:
            continue  # done before this point
        first = next((n for n, call in enumerate(mine) if call.removes), len(mine))
        if not any(call.method == "GET" and call.path == "/proxies/p" for call in mine[first:]):
            yield f"not verified: {record}: {mine}"
