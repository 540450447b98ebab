"""Has everything ready that msgspec makes of a type when it first meets it: in two threads at once, that is a crash."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import msgspec

from chaos_runner.gameday.scenario import Scenario
from chaos_runner.plan import Plan
from chaos_runner.render.planned import Planned


def rehearse(more: Iterable[type]) -> None:
    """For the types of stored plans and scenarios, and `more`; before there are threads."""
    fields = [one.type for one in msgspec.structs.fields(Planned)]
    for kind in (Plan, Scenario, *fields, *more):
        with contextlib.suppress(msgspec.ValidationError):
            msgspec.convert({}, kind)
