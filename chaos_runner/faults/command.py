"""Harm that only your own programs can do: three argv lists, one to do it, one to undo it, one to tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from chaos_runner.api import Absent, Doubt, Env, Observation, Present, Refused, Rights, Undo, Unreadable
from chaos_runner.clients import commands
from chaos_runner.expect import Duration
from chaos_runner.model import Name, Value, Where
from chaos_runner.records import Target

LIMIT_S = 5.0
Argv = Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)]


class CommandSelector(Value, frozen=True):
    """A name for what the commands act on; reports and the blast radius count it as one target."""

    name: Annotated[Name, Meta(description="what the commands act on, such as cache-node")]


class CommandFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Runs a program of the operator's that harms, and one that takes the harm back.

    Only programs under the environment's `commands:` are run, without a shell and with a bare environment; the mark
    and the target are in CHAOS_MARK and CHAOS_TARGET. `undo` must be safe to repeat, and to run when nothing was done.
    """

    kind: ClassVar[str] = "command"
    version: ClassVar[int] = 1
    reversible: ClassVar[bool] = True
    selector: ClassVar[type[msgspec.Struct]] = CommandSelector

    do: Annotated[Argv, Meta(description="does the harm; exit status 0 says it is done")]
    undo: Annotated[Argv, Meta(description="takes it back; exit status 0 says it is gone")]
    verify: Annotated[Argv, Meta(description="tells: exit status 0 no harm, 1 harm, anything else: cannot tell")]
    timeout: Annotated[Duration, Meta(description="how long each of them may take, at most 5s")] = LIMIT_S

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        for name in ("do", "undo", "verify"):
            if why := commands.misfit(getattr(self, name)):
                yield (name, 0), why
        if not 0.1 <= self.timeout <= LIMIT_S:
            yield ("timeout",), f"between 100ms and {LIMIT_S:g}s"

    def aspect(self) -> str:
        """The place that this occupies."""
        return "command"

    async def targets(self, env: Env, selector: CommandSelector) -> tuple[Target, ...]:
        """The name itself."""
        return (Target(key=f"command/{selector.name}"),)

    async def rights(self, env: Env, target: Target) -> Rights:
        """Whether the operator allowed all three programs."""
        whys = [commands.check(env, argv) for argv in (self.do, self.undo, self.verify)]
        why = next((why for why in whys if why), "")
        return Rights(not why, why)

    async def prepare(self, env: Env, target: Target, mark: str) -> Undo:
        """The three argv lists. Raises Refused unless `verify` says that there is no harm yet."""
        undo = Undo(kind=self.kind, version=self.version, mark=mark, target=target, params=msgspec.to_builtins(self))
        match await self.observe(env, undo):
            case Absent():
                return undo
            case Unreadable(why):
                raise Refused(f"{target.key}: cannot tell whether it is harmed: {why}")
            case _:
                raise Refused(f"{target.key} is already harmed: `verify` says so")

    async def inject(self, env: Env, undo: Undo) -> None:
        """Runs `do` once. One that fails may have done half of it."""
        result = await self._run(env, self.do, undo)
        if result.exit != 0:
            raise Doubt(f"`do` ended with {result.exit}: {result.words}")

    async def observe(self, env: Env, undo: Undo) -> Observation:
        """What `verify` says."""
        try:
            result = await self._run(env, self.verify, undo)
        except (Refused, Doubt) as why:
            return Unreadable(str(why))
        if result.exit == 0:
            return Absent()
        return Present() if result.exit == 1 else Unreadable(f"`verify` ended with {result.exit}: {result.words}")

    async def revert(self, env: Env, undo: Undo) -> None:
        """Runs `undo`."""
        result = await self._run(env, self.undo, undo)
        if result.exit != 0:
            raise Doubt(f"`undo` ended with {result.exit}: {result.words}")

    async def _run(self, env: Env, argv: tuple[str, ...], undo: Undo) -> commands.Result:
        extra = {"CHAOS_MARK": undo.mark, "CHAOS_TARGET": undo.target.key}
        return await commands.run(env, argv, self.timeout, extra)
