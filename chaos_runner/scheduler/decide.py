"""What becomes of the slots of one instant: each gets a decision with its reason and all that was read for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from chaos_runner.environment import Environment
from chaos_runner.scheduler import gates, ranking
from chaos_runner.scheduler.gates import Asked, Facts
from chaos_runner.store import Reading, SlotRow


class Slot(msgspec.Struct, frozen=True):
    """A due slot, and what its calendar and its own past say: empty for yes."""

    asked: Asked
    calendar: str = ""
    pace: str = ""
    late_s: float = 0.0


class Decided(msgspec.Struct, frozen=True):
    """A decision; without a reason it is a yes."""

    slot: Slot
    readings: tuple[Reading, ...]
    reason: str = ""


class Reads(Protocol):
    """Where the signals come from."""

    async def read(self, asked: Asked, environment: Environment) -> tuple[Reading, ...]: ...


async def decide(
    slots: Sequence[Slot],
    facts: Facts,
    signals: Reads,
    of: Mapping[str, Environment],
    conclusive: Mapping[str, float],
) -> list[Decided]:
    """The decisions, the yes first, by rank. Only one of an environment, and one of a service, gets a yes."""
    ranked = sorted(slots, key=lambda slot: _rank(slot, conclusive, facts.at))
    judged = await asyncio.gather(*(_one(slot, facts, signals, of) for slot in ranked))
    taken: dict[tuple[str, str], str] = {}
    settled = [_alone(one, taken) for one in judged]
    return sorted(settled, key=lambda one: bool(one.reason))


def _rank(slot: Slot, conclusive: Mapping[str, float], now: float) -> tuple[float, str]:
    asked = slot.asked
    return -ranking.weight(asked.criticality, conclusive.get(asked.schedule), now), asked.schedule


async def _one(slot: Slot, facts: Facts, signals: Reads, of: Mapping[str, Environment]) -> Decided:
    asked = slot.asked
    readings = (_paced(slot, facts), *gates.local(asked, facts, slot.calendar))
    if not gates.reason(readings):
        readings += await signals.read(asked, of[asked.environment])
    return Decided(slot, readings, gates.reason(readings))


def _paced(slot: Slot, facts: Facts) -> Reading:
    return Reading("pace", not slot.pace, slot.pace, f"{slot.late_s:.1f} s late", facts.at)


def _alone(one: Decided, taken: dict[tuple[str, str], str]) -> Decided:
    """The first of an environment and of a service in this instant; the others wait for their next slot."""
    asked = one.slot.asked
    keys = [("environment", asked.environment)] + ([("service", asked.service)] if asked.service else [])
    if one.reason:
        return one
    held = next((key for key in keys if key in taken), None)
    if held is None:
        taken.update(dict.fromkeys(keys, asked.schedule))
        return one
    why = f"the {held[0]} {held[1]} goes to {taken[held]} in this slot"
    readings = tuple(_no(reading, why) if reading.gate == "concurrency" else reading for reading in one.readings)
    return Decided(one.slot, readings, f"concurrency: {why}")


def _no(reading: Reading, why: str) -> Reading:
    return msgspec.structs.replace(reading, ok=False, why=why)


def row(one: Decided, now: float, *, run: str = "", owner: str = "", level: int = 0) -> SlotRow:
    """The decision as it is kept."""
    asked = one.slot.asked
    return SlotRow(
        schedule=asked.schedule,
        instant=asked.instant,
        decision="RUN" if run else "SKIP",
        reason=one.reason,
        run=run,
        owner=owner,
        decided_at=now,
        environment=asked.environment,
        service=asked.service,
        level=level,
        readings=one.readings,
    )


def missed(asked: Asked, first: float, last: float, count: int, now: float) -> SlotRow:
    """One row for all the slots that passed while nobody could decide them."""
    many = f"{count} slots" if count > 1 else "1 slot"
    reason = f"missed: {many} from {_clock(first)} to {_clock(last)} passed while no daemon looked"
    return SlotRow(
        schedule=asked.schedule,
        instant=asked.instant,
        decision="SKIP",
        reason=reason,
        decided_at=now,
        environment=asked.environment,
        service=asked.service,
        missed=count,
    )


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
