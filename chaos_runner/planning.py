"""Discovers an experiment's targets and makes its plan. Only reads: GET requests and nothing else leave from here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import msgspec

from chaos_runner import expect, forecast, judge, plan
from chaos_runner.api import LEASE_TTL_S, Asks, Bounded, Bounds, Doubt, Env, Leases, Probe, Refused, Scans, Streams
from chaos_runner.load.shapes import fields
from chaos_runner.model import Check, Experiment, FaultStep, ParallelStep, Pick
from chaos_runner.plan import Found, Plan, Refusal
from chaos_runner.sampling import metric_of

DISCOVERY_S = 20.0
SILENCE_S = 5.0  # how long a runner may be silent before its guardian acts
KILL_S = 1.0  # for killing it and sending the first revert
JANITOR_S = 120.0  # one a minute, which believes a mark's expiry when it is a minute past


async def resolve(
    experiment: Experiment,
    env: Env,
    faults: Mapping[str, type[Any]],
    probes: Mapping[str, type[Any]],
    seed: int,
    *,
    guarded: bool = True,
) -> Plan:
    """The plan for this experiment in this environment. Raises Refusal with one sentence; touches nothing.

    It counts on a guardian where one would outlive its runner (`guarded`).
    """
    try:
        with anyio.fail_after(DISCOVERY_S):
            readers = readers_of(experiment, probes)
            for probe in readers.values():
                await _readable(probe, env)
            keep = experiment.blast_radius.keep_available
            found = [await _find(step, lane, asked, env, faults, keep) for step, lane, asked in _asked(experiment)]
            made = plan.make(experiment, env.name, env.environment, tuple(found), seed)
            notes = await _check_rights(made, env, faults)
            leased = await _leasable(made, env, faults)
    except (Refused, Doubt) as why:
        msg = f"not started: {why}"
        raise Refusal(msg) from None
    except TimeoutError:
        msg = f"not started: the targets did not answer within {DISCOVERY_S:g} s"
        raise Refusal(msg) from None
    planned = _forecast(_layered(made, faults, leased=leased, guarded=guarded), readers)
    return msgspec.structs.replace(planned, warnings=notes + planned.warnings)


async def _readable(probe: Probe, env: Env) -> None:
    """Raises Refused or Doubt where the probe could read nothing."""
    probe.reads(env)
    able: object = probe
    if isinstance(able, Asks):
        await able.understood(env)


async def renew(
    filed: Plan, env: Env, faults: Mapping[str, type[Any]], probes: Mapping[str, type[Any]], *, guarded: bool = True
) -> Plan:
    """A plan from a file as it may run today: resolved again, with the file's victims. Raises Refusal."""
    try:
        fresh = await resolve(filed.experiment, env, faults, probes, filed.seed, guarded=guarded)
        return plan.renew(filed, fresh)
    except (KeyError, msgspec.ValidationError) as why:
        msg = f"not started: the plan speaks of what is not known here: {why}"
        raise Refusal(msg) from None


def readers_of(experiment: Experiment, probes: Mapping[str, type[Any]]) -> dict[str, Probe]:
    """The probe of each check."""
    return {name: msgspec.convert(check.with_, probes[check.probe]) for name, check in experiment.steady_state.items()}


def rules_of(experiment: Experiment, readers: Mapping[str, Probe]) -> tuple[judge.Rule, ...]:
    """What the judge needs to know about every clause."""
    return judge.rules(
        experiment, {name: _measured(check, readers[name]) for name, check in experiment.steady_state.items()}
    )


def load_rate(readers: Mapping[str, Probe]) -> float:
    """The highest request rate of any check; 0 when nothing streams."""
    rates = [
        probe.events_per_second() for probe in readers.values() if isinstance(probe, Streams) and probe.streaming()
    ]
    return max(rates, default=0.0)


def _measured(check: Check, probe: Probe) -> tuple[judge.Measured, ...]:
    streaming = isinstance(probe, Streams) and probe.streaming()
    return tuple(
        judge.Measured(
            kind=metric_of(probe, clause).kind,
            events_per_second=probe.events_per_second() if streaming and isinstance(probe, Streams) else 0.0,
            lag_s=probe.lag_s(clause) if streaming and isinstance(probe, Streams) else 0.0,
        )
        for clause in check.clauses()
    )


def _layered(made: Plan, faults: Mapping[str, type[Any]], *, leased: bool, guarded: bool) -> Plan:
    """With who undoes when the runner is gone, and how soon; 0 where nothing bounds it."""
    there = {"runner": True, "guardian": guarded, "lease": leased}
    if guarded:
        bound_s = SILENCE_S + KILL_S
    elif leased:
        bound_s = LEASE_TTL_S + KILL_S
    else:
        bound_s = made.experiment.blast_radius.max_duration + JANITOR_S if _marked(made, faults) else 0.0
    layers = tuple(name for name, is_there in there.items() if is_there)
    return msgspec.structs.replace(made, layers=layers, bound_s=bound_s)


def _marked(made: Plan, faults: Mapping[str, type[Any]]) -> bool:
    """Whether a janitor finds all that has to be undone by the marks on the targets."""
    kinds = [(planned, faults[planned.kind]) for planned in made.faults if planned.reversible]
    return all(isinstance(msgspec.convert(planned.params, kind), Scans) for planned, kind in kinds)


def _forecast(made: Plan, readers: Mapping[str, Probe]) -> Plan:
    rules = rules_of(made.experiment, readers)
    refused = forecast.refusals(rules, made.experiment)
    if refused:
        msg = f"not started: {refused[0]}"
        raise Refusal(msg)
    return msgspec.structs.replace(
        made,
        forecasts=forecast.forecasts(rules),
        warnings=forecast.warnings(rules, made.experiment),
    )


def _asked(experiment: Experiment) -> list[tuple[int, int, FaultStep]]:
    asked: list[tuple[int, int, FaultStep]] = []
    for step, one in enumerate(experiment.method):
        if isinstance(one, FaultStep):
            asked.append((step, 0, one))
        elif isinstance(one, ParallelStep):
            asked += [(step, lane, inner) for lane, inner in enumerate(one.parallel)]
    return asked


async def _find(
    step: int, lane: int, asked: FaultStep, env: Env, faults: Mapping[str, type[Any]], keep: Mapping[str, int]
) -> Found:
    fault = msgspec.convert(asked.with_, faults[asked.fault])
    selector = msgspec.convert(asked.target, fault.selector)
    bounds = await _bounds(fault, env, selector, keep)
    return Found(
        step=step,
        lane=lane,
        asked=asked,
        kind=asked.fault,
        version=fault.version,
        aspect=fault.aspect(),
        reversible=fault.reversible,
        matched=bounds.targets,
        limits=bounds.limits,
        parts=bounds.parts,
        keeps=isinstance(fault, Bounded),
        pick=getattr(selector, "pick", Pick()),
        named=getattr(selector, "named", False),
        selector=" ".join(f"{key} {value}" for key, value in asked.target.items() if key != "pick"),
        said=_said(faults[asked.fault], asked.with_),
    )


async def _bounds(fault: Any, env: Env, selector: Any, keep: Mapping[str, int]) -> Bounds:
    able: object = fault
    if isinstance(able, Bounded):
        return await able.bounded(env, selector, keep)
    return Bounds(await fault.targets(env, selector))


def _said(kind: type[Any], params: Mapping[str, Any]) -> str:
    """The fault's own fields as an author would write them; what says nothing is left out."""
    words = []
    cls: Any = kind
    for field in fields(cls):
        value = params.get(field.key)
        if value is None or value in ({}, (), [], "", False):
            continue
        unit = next((inner.rules.unit for inner in (field.shape, *field.shape.of) if inner.rules.unit), "")
        words.append(
            f"{field.key}: {expect.written(unit, value) if unit and isinstance(value, float) else _flow(value)}"
        )
    return ", ".join(words)


def _flow(value: Any) -> str:
    """A value on one line, as YAML has it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(one) for one in value) + "]"
    return str(value)


async def _check_rights(made: Plan, env: Env, faults: Mapping[str, type[Any]]) -> tuple[str, ...]:
    """What people should know beforehand. Raises Refused."""
    notes: dict[str, None] = {}
    for planned in made.faults:
        fault = msgspec.convert(planned.params, faults[planned.kind])
        rights = await fault.rights(env, planned.target)
        if not rights.allowed:
            msg = f"{planned.target.key}: {rights.why}"
            raise Refused(msg)
        notes |= {rights.note: None} if rights.note else {}
    return tuple(notes)


async def _leasable(made: Plan, env: Env, faults: Mapping[str, type[Any]]) -> bool:
    """Whether every fault of the plan can be leased at its target."""
    for planned in made.faults:
        fault = msgspec.convert(planned.params, faults[planned.kind])
        if not (isinstance(fault, Leases) and await fault.leasable(env)):
            return False
    return bool(made.faults)
