"""Faults of requests on the real Toxiproxy: their toxic is on an HTTP stage that the proxy is led through."""

from __future__ import annotations

import contextlib
from typing import ClassVar

import anyio
import msgspec

from chaos_runner.api import Absent, Doubt, Drifted, Env, Observation, Proof, Refused, Rights, Undo, Unreadable
from chaos_runner.clients import toxics
from chaos_runner.clients.toxics import Proxy
from chaos_runner.faults import _marks, _proxies, _removal, _stage
from chaos_runner.faults._placed import Placed
from chaos_runner.records import Target

HARM_S = 0.5  # for taking the toxic off the stage first; the upstream is led back whatever comes of it
WORDS = (
    "through an HTTP stage on this machine, where its upstream is led for that time; its live connections are"
    " dropped when that begins and when it ends"
)


class Staged(Placed, frozen=True, kw_only=True):
    """A fault whose toxic only the embedded proxy knows; where the operator allows it, a real one gets a stage.

    The toxic is on the stage before the proxy leads there: leading it there is the one deed.
    """

    finds_bare: ClassVar[bool] = False  # one kind finds the marks of stages that led nowhere yet

    async def rights(self, env: Env, target: Target) -> Rights:
        """As ever; and what a stage means for whoever uses the proxy."""
        if not await _stage.wanted(env):
            return await super().rights(env, target)
        await _proxies.current(env, target)
        return Rights(note=f"{target.key}: {self.kind} reaches its requests {WORDS}")

    async def prepare(self, env: Env, target: Target, mark: str) -> Undo:
        """As ever; and a stage, which nothing leads to yet. A proxy with a stage has no other fault."""
        if not await _stage.wanted(env):
            return await super().prepare(env, target, mark)
        proxy = await _proxies.unclaimed(env, target, mark)
        if not proxy.enabled:
            raise Refused(f"{target.key} is disabled: nothing passes that could be hit")
        for other in proxy.toxics:
            if _marks.marked(other.name):
                raise Refused(f"{target.key} already carries {other.name}: an HTTP stage has a proxy to itself")
        return Undo(
            kind=self.kind,
            version=self.version,
            mark=mark,
            target=target,
            params=msgspec.to_builtins(self),
            before=_proxies.snapshot(proxy) | {"stage": await _stage.begun(env, proxy, mark)},
        )

    async def inject(self, env: Env, undo: Undo) -> None:
        """The toxic; with a stage first there, where it hits nothing yet, then the proxy is led through it."""
        if not _stage.staged(undo):
            await super().inject(env, undo)
            return
        await super().inject(*await _stage.inside(env, undo))
        await _stage.put_in(env, undo)

    async def observe(self, env: Env, undo: Undo) -> Observation:
        """Whether the toxic hits requests, as it was sent; absent only once no mark of a stage is left."""
        if not _stage.staged(undo):
            return await super().observe(env, undo)
        try:
            proxies = await (await _proxies.server(env)).proxies()
        except (Refused, Doubt) as why:
            return Unreadable(str(why))
        proxy = proxies.get(_proxies.name_of(undo))
        left = [name for end in ("", _stage.TRACE, _stage.TRIAL) if (name := undo.mark + end) in proxies]
        if proxy is not None and proxy.upstream == _stage.of(undo).listen:
            return await self._behind(env, undo, proxy)
        mine = proxy.toxic(undo.mark) if proxy is not None else None
        if left or (mine is not None and not _marks.is_fence(mine)):
            there = f"leads to {proxy.upstream}, past its HTTP stage" if proxy is not None else "is gone"
            return Drifted(f"{undo.target.key} {there}; {', '.join(left) or undo.mark} is still there")
        if proxy is None:
            return Absent(drift=f"{undo.target.key} was deleted by somebody else")
        return Absent(drift=_proxies.drift(undo, proxy))

    async def _behind(self, env: Env, undo: Undo, proxy: Proxy) -> Observation:
        """The toxic on the stage that the proxy leads to."""
        seen: Observation = Unreadable(f"no answer within {_stage.ANSWER_S:g} s")
        try:
            with anyio.move_on_after(_stage.ANSWER_S):
                seen = await super().observe(*await _stage.inside(env, undo))
        except (Refused, Doubt) as why:
            seen = Unreadable(str(why))
        if isinstance(seen, Unreadable):
            return Drifted(f"the HTTP stage that {undo.target.key} leads to does not answer: {seen.why}")
        if isinstance(seen, Absent):
            return Drifted(f"{undo.target.key} leads to an HTTP stage that passes everything")
        if not proxy.enabled:
            return Drifted(f"{undo.target.key} was disabled: nothing passes the HTTP stage")
        return seen

    async def revert(self, env: Env, undo: Undo) -> None:
        """Takes the toxic away; with a stage, then leads the proxy back to where it led."""
        if not _stage.staged(undo):
            await super().revert(env, undo)
            return
        with contextlib.suppress(Refused, Doubt), anyio.move_on_after(HARM_S):
            there, _ = await _stage.inside(env, undo)
            await (await _proxies.server(there)).remove_toxic(_proxies.name_of(undo), undo.mark)
        await _stage.take_out(env, undo)

    async def unfence(self, env: Env, undo: Undo) -> None:
        """Gives the name free."""
        await _removal.remove(env, undo)

    async def before(self, env: Env, undo: Undo) -> dict[str, float]:
        """The counters; nobody counts before a stage is there, so how much passes is measured with its first hit."""
        if not _stage.staged(undo):
            return await super().before(env, undo)
        return {"affected": 0.0}

    async def effect(self, env: Env, undo: Undo, before: dict[str, float]) -> Proof | None:
        """Requests that were hit since. With a stage `before` is told how much passes, once."""
        if not _stage.staged(undo):
            return await super().effect(env, undo, before)
        there, inner = await _stage.inside(env, undo)
        proof = await super().effect(there, inner, before)
        if proof is not None and "exchanges_per_s" not in before:
            before |= await _proxies.traffic(there, _proxies.name_of(undo)) or {"exchanges_per_s": 0.0}
        return proof and msgspec.structs.replace(proof, evidence=f"{proof.evidence}, by its HTTP stage")

    async def leasable(self, env: Env) -> bool:
        """Whether this is the embedded proxy, or a stage would be put behind it."""
        return await _stage.wanted(env) or await super().leasable(env)

    async def lease(self, env: Env, undo: Undo, ttl_s: float) -> bool:
        """Makes or renews the run's lease. From a stage that does not answer the proxy is led away at once."""
        if not _stage.staged(undo):
            return await super().lease(env, undo, ttl_s)
        try:
            with anyio.fail_after(_stage.ANSWER_S):
                return await super().lease(*await _stage.inside(env, undo), ttl_s)
        except (Refused, Doubt, TimeoutError) as why:
            await _stage.lead_past(env, undo)
            raise Doubt(f"the HTTP stage of {undo.target.key} does not answer: {why}") from None

    async def leased(self, env: Env, undo: Undo) -> bool:
        """Whether the run's lease is alive. A stage that does not answer from here keeps none."""
        if not _stage.staged(undo):
            return await super().leased(env, undo)
        try:
            with anyio.fail_after(_stage.ANSWER_S):
                return await super().leased(*await _stage.inside(env, undo))
        except (Refused, Doubt, TimeoutError):
            return False

    async def release(self, env: Env, undo: Undo) -> None:
        """Ends the run's lease; a stage ends with it."""
        if not _stage.staged(undo):
            await super().release(env, undo)
            return
        with contextlib.suppress(toxics.Unreachable):  # a stage that has ended keeps no lease
            await super().release(*await _stage.inside(env, undo))

    @classmethod
    async def reach(cls, env: Env) -> None:
        """Reads the proxies, and has ready what undoing takes."""
        from chaos_runner.clients import stages

        assert stages.MOVE_S
        await super().reach(env)

    @classmethod
    async def behind(cls, env: Env) -> tuple[Undo, ...]:
        """What stages of this kind have left on this server."""
        undos, bare = await _stage.leftovers(env)
        found = [undo for undo in undos if undo.kind == cls.kind]
        if cls.finds_bare:
            found += [
                Undo(cls.kind, cls.version, mark, _proxies.target(proxy), {}, _proxies.snapshot(proxy) | {"stage": {}})
                for proxy, mark in bare
            ]
        return tuple(found)
