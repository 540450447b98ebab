"""What the faults of processes share: one named process, and which ones are never touched."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from chaos_runner.api import Env, Refused, Rights, Undo
from chaos_runner.clients import processes
from chaos_runner.clients.processes import Identity, Status
from chaos_runner.model import Value
from chaos_runner.records import Target


class ProcessSelector(Value, frozen=True):
    """One process that the environment names under `processes:`."""

    process: Annotated[str, Meta(description="the name of a process of the environment", min_length=1)]


def target(name: str, status: Status) -> Target:
    """The process as a target; its uid is of this very process, not of the next one under its name."""
    identity = status.identity
    return Target(key=f"process/{name}", uid=f"{identity.pid}:{identity.start_time}:{identity.boot_id}")


def found(env: Env, name: str) -> Status:
    """The process as it is now. Raises Refused where there is none, or where it is the runner's own."""
    try:
        status = processes.find(env, name)
    except processes.Gone as why:
        raise Refused(str(why)) from None
    if not status.alive:
        raise Refused(f"process '{name}' (pid {status.identity.pid}) is dead")
    if processes.is_ours(status.identity.pid):
        raise Refused(f"process '{name}' (pid {status.identity.pid}) is the runner's own, or init")
    return status


def current(env: Env, planned: Target) -> Status:
    """As `found`, and it is the one that was planned."""
    name = planned.key.removeprefix("process/")
    status = found(env, name)
    if target(name, status) != planned:
        raise Refused(f"{planned.key} is not the one that was planned: it was restarted")
    return status


def rights(env: Env, planned: Target) -> Rights:
    """Whether we may send it signals."""
    status = current(env, planned)
    try:
        allowed = processes.may_signal(status.identity)
    except processes.Gone as why:
        raise Refused(str(why)) from None
    return Rights(allowed, "" if allowed else f"we may not send signals to process {status.identity.pid}")


def undo(fault: Any, planned: Target, mark: str, status: Status) -> Undo:
    """All that stopping and continuing it needs."""
    return Undo(
        kind=fault.kind,
        version=fault.version,
        mark=mark,
        target=planned,
        params=msgspec.to_builtins(fault),
        before=msgspec.to_builtins(status.identity),
    )


def identity(undo: Undo) -> Identity:
    """The very process that `prepare` saw."""
    return msgspec.convert(undo.before, Identity)
