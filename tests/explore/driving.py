"""What may come of each command of a fault's life: `drive.Drive` against ledger, guardian and target.

The decisions are the product's: `lifecycle.step`, given by the rules. This module only says what the surroundings may
answer. A request to a target is one of: done and answered; not done; done, but the answer is lost; held by the
network, to land later (an injection perhaps a second time); answered well, and yet nothing happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from chaos_runner import lifecycle
from chaos_runner.lifecycle import Command, Event
from tests.explore.world import (
    DEAD,
    GONE,
    IDLE,
    NAMES,
    SEVERAL,
    C,
    G,
    Move,
    Proc,
    R,
    Rules,
    Scene,
    Task,
    World,
    fault_name,
    is_open,
    put,
    row_of,
    stepped,
    with_proc,
)


class At(NamedTuple):
    """One drive: which process, which of its tasks, and what it is to do next."""

    scene: Scene
    rules: Rules
    who: int
    task: int
    fault: int
    keep_on: bool = False

    def says(self, what: str) -> str:
        return f"{NAMES[self.who]}: {what}"


def alive(world: World, who: int) -> bool:
    return world.procs[who] not in (DEAD, GONE, IDLE)


def with_task(world: World, who: int, at: int, task: Task) -> World:
    proc: Proc = world.procs[who]
    return with_proc(world, who, tuple.__new__(Proc, (proc[0], put(proc[1], at, task), *proc[2:])))


def fed(at: At, world: World, event: Event) -> World:
    """The drive hears an answer: `Drive._follow`. What is saved while coming out is kept back: `Drive._defer`."""
    task: Task = world.procs[at.who].tasks[at.task]
    step = at.rules.orphan_step if at.who in (G, C) else at.rules.step
    going_in = task.life.state in {"PLANNED", "INTENT"} and not isinstance(event, lifecycle.UndoAsked)
    life, commands = stepped(step, task.life, event)
    unsaid, todo = task.unsaid, task.todo
    for command in commands:
        if isinstance(command, lifecycle.Save):
            row = row_of(command.state)
            if not going_in:
                unsaid = _unsaid(at, world, unsaid, row)
            elif row != "OPEN":  # INTENT, INJECTED and UNKNOWN are one to whoever recovers
                todo = (*todo, command)
        elif at.who == R or not isinstance(command, lifecycle.Disarm):
            todo = (*todo, command)
    return with_task(world, at.who, at.task, task._replace(life=life, todo=todo, unsaid=unsaid))


def _unsaid(at: At, world: World, before: str, row: str) -> str:
    if refused(at.rules, world, at.who, at.scene.faults[at.fault].run):
        return ""
    return "" if row == world.rows[at.fault] and not before else row


def refused(rules: Rules, world: World, who: int, run: int) -> bool:
    """Whether the ledger takes nothing from it any more: `ledger._assert_epoch`, `ThreadJournal._take_over`."""
    owner = world.runs[run].owner
    if who == G:
        return owner not in (G, R) or world.procs[G].deaf
    return owner != who and (rules.recovery_bumps or who != C)


def settled(at: At, world: World) -> World:
    """What nobody else can see happens at once: a watch that is left to others, a DISARM that nobody waits for.

    A drive that has nothing left to do has returned.
    """
    task: Task = world.procs[at.who].tasks[at.task]
    todo = task.todo
    while todo and _unseen(at, world, todo[0]):
        todo = todo[1:]
    over = task.over or not todo
    return world if todo is task.todo and over is task.over else _returned(at, world, task, todo, over=over)


def _returned(at: At, world: World, task: Task, todo: tuple[Command, ...], *, over: bool) -> World:
    return with_task(world, at.who, at.task, task._replace(todo=todo, over=over))


def _unseen(at: At, world: World, command: Command) -> bool:
    if isinstance(command, lifecycle.Watch):
        return not at.keep_on and command.seconds > 0
    guardian = world.procs[G]
    listens = alive(world, G) and guardian.phase == "watch" and guardian.held[at.fault]
    return isinstance(command, lifecycle.Disarm) and not listens


def drive(at: At, world: World) -> Iterator[Move]:
    """Everything that may come of the drive's next command."""
    task: Task = world.procs[at.who].tasks[at.task]
    head = task.todo[0]
    after = with_task(world, at.who, at.task, task._replace(todo=task.todo[1:]))
    yield from _OUTCOMES[type(head)](at, after, head)


def lost(world: World) -> World | None:
    left = world.left
    return world._replace(left=left._replace(lost=left.lost - 1)) if left.lost else None


def held(world: World, fault: int, what: str) -> World | None:
    left = world.left
    if not left.late:
        return None
    flights = tuple(sorted((*world.flights, (fault, what))))
    return world._replace(left=left._replace(late=left.late - 1), flights=flights)


def _save_intent(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`ledger.commit_intent`: asserts the epoch, and that the place on the target is free."""
    f, mine = at.fault, at.scene.faults[at.fault]
    run = world.runs[mine.run]
    ours = run.owner == at.who and not run.ended
    place = (mine.target, mine.aspect)
    taken = any(
        is_open(row) and (kind.target, kind.aspect) == place
        for row, kind in zip(world.rows, at.scene.faults, strict=True)
    )
    if at.rules.asserts_epoch and not ours:
        yield at.says(f"INTENT of {fault_name(f)} is refused: the run has another owner"), _no_intent(at, world)
        return
    if at.rules.one_per_aspect and taken:
        yield at.says(f"INTENT of {fault_name(f)} is refused: its place is held"), _no_intent(at, world)
        return
    done = world._replace(rows=put(world.rows, f, "OPEN"))
    if not ours or recovering(world, mine.run):
        done = done._replace(wrong="I2: an INTENT was committed although the run was taken over")
    yield at.says(f"commits INTENT of {fault_name(f)}"), fed(at, done, lifecycle.IntentSaved())
    if worse := lost(world):
        yield at.says(f"cannot commit INTENT of {fault_name(f)}: the disk is full"), _no_intent(at, worse)
        yield (
            at.says(f"commits INTENT of {fault_name(f)}, and is told that it failed"),
            _no_intent(at, worse._replace(rows=put(worse.rows, f, "OPEN"))),
        )


def recovering(world: World, run: int) -> bool:
    """Whether another process than its runner undoes this run."""
    recovery, guardian = world.procs[C], world.procs[G]
    by_recovery = alive(world, C) and recovery.run == run
    return by_recovery or (run == 0 and alive(world, G) and guardian.phase != "watch")


def _no_intent(at: At, world: World) -> World:
    return fed(at, world, lifecycle.IntentFailed(""))


def _arm(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`GuardianLine.arm` and `Guardian._arm`. The guardian of the second runner is not part of the model."""
    name = fault_name(at.fault)
    if at.who != R:
        yield at.says(f"its own guardian takes {name}"), fed(at, world, lifecycle.GuardianArmed())
        return
    failed = lifecycle.ArmFailed("")
    guardian = world.procs[G]
    if not alive(world, G) or guardian.phase != "watch":
        yield at.says(f"ARM {name}: nobody answers"), fed(at, world, failed)
        return
    armed = with_proc(world, G, guardian._replace(held=put(guardian.held, at.fault, True)))
    yield at.says(f"ARM {name}; the guardian holds the row"), fed(at, armed, lifecycle.GuardianArmed())
    if worse := lost(world):
        yield at.says(f"ARM {name}: the guardian does not get it"), fed(at, worse, failed)
    if worse := lost(armed):
        yield at.says(f"ARM {name}: the guardian holds the row, its answer is lost"), fed(at, worse, failed)


def _disarm(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`GuardianLine.disarm`: what was sent is read before the guardian takes over; it may not have been sent."""
    guardian, said = world.procs[G], at.says(f"DISARM {fault_name(at.fault)}")
    if not alive(world, G) or guardian.phase != "watch" or not guardian.held[at.fault]:
        yield f"{said}: nobody needs to hear it", world
        return
    yield said, with_proc(world, G, guardian._replace(held=put(guardian.held, at.fault, False)))
    if worse := lost(world):
        yield f"{said}: the line is full", worse


def _inject(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`Drive._inject`: once, no retries. A name that is taken is a definite refusal, and so is a missing lease."""
    f, name = at.fault, fault_name(at.fault)
    world = world._replace(wrong=_forbidden(at, world), sent=put(world.sent, f, True))
    landed = land(at.scene, world, f)
    if landed is world:
        yield at.says(f"sends {name}: refused, its name is taken"), fed(at, world, lifecycle.Denied(""))
    else:
        yield at.says(f"sends {name}; the target accepts it"), fed(at, landed, lifecycle.Accepted())
    doubt = lifecycle.Doubted("")
    if worse := lost(world):
        yield at.says(f"sends {name}: refused by the target"), fed(at, worse, lifecycle.Denied(""))
        yield at.says(f"sends {name}: the request is lost"), fed(at, worse, doubt)
    if worse := lost(landed):
        yield at.says(f"sends {name}: it lands, the reply is lost"), fed(at, worse, doubt)
    if late := held(world, f, "inject"):
        yield at.says(f"sends {name}: the network holds the request; no answer in time"), fed(at, late, doubt)
        if worse := lost(late):
            yield at.says(f"sends {name}: the network holds the request; a bug cuts the wait off"), worse
    if twice := held(landed, f, "inject"):
        yield at.says(f"sends {name}: it lands, no answer in time; a copy is held"), fed(at, twice, doubt)


def _forbidden(at: At, world: World) -> str:
    """What must be so at the moment a fault is sent."""
    f, guardian = at.fault, world.procs[G]
    if at.who in (G, C):
        return f"I11: the {NAMES[at.who]} injects"
    if not is_open(world.rows[f]):
        return "I1: a fault was sent without a durable INTENT"
    if at.who == R and alive(world, G) and guardian.phase == "watch" and not guardian.held[f]:
        return "I9: a fault was sent unarmed"
    return "a fault was sent twice" if world.sent[f] else ""


def land(scene: Scene, world: World, fault: int) -> World:
    """The injection reaches the target. The very same world when it does nothing."""
    if world.slots[fault] or (scene.lease and not world.leased):
        return world
    return world._replace(slots=put(world.slots, fault, "harm"))


def _observe(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`Drive._observe`: a fence reads as absent."""
    name = fault_name(at.fault)
    what: Any = "present" if world.slots[at.fault] == "harm" else "absent"
    yield at.says(f"reads {name}: {what}"), fed(at, world, lifecycle.Seen(what))
    worse = lost(world)
    if worse is None:
        return
    unreadable = lifecycle.Seen("unreadable")
    yield at.says(f"reads {name}: no answer"), fed(at, worse, unreadable)
    state = world.procs[at.who].tasks[at.task].life.state
    if state == "WATCHING" and at.keep_on:
        for _ in range(lifecycle.WATCH_LOOKS_MAX + 1):
            task = worse.procs[at.who].tasks[at.task]
            worse = fed(at, with_task(worse, at.who, at.task, task._replace(todo=())), unreadable)
        yield at.says(f"reads {name}: no answer, again and again"), worse


def _revert(at: At, world: World, command: Command) -> Iterator[Move]:
    """`Drive._revert`, and `unfence`, which deletes what is under the name just the same."""
    f, name = at.fault, fault_name(at.fault)
    unfences = isinstance(command, lifecycle.Unfence)
    well: Event = lifecycle.Unfenced() if unfences else lifecycle.Reverted()
    asks = f"frees the name of {name}" if unfences else f"reverts {name}"
    hand = world.hands[f]
    world = world._replace(hands=put(world.hands, f, at.who if hand in (-1, at.who) else SEVERAL))
    done = world._replace(slots=put(world.slots, f, "")) if at.scene.faults[f].reversible else world
    failed = lifecycle.RevertFailed("")
    yield at.says(asks), fed(at, done, well)
    if worse := lost(world):
        yield at.says(f"{asks}: the request is lost"), fed(at, worse, failed)
        if world.slots[f] == "harm":
            yield at.says(f"{asks}: answered well, and nothing happened"), fed(at, worse, well)
    if worse := lost(done):
        yield at.says(f"{asks}: done, the reply is lost"), fed(at, worse, failed)
    if late := held(world, f, "undo"):
        late = late._replace(hands=put(late.hands, f, SEVERAL))
        yield at.says(f"{asks}: the network holds the request"), fed(at, late, failed)


def _fence(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`Fences.fence`: occupies the name; an error where the fault itself has landed meanwhile."""
    f, name = at.fault, fault_name(at.fault)
    failed = lifecycle.RevertFailed("")
    if world.slots[f] == "harm":
        yield at.says(f"fences {name}: it has landed late"), fed(at, world, failed)
        return
    done = fenced(at.scene, world, f)
    if at.scene.lease and not world.leased:
        said = at.says(f"fences {name}: refused for want of a lease")
        yield said, fed(at, world, failed if at.rules.fence_needs_lease else lifecycle.Fenced())
        return
    yield at.says(f"fences {name}"), fed(at, done, lifecycle.Fenced())
    if worse := lost(world):
        yield at.says(f"fences {name}: the request is lost"), fed(at, worse, failed)
    if worse := lost(done):
        yield at.says(f"fences {name}: done, the reply is lost"), fed(at, worse, failed)
    if late := held(world, f, "fence"):
        yield at.says(f"fences {name}: the network holds the request"), fed(at, late, failed)


def fenced(scene: Scene, world: World, fault: int) -> World:
    """Where there is no lease a fence is refused, as a late injection will be."""
    if world.slots[fault] or (scene.lease and not world.leased):
        return world
    return world._replace(slots=put(world.slots, fault, "fence"))


def _retry(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`Drive._wait`: tries again, or its patience is over."""
    yield from drive(at, fed(at, world, lifecycle.RetryDue()))
    worse = lost(world)
    if worse and not at.keep_on:
        stuck = fed(at, worse, lifecycle.PatienceOver())
        task = stuck.procs[at.who].tasks[at.task]
        left = with_task(stuck, at.who, at.task, task._replace(todo=()))
        yield at.says(f"cannot undo {fault_name(at.fault)} for a minute: it is STUCK"), left


def _watch(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`Drive._watch`. What is under way lands before a watch is over."""
    if not under_way(at.scene, world, at.fault):
        yield at.says(f"the watch of {fault_name(at.fault)} is over"), fed(at, world, lifecycle.WatchOver())


def under_way(scene: Scene, world: World, fault: int) -> bool:
    """Whether a request is held, or a runner that nobody can stop, but that is not slow either, is about to send it."""
    if any(flight[0] == fault for flight in world.flights):
        return True
    if scene.stranger != "unseen" or not alive(world, R):
        return False
    sending = (lifecycle.ArmGuardian, lifecycle.Inject)
    tasks = world.procs[R].tasks
    return any(task.fault == fault and task.todo and isinstance(task.todo[0], sending) for task in tasks)


def _save(at: At, world: World, command: Command) -> Iterator[Move]:
    """A state that is written while going in: `RunJournal.save_state`."""
    state = row_of(command.state) if isinstance(command, lifecycle.Save) else ""
    yield from written(at, world, state)


def written(at: At, world: World, state: str) -> Iterator[Move]:
    """One write to a fault's row. A closed one stays closed: `ledger.set_fault_state`."""
    name, row = fault_name(at.fault), world.rows[at.fault]
    if refused(at.rules, world, at.who, at.scene.faults[at.fault].run) or not is_open(row):
        yield at.says(f"the ledger refuses {name} {state}"), world
        return
    yield at.says(f"writes {name} {state}"), world._replace(rows=put(world.rows, at.fault, state))
    if worse := lost(world):
        yield at.says(f"cannot write {name} {state}: the disk is full"), worse


_OUTCOMES: dict[type[Command], Any] = {
    lifecycle.SaveIntent: _save_intent,
    lifecycle.ArmGuardian: _arm,
    lifecycle.Disarm: _disarm,
    lifecycle.Inject: _inject,
    lifecycle.Observe: _observe,
    lifecycle.Revert: _revert,
    lifecycle.Unfence: _revert,
    lifecycle.Fence: _fence,
    lifecycle.Retry: _retry,
    lifecycle.Watch: _watch,
    lifecycle.Save: _save,
}
