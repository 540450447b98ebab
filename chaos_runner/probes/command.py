"""A program of the operator's that tells something: its exit status, what it prints, a value in its JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from chaos_runner.api import Doubt, Env, Metric, Reading, Refused, Unknown
from chaos_runner.clients import commands
from chaos_runner.expect import Duration
from chaos_runner.model import Where
from chaos_runner.probes import _values

LIMIT_S = 8.0


class CommandProbe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Runs a program under the environment's `commands:`, without a shell and with a bare environment."""

    kind: ClassVar[str] = "command"

    argv: Annotated[tuple[str, ...], Meta(description="the program and its arguments", min_length=1, max_length=100)]
    timeout: Annotated[Duration, Meta(description="how long it may take, at most 8s")] = 5.0

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        if why := commands.misfit(self.argv):
            yield ("argv", 0), why
        if not 0.1 <= self.timeout <= LIMIT_S:
            yield ("timeout",), f"between 100ms and {LIMIT_S:g}s"

    def metrics(self) -> tuple[Metric, ...]:
        """What a clause may name."""
        return (
            Metric("exit", "gauge", "number", "the exit status"),
            Metric("stdout", "gauge", "text", "what it printed, without the last newline"),
            Metric("json.", "gauge", "any", "a value in the JSON it printed, by its path"),
        )

    def reads(self, env: Env) -> str:
        """The program. Raises Refused when it is not allowed."""
        if why := commands.check(env, self.argv):
            raise Refused(why)
        return " ".join(self.argv)

    async def read(self, env: Env) -> Reading:
        """Runs it once."""
        try:
            result = await commands.run(env, self.argv, self.timeout)
        except (Refused, Doubt) as why:
            raise Unknown(str(why)) from None
        if result.cut:
            raise Unknown(f"'{self.argv[0]}' printed more than {commands.OUTPUT_BYTES_MAX} bytes")
        values: dict[str, Any] = {"exit": result.exit, "stdout": result.stdout.rstrip("\n")}
        return Reading(values | _values.flat(result.stdout))
