"""What every fault promises, tried on a real or a fake world: one call in a plug-in's test file."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar

import anyio
import msgspec

from chaos_runner.api import Absent, Doubt, Env, Fences, Leases, Present, Refused, Scans, Undo
from chaos_runner.records import Target

CALL_S = 10.0
MARK = "cx.conformance.{n}.4102444800"
_T = TypeVar("_T")


class World(Protocol):
    """What the fault acts on, for the check to look at."""

    async def state(self) -> Any:
        """Everything that a fault of this kind may touch, as a value that can be compared."""
        ...

    async def disturb(self) -> None:
        """Puts something of somebody else's beside it, that must survive."""
        ...


class BrokenLaw(AssertionError):
    """A fault does not keep what `api.Fault` promises."""


async def check_fault(fault: Any, selector: Any, env: Env, world: World) -> Undo:
    """Tries every promise of `api.Fault` once, harm included. Raises BrokenLaw naming the broken one."""
    target = await _targets(fault, selector, env)
    undo = await _prepared(fault, env, world, target)
    fault = msgspec.convert(undo.params, type(fault))  # as the guardian and recovery get it
    await world.disturb()
    if fault.reversible:
        await _without_harm(fault, env, world, undo)
    before = await world.state()
    await _leased(fault, env, undo)
    await _harm(fault, env, undo, target)
    if fault.reversible:
        await _found(fault, env, undo)
        await _healed(fault, env, world, undo, before)
        await _fenced(fault, env, world, undo, before)
    await _released(fault, env, undo)
    return undo


async def _targets(fault: Any, selector: Any, env: Env) -> Target:
    found: tuple[Target, ...] = await _soon(fault.targets(env, selector), "targets")
    _law(bool(found), "targets finds something to harm")
    _law(found == await _soon(fault.targets(env, selector), "targets"), "targets answers in a stable order")
    rights = await _soon(fault.rights(env, found[0]), "rights")
    _law(rights.allowed, f"rights allows the harm ({rights.why})")
    return found[0]


async def _prepared(fault: Any, env: Env, world: World, target: Target) -> Undo:
    before = await world.state()
    undo: Undo = await _soon(fault.prepare(env, target, MARK.format(n=1)), "prepare")
    _law(await world.state() == before, "prepare changes nothing")
    again = msgspec.json.decode(msgspec.json.encode(undo), type=Undo)
    _law(msgspec.json.encode(again) == msgspec.json.encode(undo), "the undo survives JSON")
    _law((undo.kind, undo.version) == (fault.kind, fault.version), "the undo names its kind and version")
    _law((undo.target, undo.mark) == (target, MARK.format(n=1)), "the undo carries the target and the mark")
    _law(msgspec.convert(again.params, type(fault)) == fault, "the undo's params make the same fault again")
    return again


async def _without_harm(fault: Any, env: Env, world: World, undo: Undo) -> None:
    before = await world.state()
    _law(isinstance(await _soon(fault.observe(env, undo), "observe"), Absent), "observe says absent before the harm")
    await _soon(fault.revert(env, undo), "revert")
    _law(await world.state() == before, "revert without harm changes nothing")


async def _harm(fault: Any, env: Env, undo: Undo, target: Target) -> None:
    await _soon(fault.inject(env, undo), "inject")
    _law(isinstance(await _soon(fault.observe(env, undo), "observe"), Present), "observe says present after inject")
    refused = False
    try:
        await _soon(fault.prepare(env, target, MARK.format(n=2)), "prepare")
    except Refused:
        refused = True
    _law(refused, "prepare refuses a target that is already harmed")


async def _found(fault: Any, env: Env, undo: Undo) -> None:
    able: object = fault
    if not isinstance(able, Scans):
        return
    left = [one for one in await _soon(fault.leftovers(env), "leftovers") if one.mark == undo.mark]
    _law(len(left) == 1, "leftovers finds the harm once, by its mark")
    _law(left[0].target.key == undo.target.key, "leftovers names the target")
    other = msgspec.convert(left[0].params, type(fault))
    _law(isinstance(await _soon(other.observe(env, left[0]), "observe"), Present), "a leftover can be observed")


async def _healed(fault: Any, env: Env, world: World, undo: Undo, before: Any) -> None:
    for time in ("once", "twice"):
        await _soon(fault.revert(env, undo), "revert")
        seen = await _soon(fault.observe(env, undo), "observe")
        _law(isinstance(seen, Absent), f"observe says absent after reverting {time}, not {seen}")
        _law(await world.state() == before, f"reverting {time} leaves all else as it was")


async def _fenced(fault: Any, env: Env, world: World, undo: Undo, before: Any) -> None:
    able: object = fault
    if not isinstance(able, Fences):
        return
    for _time in range(2):
        await _soon(fault.fence(env, undo), "fence")
    _law(isinstance(await _soon(fault.observe(env, undo), "observe"), Absent), "a fence is no harm")
    try:
        await _soon(fault.inject(env, undo), "inject")
    except (Refused, Doubt):
        pass
    else:
        raise BrokenLaw("inject fails while its name is fenced")
    for _time in range(2):
        await _soon(fault.unfence(env, undo), "unfence")
    _law(await world.state() == before, "unfence leaves nothing behind")


async def _leased(fault: Any, env: Env, undo: Undo) -> None:
    if isinstance(fault, Leases):
        known = await _soon(fault.leasable(env), "leasable")
        for _time in range(2):
            made = await _soon(fault.lease(env, undo, 30.0), "lease")
            _law(made == known, "lease is made exactly where leasable says so")
        _law(await _soon(fault.leased(env, undo), "leased") == known, "leased knows of the lease")


async def _released(fault: Any, env: Env, undo: Undo) -> None:
    if isinstance(fault, Leases):
        for _time in range(2):
            await _soon(fault.release(env, undo), "release")
        _law(not await _soon(fault.leased(env, undo), "leased"), "a lease that was released is none")


async def _soon(answer: Awaitable[_T], what: str) -> _T:
    try:
        with anyio.fail_after(CALL_S):
            return await answer
    except TimeoutError:
        raise BrokenLaw(f"{what} ends within {CALL_S:g} s") from None


def _law(kept: bool, law: str) -> None:
    if not kept:
        raise BrokenLaw(law)
