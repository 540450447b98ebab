"""What must be so in every state. I1-I14 are the protocol's invariants; what a model cannot say is tested elsewhere.

here: I1 what is on a target, or on its way, has an open row · I2 no INTENT after a takeover · I3 one open fault for
each place · I4 in part: a runner gives a fault up only after a minute, and while runner or guardian lives the fault
goes without anybody's help · I5 every state is undone by whoever and how often · I7 no run is called clean while
something of it is there or under way · I8 a write that fails changes nothing but the ledger · I9 nothing is sent
unarmed, and who is armed holds the row until it is closed · I11 only runners inject · also: nothing is sent twice;
a fence holds while whoever made it looks after it; from every state a clean end can be reached.

elsewhere: the seconds of I4 (tests/guardian) · I6 what is not ours (the faults' conformance checks) · I10 levers
(tests/engine: a stop at any moment is part of the model, who reads the lever is not) · I12 clocks (tests/engine,
tests/recover) · I13 secrets (tests/guardian) · I14 verdict and cleanup (tests/judge)
"""

from __future__ import annotations

from itertools import combinations

from tests.explore.hearing import alive
from tests.explore.world import DEAD, SEVERAL, C, G, Proc, R, S, Scene, World, fault_name, is_open


def broken(scene: Scene, world: World) -> str:
    """The first invariant that this state breaks, in a sentence; empty when it is well."""
    return (
        world.wrong
        or _on_targets(scene, world)
        or _places(scene, world)
        or _reported(scene, world)
        or _deserted(scene, world)
    )


def _on_targets(scene: Scene, world: World) -> str:
    for f, kind in enumerate(scene.faults):
        harm = world.slots[f] == "harm"
        if not harm and (f, "inject") not in world.flights:
            continue
        row, what = world.rows[f], "is on its target" if harm else "is on its way"
        if not is_open(row) and (kind.reversible or row != "SPENT"):
            return f"I1: {fault_name(f)} {what}, and its row is {row or 'missing'}"
        if harm and kind.reversible and not _remembered(world, f, kind.run):
            return f"I9: {fault_name(f)} {what}, and its guardian has forgotten it"
    return ""


def _remembered(world: World, fault: int, run: int) -> bool:
    guardian = world.procs[G]
    if run or not alive(world, G) or guardian.phase != "watch" or not alive(world, R):
        return True
    return bool(guardian.held[fault])


def _places(scene: Scene, world: World) -> str:
    open_faults = [f for f, row in enumerate(world.rows) if is_open(row)]
    for one, other in combinations(open_faults, 2):
        a, b = scene.faults[one], scene.faults[other]
        if (a.target, a.aspect) == (b.target, b.aspect):
            return f"I3: {fault_name(one)} and {fault_name(other)} are open at one place"
    return ""


def _reported(scene: Scene, world: World) -> str:
    for n, run in enumerate(world.runs):
        if run.ended != "CLEAN":
            continue
        for f, kind in enumerate(scene.faults):
            harm = world.slots[f] == "harm" or (f, "inject") in world.flights
            if kind.run == n and kind.reversible and harm:
                return f"I7: run {'AB'[n]} is called CLEAN, and {fault_name(f)} is there"
    return ""


def _deserted(scene: Scene, world: World) -> str:
    """Nobody died, nothing was lost, nobody was told that something is left: then nobody goes before the fault does."""
    if (world.left.deaths, world.left.lost) != (scene.deaths, scene.lost) or world.runs[0].ended == "LEFT":
        return ""
    there = [f for f, kind in enumerate(scene.faults) if kind.run == 0 and kind.reversible and world.slots[f] == "harm"]
    if not there or any(alive(world, who) for who in (R, G, C)):
        return ""
    return f"I4: {fault_name(there[0])} is on its target, and everybody has gone"


def finished(scene: Scene, world: World) -> bool:
    """All is over: nothing on the targets, nothing open in the ledger, nobody at work but who waits for nothing."""
    rows = not any(map(is_open, world.rows))
    slots = not any(_unwell(scene, world, f) for f, kind in enumerate(scene.faults) if kind.reversible)
    ended = all(run.ended for run in world.runs if run.owner >= 0)
    return rows and slots and ended and not world.flights and not any(alive(world, who) for who in (R, G, C, S))


def _unwell(scene: Scene, world: World, fault: int) -> bool:
    """Harm; or a fence, which is harmless: where a death, a lost reply or a second undoer left it, a scan finds it."""
    untroubled = (world.left.deaths, world.left.lost) == (scene.deaths, scene.lost)
    slot = world.slots[fault]
    return slot == "harm" or (slot == "fence" and untroubled and world.hands[fault] != SEVERAL)


def _anywhere(_scene: Scene, _world: World) -> bool:
    return True


def _harmless(scene: Scene, world: World) -> bool:
    """Nothing on a target of run A, or on its way there."""
    there = (
        kind.run == 0 and kind.reversible and (world.slots[f] == "harm" or (f, "inject") in world.flights)
        for f, kind in enumerate(scene.faults)
    )
    return not any(there)


def _someone(_scene: Scene, world: World) -> bool:
    """Runner or guardian did not die, and nobody was told that something is left for recovery."""
    runner, guardian = world.procs[R], world.procs[G]
    guards = alive(world, G) and not _gave_up(guardian)
    if alive(world, R):
        in_doubt = any(task.life.state == "STUCK" or not task.life.certain for task in runner.tasks)
        return guards or not in_doubt
    told = world.runs[0].ended in {"LEFT", "WATCHING"} or DEAD in (runner, guardian)
    return guards or not told


def _gave_up(guardian: Proc) -> bool:
    """A target that stays away is not watched for ever: `lifecycle._look_again`."""
    return guardian.phase == "second" and any(task.over and task.life.open for task in guardian.tasks)


ENDS = (
    ("from here no clean end can be reached", _anywhere, finished, True),
    ("I4: runner or guardian lives, and the fault stays without help from recovery", _someone, _harmless, False),
)
