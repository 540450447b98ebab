"""Looks at every request, commit and change, and says which invariant was broken. It asks nobody: it sees everything.

R3 no late request lands where a fence is · I1 intent before effect · I2 no intent of an old epoch · I3 one open fault
for a place · I4 lifetime (in `bounds`) · I6 foreign state · I7 clean only when clean · I9 armed before injecting ·
I10 no intent after the lever · I11 only runners inject, once · I13 no secret in the ledger. I5 and I8 come out as
broken bounds; I12 as the same bounds under a clock that is stepped; I14 is not a matter of time.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import trio

from chaos_runner.records import RunEnded
from chaos_runner.store import FaultRow, SqliteStore, Stamped
from tests.sim.guards import SimLine
from tests.sim.net import Net, Request
from tests.sim.process import Proc, Story
from tests.sim.server import Answer, Server


class Live(msgspec.Struct):
    """One time that a fault was really there. `late`: by a request that arrived long after it was sent."""

    fault: str
    place: str
    begin: float
    late: bool = False
    end: float = math.inf

    @property
    def run(self) -> str:
        return self.fault.partition(".")[0]


class Watcher:
    """`broken` are the sentences; empty when all is well."""

    def __init__(self, server: Server, ledger: SqliteStore, story: Story) -> None:
        self.server, self.ledger, self.story = server, ledger, story
        self.lines: dict[str, SimLine | None] = {}
        self.broken: list[str] = []
        self.lives: list[Live] = []
        self.sent: dict[str, int] = {}
        self.lever_t = math.inf
        self._now: dict[tuple[str, str], Live] = {}
        self._whose: dict[int, tuple[Request, str]] = {}
        self.fenced_late: set[str] = set()
        self.fences_hold = True  # until the server loses what it knows
        self._unfenced_t: dict[str, float] = {}  # by fault: when its name was last given free; infinite for by chance
        self._landing: tuple[str, bool] = ("", False)
        server.on_change = self.changed

    def breaks(self, law: str, why: str) -> None:
        self.broken.append(f"{law}: {why} (at {trio.current_time():.3f})")
        self.story.tell("observer", f"!! {law}: {why}")

    # --- requests --------------------------------------------------------------------------------------------

    def sending(self, request: Request) -> None:
        if not request.harms:
            return
        if request.proc.kind != "runner":
            self.breaks("I11", f"{request.proc.name} injects: {request}")
            return
        fault = self._fault(request)
        self._whose[id(request)] = (request, fault)
        self.sent[fault] = self.sent.get(fault, 0) + 1
        if self.sent[fault] > 1:
            self.breaks("I11", f"{fault} is injected twice")
        if self._row(fault) is None:
            self.breaks("I1", f"{fault or request} is sent without a durable intent")
        line = self.lines.get(request.proc.name)
        if line is not None and fault not in line.armed:
            self.breaks("I9", f"{fault} is sent, and the guardian has not taken it")

    def _fault(self, request: Request) -> str:
        """Which fault sends this: its mark says so, or what its runner has just committed for this proxy."""
        name = str((request.body or {}).get("name", ""))
        if name.startswith("cx."):
            return ".".join(name.split(".")[1:3])
        target = f"proxy/{request.path.split('/')[2].partition('?')[0]}"
        own = [row for row in self.ledger.faults(request.proc.name.replace("runner", "r")) if row.target.key == target]
        return next((row.id for row in reversed(own) if row.kind == "proxy_down"), "")

    def _row(self, fault: str) -> FaultRow | None:
        return next((row for row in self.ledger.faults(fault.partition(".")[0]) if row.id == fault), None)

    def landing(self, request: Request, late: bool) -> None:
        """Before it lands: whose the harm will be."""
        self._landing = (
            (self._whose.get(id(request), (request, ""))[1], late) if request.harms else (self._remade(), late)
        )

    def _remade(self) -> str:
        """Whose undo is making a proxy again: until that is done, the proxy is down because of this fault."""
        traces = [name for name in self.server.proxies if name.startswith("cx.")]
        return ".".join(traces[0].split(".")[1:3]) if traces else ""

    def landed(self, request: Request, answer: Answer, late: bool) -> None:
        name = request.path.split("/")[-1]
        if request.method == "DELETE" and name.startswith("cx."):
            fault = ".".join(name.split(".")[1:3])
            self._unfenced_t[fault] = math.inf if late else max(self._unfenced_t.get(fault, 0.0), trio.current_time())
        self._fenced(request, answer)
        if request.harms and late:
            self.story.tally["late injection landed" if answer[0] < 300 else "late injection was kept out"] += 1
            self._late(request, answer)
        if Net.by_ladder(request):
            self.fences_hold = False
        self._landing = ("", False)

    def _fenced(self, request: Request, answer: Answer) -> None:
        """Notes a fence that is made for a fault which is closed by now."""
        body = request.body or {}
        mark = str(body.get("name", ""))
        if mark.startswith("cx.") and (body.get("type"), body.get("toxicity")) == ("noop", 0.0) and answer[0] < 300:
            row = self._row(".".join(mark.split(".")[1:3]))
            if row is not None and not row.open:
                self.fenced_late.add(row.id)

    def _late(self, request: Request, answer: Answer) -> None:
        """On record as undone and watched: then its name is occupied, unless a removal came since."""
        row = self._row(self._landing[0])
        if row is not None and row.run in self.server.lapsed:
            self.story.tally["late, where the lease had taken the fence away"] += 1
            return  # a known gap: a lease that lapsed can be made again by a renewal, and its fences are gone
        if not self.fences_hold or row is None or row.kind != "toxic" or row.state != "WATCHING" or answer[0] >= 300:
            return
        if trio.current_time() - self._unfenced_t.get(row.id, 0.0) > 1.0:
            self.breaks("R3", f"{row.id} lands late, and nothing occupies its name")

    def changed(self) -> None:
        """What of ours is there, compared with a moment ago."""
        now = trio.current_time()
        live = set(self.server.live())
        for key in [key for key in self._now if key not in live]:
            self._now.pop(key).end = now
        for place, mark in sorted(live - self._now.keys()):
            fault = ".".join(mark.split(".")[1:3]) if mark.startswith("cx.") else self._landing[0]
            one = Live(fault, f"{place} {mark}", now, late=self._landing[1])
            self._now[place, mark] = one
            self.lives.append(one)
            if self._row(fault) is None:
                self.breaks("I1", f"{place} {mark} is there without a durable intent")

    # --- commits ---------------------------------------------------------------------------------------------

    def committed(self, proc: Proc, name: str, call: Any) -> None:
        args, kwargs = call
        match name:
            case "commit_intent":
                self._intent(proc, args[0])
            case "set_fault_state":
                self.story.tell(proc.name, f"ledger: {args[0]} {args[2]}")
                if args[2] == "CLOSED":
                    self._closed(proc, args[0])
            case "end_run":
                self._ended(proc, args[0], args[2], kwargs.get("record"))
            case "take_over":
                self.story.tell(proc.name, f"ledger: takes {args[0]} over", "taken over")
            case _:
                pass

    def _intent(self, proc: Proc, row: FaultRow) -> None:
        self.story.tell(proc.name, f"ledger: {row.id} INTENT ({row.kind} on {row.target.key})", "intents")
        run = self.ledger.run(row.run)
        if run is None or (run.epoch, run.state) != (row.epoch, "RUNNING"):
            self.breaks("I2", f"{row.id} is committed by a runner whose run was taken over")
        place = (row.target.key, row.aspect)
        held = [one.id for one in self.ledger.open_faults() if (one.target.key, one.aspect) == place]
        if len(held) > 1:
            self.breaks("I3", f"{' and '.join(held)} are open at {place}")
        if trio.current_time() > self.lever_t:
            self.breaks("I10", f"{row.id} is begun after the lever was pulled")

    def now_live(self, of: str) -> list[Live]:
        """What is there of a run or of a fault."""
        return [one for one in self._now.values() if of in (one.fault, one.run)]

    def _closed(self, proc: Proc, fault: str) -> None:
        if self.now_live(fault):
            self.breaks("I7", f"{proc.name} closes {fault}, which is on its target")

    def _ended(self, proc: Proc, run: str, headline: str, record: Stamped | None) -> None:
        assert record is not None
        assert isinstance(record.record, RunEnded)
        outcome = record.record.outcome
        self.story.tell(proc.name, f"ledger: {run} ends {headline}, {outcome.cleanup}: {outcome.why[:90]}", headline)
        live = [one for one in self.now_live(run) if not one.late]
        if outcome.cleanup in {"CLEAN", "WATCHING"} and live:
            self.breaks("I7", f"{run} ends {outcome.cleanup}, and {live[0].place} is there")
        if outcome.cleanup == "LEFT" and (headline != "NOT_REVERTED" or f"{run}." not in outcome.why):
            self.breaks("I7", f"{run} left something and says {headline}: {outcome.why}")
