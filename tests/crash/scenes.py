"""Each way to die, played once for one point: a run, a recovery, a guardian, a request on its way, a failing disk."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.crash import tracer
from tests.crash.bench import DEATH_S, GONE, START_S, Slot
from tests.crash.judge import Look, Seen, judged, lives
from tests.crash.relay import Call, Moment, Role
from tests.crash.tracer import Where

LONG = 400  # beats: a run that holds until it is killed
LATE_S = 0.25
LATE_MAX_S = 10.0  # the fault itself comes when it has been undone
LEASE_S = 1.0
COMMAND_S = 90.0


class Knock(NamedTuple):
    """The n-th request of a role, and how far it has come when its sender is killed."""

    role: Role
    n: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.role}'s request {self.n} {self.moment}"


def run_dies(slot: Slot, where: Where) -> Seen:
    """The runner is killed; its guardian undoes, and a recovery finds nothing that it would have to inject."""
    slot.fresh()
    code, died = slot.play("run", where)
    look = Look(slot, died).until_settled()
    return _recovered(slot, where, code == -signal.SIGKILL, look)


def disk_fails(slot: Slot, where: Where) -> Seen:
    """A write of the ledger fails: nothing is injected without its intent, and what was injected is undone."""
    slot.fresh()
    code, died = slot.play("run", where)
    look = Look(slot, died).until_settled()
    if code == 0 and look.clean_s:
        look.problems.add("the run ended well, and its fault outlived it")
    if code not in {0, 1}:
        look.problems.add(f"exit code {code}")
    return _recovered(slot, where, "INJECTED" in _trace(slot), look)


EXPERIMENT = """\
kind: experiment/v1
name: crash
hypothesis: a run that is killed leaves nothing
steady_state:
  users:
    probe: http
    with: {{url: "http://127.0.0.1:{port}", path: /version, rate: 10/s, timeout: 5s}}
    expect: [success >= 50%]
baseline: 8s
blast_radius: {{at_once: 1, in_total: 1, max_duration: 30s}}
method:
  - fault: toxic
    target: {{proxy: p}}
    with: {{type: latency, latency: 50ms}}
    confirm: [read-back]
    for: 3s
recovery: {{within: 20s}}
"""
CONFIGURATION = """\
kind: config/v1
environments: {{here: {{confirm: none, toxiproxy: {{url: "{url}"}}}}}}
"""


def command_dies(slot: Slot, where: Where, trace: Path | None = None) -> Seen:
    """As `run_dies`, but the run is a person's `chaos-runner run`, whose guardian calls at the same door."""
    slot.fresh()
    (slot.folder / "e.yaml").write_text(EXPERIMENT.format(port=slot.api.port))
    (slot.folder / "chaos-runner.yaml").write_text(CONFIGURATION.format(url=slot.relay.doors["runner"]))
    code, died = slot.play("command", where, trace=trace, limit_s=COMMAND_S)
    look = Look(slot, died).until_settled()
    return _recovered(slot, where, code == -signal.SIGKILL, look)


def recovery_dies(slot: Slot, where: Where, template: Path, *, harmed: bool = True) -> Seen:
    """A recovery is killed; the next one finishes."""
    slot.fresh(template)
    if harmed:
        slot.lay()
    code, died = slot.play("recovery", where)
    return _recovered(slot, where, code == -signal.SIGKILL, Look(slot, died))


def guardian_dies(slot: Slot, where: Where | None, trace: Path | None = None) -> Seen:
    """A guardian is killed while it takes over; a recovery finishes."""
    slot.fresh()
    options = where.options() if where else []
    with holding(slot) as (runner, guardian):
        with tracer.attached(guardian, options, trace or slot.state / "trace", threads=True):
            look = dead(slot, runner).until_settled(dead=guardian)
        reached = not lives(guardian)
    return _recovered(slot, where, reached, look)


@contextlib.contextmanager
def holding(slot: Slot, lease_s: float = 0.0) -> Iterator[tuple[int, int]]:
    """A run that holds its fault, and its guardian."""
    runner = slot.start("run", beats=LONG, lease_s=lease_s)
    os.kill(runner, signal.SIGCONT)
    assert tracer.until(lambda: slot.said().get("state") == "INJECTED", START_S), slot.log.read_text()
    yield runner, int(slot.said()["guardian"])


def dead(slot: Slot, runner: int) -> Look:
    """Kills the runner; what there is to see from then on."""
    os.kill(runner, signal.SIGKILL)
    return Look(slot, slot.ended(runner)[1])


def knocked(slot: Slot, knock: Knock, template: Path | None = None) -> Seen:
    """Somebody is killed while its request is on its way; a request that was received lands all the same, later."""
    slot.fresh(template)
    if template is not None:
        slot.lay()
    victims: list[int] = []
    hit = []

    def fail(call: Call, number: int, moment: Moment) -> None:
        if (call.role, number, moment) == knock and victims:
            hit.append(call)
            for pid in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if moment == "received":
                tracer.until(lambda: slot.ledger.fault() in GONE, LATE_MAX_S if call.injects else LATE_S)

    slot.relay.failpoint = fail
    died = _played(slot, knock.role, victims)
    look = Look(slot, died)
    if knock.role != "recovery":
        look.until_settled(dead=victims[0])
    assert slot.relay.quiet()
    return _recovered(slot, knock, bool(hit), look)


def _played(slot: Slot, role: Role, victims: list[int]) -> float:
    """Lets the role do its work, and be killed in it; when that was."""
    if role != "guardian":
        pid = slot.start("run" if role == "runner" else "recovery")
        victims.append(pid)
        os.kill(pid, signal.SIGCONT)
        return slot.ended(pid)[1]
    with holding(slot) as (runner, guardian):
        victims.append(guardian)
        os.kill(runner, signal.SIGKILL)
        return slot.ended(runner)[1]


def both_die(slot: Slot, where: Where, knock: Knock) -> Seen:
    """The runner is killed at a system call, and its guardian at a request of the undoing; a recovery finishes."""
    slot.fresh()

    def fail(call: Call, number: int, moment: Moment) -> None:
        if (call.role, number, moment) == knock:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(slot.said()["guardian"]), signal.SIGKILL)

    slot.relay.failpoint = fail
    code, died = slot.play("run", where)
    look = Look(slot, died).until_settled(dead=int(slot.said().get("guardian", 0)))
    return _recovered(slot, f"{where} and {knock}", code == -signal.SIGKILL, look)


def lease_lapses(slot: Slot, knock: Knock) -> Seen:
    """Runner and guardian are killed at once, and nobody recovers: the embedded proxy itself ends the fault."""
    slot.fresh()
    hit = []

    def fail(call: Call, number: int, moment: Moment) -> None:
        if (call.role, number, moment) == knock:
            hit.append(call)
            for pid in (int(slot.said()["guardian"]), runner):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    runner = slot.start("run", lease_s=LEASE_S)
    slot.relay.failpoint = fail
    os.kill(runner, signal.SIGCONT)
    look = Look(slot, slot.ended(runner)[1]).until_settled()
    if look.clean_s > 2 * LEASE_S:
        look.problems.add(f"the lease lapsed only after {look.clean_s:.1f} s")
    return _recovered(slot, f"both at {knock}", bool(hit), look)


def left(slot: Slot) -> Path:
    """A state folder as a run leaves it that died, guardian and all, while its fault was on the target."""
    slot.fresh()
    code, _ = slot.play("leave")
    assert code == 0, slot.log.read_text()
    return slot.state


def _recovered(slot: Slot, point: object, reached: bool, look: Look) -> Seen:
    """Whoever is left is killed, and `recover` has the last word."""
    slot.clear()
    assert slot.relay.quiet(DEATH_S)
    look.harmed()
    code, _ = slot.play("recovery")
    if code != 0 or slot.said().get("left"):
        look.problems.add(f"the recovery ended with {code}: {slot.log.read_text()[-2000:]}")
    look.harmed()
    return judged(slot, point, reached, look)


def _trace(slot: Slot) -> str:
    trace = slot.state / "trace"
    return trace.read_text(errors="replace") if trace.exists() else ""
