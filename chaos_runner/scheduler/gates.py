"""Whether a due slot may run, by what is known without asking anybody. Each gate that cannot tell says no.

Pure: what was looked up is the argument.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from chaos_runner.store import Armed, Block, Paused, Reading


class Asked(msgspec.Struct, frozen=True):
    """One due slot: what would run, where, and when it was due."""

    schedule: str
    experiment: str
    environment: str
    service: str
    instant: float
    criticality: float = 1.0


class Facts(msgspec.Struct, frozen=True):
    """What store and levers said at one moment, `at`; `trouble` is why they could not be asked."""

    at: float
    lever: Mapping[tuple[str, str, str], str] = {}
    armed: Mapping[str, Armed] = {}
    paused: Mapping[str, Paused] = {}
    blocked: Mapping[str, Block] = {}
    open_faults: Mapping[str, int] = {}
    busy_environments: Mapping[str, str] = {}
    busy_services: Mapping[str, str] = {}
    trouble: str = ""


def local(asked: Asked, facts: Facts, calendar: str) -> tuple[Reading, ...]:
    """One reading a gate, the first no included; `calendar` is why the calendar says no, empty for yes."""
    if facts.trouble:
        return (Reading("store", False, facts.trouble, asked_at=facts.at),)
    rows = (
        ("enabled", _enabled(asked), f"criticality {asked.criticality:g}"),
        ("paused", _paused(asked, facts), ""),
        ("levers", _lever(asked, facts), ""),
        ("calendar", calendar, ""),
        ("armed", _armed(asked, facts), _until(asked, facts)),
        ("blocked", _blocked(asked, facts), ""),
        ("concurrency", _busy(asked, facts), ""),
        ("open faults", _open(asked, facts), str(facts.open_faults.get(asked.environment, 0))),
    )
    return tuple(Reading(gate, not why, why, value, facts.at) for gate, why, value in rows)


def reason(readings: tuple[Reading, ...]) -> str:
    """The first no, in words; empty when every gate said yes."""
    return next((f"{one.gate}: {one.why}" for one in readings if not one.ok), "")


def _enabled(asked: Asked) -> str:
    return "its criticality is negative: it never runs on its own" if asked.criticality < 0 else ""


def _paused(asked: Asked, facts: Facts) -> str:
    one = facts.paused.get(asked.schedule)
    return f"by {one.who}: {one.reason}" if one else ""


def _lever(asked: Asked, facts: Facts) -> str:
    return facts.lever.get((asked.environment, asked.service, asked.experiment), "the levers were not looked at")


def _armed(asked: Asked, facts: Facts) -> str:
    one = facts.armed.get(asked.environment)
    if one is None:
        return f"{asked.environment} is not armed; chaos-runner schedule arm {asked.environment} --by NAME --until TIME"
    if one.armed_until <= facts.at:
        return f"{asked.environment} was armed by {one.who}, and that has run out"
    return ""


def _until(asked: Asked, facts: Facts) -> str:
    one = facts.armed.get(asked.environment)
    return f"until {one.armed_until:.0f} by {one.who}" if one else ""


def _blocked(asked: Asked, facts: Facts) -> str:
    one = facts.blocked.get(asked.schedule)
    if one is None:
        return ""
    return f"{one.reason}; chaos-runner schedule ack {asked.schedule} --by NAME --reason WHY"


def _open(asked: Asked, facts: Facts) -> str:
    count = facts.open_faults.get(asked.environment, 0)
    return f"{count} open in {asked.environment}; chaos-runner status" if count else ""


def _busy(asked: Asked, facts: Facts) -> str:
    if asked.environment in facts.busy_environments:
        return f"{asked.environment} is taken by {facts.busy_environments[asked.environment]}"
    if asked.service and asked.service in facts.busy_services:
        return f"the service {asked.service} is taken by {facts.busy_services[asked.service]}"
    return ""
