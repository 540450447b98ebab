"""A plan: the experiment with its targets resolved and its seed, exactly what will be done. No IO.

`make` turns what was discovered into a Plan, or into a Refusal that says in one sentence why nothing will start.
"""

from __future__ import annotations

import fnmatch
import math
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from chaos_runner.environment import Environment
from chaos_runner.model import Confirmation, Experiment, FaultStep, ParallelStep, PauseStep, Pick
from chaos_runner.records import Target

if TYPE_CHECKING:
    import random

VERSION = 1
BASELINE_TIMES = 2  # a baseline that was not measured well enough goes on for at most this many times its length


class Refusal(Exception):
    """Nothing was started; the sentence says why and what to do. Exit code 3."""


class PlannedFault(msgspec.Struct, frozen=True):
    """One fault on one target. `step` is the position in `method`; `lane` tells parallel steps of one step apart."""

    n: int
    step: int
    lane: int
    name: str
    kind: str
    version: int
    params: dict[str, Any]
    target: Target
    aspect: str
    hold_s: float
    reversible: bool
    confirm: tuple[Confirmation, ...] = ()
    said: str = ""  # the parameters as an author would write them


class Selection(msgspec.Struct, frozen=True):
    """How a step's targets came about: what matched, what the rounding did, what was picked."""

    step: int
    lane: int
    asked: str
    matched: tuple[str, ...]
    picked: tuple[str, ...]
    rounding: str = ""
    notes: tuple[str, ...] = ()


class ClauseForecast(msgspec.Struct, frozen=True):
    """How many events a clause will have in the shortest fault window, and how many its verdict needs."""

    check: str
    clause: str
    events: float
    needed: int


class Plan(msgspec.Struct, frozen=True):
    """Everything a run needs, with secrets as references; running it twice hits the very same targets."""

    experiment: Experiment
    environment: str
    connections: Environment
    seed: int
    faults: tuple[PlannedFault, ...]
    selections: tuple[Selection, ...] = ()
    forecasts: tuple[ClauseForecast, ...] = ()
    warnings: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    bound_s: float = 0.0
    worst_case_s: float = 0.0
    source: str = ""
    text: str = ""
    sha256: str = ""
    version: int = VERSION


class Limit(msgspec.Struct, frozen=True):
    """Of these targets at most so many may be harmed together; without a number it only says something."""

    why: str
    keys: tuple[str, ...] = ()
    most: int | None = None


class Part(msgspec.Struct, frozen=True):
    """Another fault that comes with a target, counted and written down as one of its own."""

    kind: str
    version: int
    params: dict[str, Any]
    target: Target
    aspect: str
    reversible: bool


class Found(msgspec.Struct, frozen=True):
    """What discovery answered for one fault step: every matching target, and what the step asked for."""

    step: int
    lane: int
    asked: FaultStep
    kind: str
    version: int
    aspect: str
    reversible: bool
    matched: tuple[Target, ...]
    pick: Pick
    selector: str
    named: bool = False  # one target by its own name: no share of anything
    said: str = ""
    limits: tuple[Limit, ...] = ()
    parts: dict[str, tuple[Part, ...]] = {}
    keeps: bool = False  # whether its limits say what must stay available


def make(
    experiment: Experiment, environment: str, connections: Environment, found: tuple[Found, ...], seed: int
) -> Plan:
    """The plan for these discoveries. Raises Refusal; the same arguments give the same victims."""
    _within_ceilings(experiment, environment, connections)
    if experiment.blast_radius.keep_available and not any(one.keeps for one in found):
        _refuse("blast_radius.keep_available cannot be judged: no fault of this method acts on a cluster")
    import random  # here: validating a file picks nobody

    chance = random.Random(seed)
    faults: list[PlannedFault] = []
    selections: list[Selection] = []
    for one in found:
        picked, rounding = _pick(one, experiment, connections, chance)
        selections.append(_selection(one, picked, rounding))
        for target in picked:
            faults.append(_planned(one, target, len(faults)))
            faults += [_part(one, part, len(faults) + n) for n, part in enumerate(one.parts.get(target.key, ()))]
    _none_protected(tuple(fault.target for fault in faults), connections)
    _within_radius(experiment, faults)
    _within_limits(found, faults)
    return Plan(
        experiment=experiment,
        environment=environment,
        connections=connections,
        seed=seed,
        faults=tuple(faults),
        selections=tuple(selections),
        worst_case_s=worst_case(experiment),
    )


def renew(filed: Plan, today: Plan) -> Plan:
    """The victims of a filed plan, and all else as its own experiment comes out today. Raises Refusal.

    What somebody wrote into the file counts for nothing: it can widen no limit and lose no fault.
    """
    if [_but_victim(fault) for fault in filed.faults] != [_but_victim(fault) for fault in today.faults]:
        _refuse("the plan is not what its experiment comes to today; make it anew with: chaos-runner plan")
    matched = {(one.step, one.lane): one.matched for one in today.selections}
    for fault in filed.faults:
        if fault.target.key not in matched[fault.step, fault.lane]:
            _refuse(f"{fault.target.key} is no target of '{fault.name}' today; make the plan anew: chaos-runner plan")
    _none_protected(tuple(fault.target for fault in filed.faults), today.connections)
    faults = tuple(
        msgspec.structs.replace(ours, target=theirs.target, name=theirs.name)
        for ours, theirs in zip(today.faults, filed.faults, strict=True)
    )
    _within_radius(today.experiment, list(faults))
    return msgspec.structs.replace(
        today, faults=faults, selections=filed.selections, source=filed.source, text=filed.text, sha256=filed.sha256
    )


def _but_victim(fault: PlannedFault) -> Any:
    """Everything but the target, the name that may speak of it, and words for people, as a file would have it."""
    silent = msgspec.structs.replace(fault, target=Target(""), name="", said="")
    return msgspec.json.decode(msgspec.json.encode(silent))


def _within_ceilings(experiment: Experiment, environment: str, connections: Environment) -> None:
    asked, allowed = experiment.blast_radius, connections.ceilings
    for field, unit in (("at_once", ""), ("in_total", ""), ("max_duration", "s")):
        mine, limit = getattr(asked, field), getattr(allowed, field)
        if mine > limit:
            _refuse(f"blast_radius.{field} {mine:g}{unit} exceeds the ceiling of {limit:g}{unit} in '{environment}'")
    for step in experiment.faults():
        if step.for_ > asked.max_duration:
            _refuse(
                f"'{step.name or step.fault}' would stay {step.for_:g}s; "
                f"blast_radius.max_duration allows {asked.max_duration:g}s"
            )
    if asked.keep_available and connections.cluster is None:
        _refuse("blast_radius.keep_available needs a cluster, and this environment has none")
    if experiment.alerts is not None and (why := connections.deaf()):
        _refuse(f"`alerts` cannot be judged: '{environment}' {why}")


def _pick(
    one: Found, experiment: Experiment, connections: Environment, chance: random.Random
) -> tuple[tuple[Target, ...], str]:
    matched = one.matched
    if not matched:
        _refuse(f"{one.selector} matches no target")
    if one.pick == Pick():
        return matched, ""
    wanted, rounding = one.pick.number, ""
    if one.pick.share:
        wanted = math.floor(one.pick.share * len(matched) + 1e-9)
        rounding = (
            f"{one.pick.share:.0%} of {len(matched)} is {one.pick.share * len(matched):g}, rounded down to {wanted}"
        )
    percent = 100
    if not one.named:
        percent = min(experiment.blast_radius.percent_of_selector, connections.ceilings.percent_of_selector)
    most = math.floor(percent * len(matched) / 100 + 1e-9)
    if wanted < 1 or most < 1:
        share = rounding or f"percent_of_selector: {percent} of {len(matched)} is {percent * len(matched) / 100:g}"
        _refuse(f"{one.selector} comes to zero targets: {share}")
    if wanted > len(matched):
        _refuse(f"{one.selector} matches {len(matched)}, fewer than the {wanted} to pick")
    if wanted > most:
        _refuse(f"{wanted} of {len(matched)} is more than percent_of_selector: {percent} allows ({most})")
    if any(limit.most is not None for limit in one.limits):
        return _with_room(one, wanted, chance), rounding
    return tuple(sorted(chance.sample(list(matched), wanted))), rounding


def _with_room(one: Found, wanted: int, chance: random.Random) -> tuple[Target, ...]:
    """So many of the matching targets as every limit leaves room for, taken in a random order. Raises Refusal."""
    room = [math.inf if limit.most is None else limit.most for limit in one.limits]
    bound: dict[str, list[int]] = {}
    for n, limit in enumerate(one.limits):
        for key in limit.keys:
            bound.setdefault(key, []).append(n)
    taken: list[Target] = []
    for target in chance.sample(list(one.matched), len(one.matched)):
        mine = bound.get(target.key, [])
        if len(taken) < wanted and all(room[n] >= 1 for n in mine):
            taken.append(target)
            for n in mine:
                room[n] -= 1
    if len(taken) < wanted:
        left = [target.key for target in one.matched if target not in taken]
        full = [one.limits[n].why for key in left for n in bound.get(key, []) if room[n] < 1]
        _refuse(f"{len(taken)} of the {len(one.matched)} that match may go, fewer than the {wanted} to pick: {full[0]}")
    return tuple(sorted(taken))


def _none_protected(picked: tuple[Target, ...], connections: Environment) -> None:
    for target in picked:
        for name in connections.protected:
            if any(fnmatch.fnmatchcase(word, name) for word in (target.key, *target.key.split("/")[1:])):
                _refuse(f"{target.key} is protected in this environment")


def _selection(one: Found, picked: tuple[Target, ...], rounding: str) -> Selection:
    return Selection(
        step=one.step,
        lane=one.lane,
        asked=one.selector,
        matched=tuple(target.key for target in _victims(one, one.matched)),
        picked=tuple(target.key for target in _victims(one, picked)),
        rounding=rounding,
        notes=tuple(limit.why for limit in one.limits),
    )


def _planned(one: Found, target: Target, n: int) -> PlannedFault:
    return PlannedFault(
        n=n,
        step=one.step,
        lane=one.lane,
        name=one.asked.name or f"{one.kind} on {target.key}",
        kind=one.kind,
        version=one.version,
        params=one.asked.with_,
        target=target,
        aspect=one.aspect,
        hold_s=one.asked.for_,
        reversible=one.reversible,
        confirm=one.asked.confirm,
        said=one.said,
    )


def _part(one: Found, part: Part, n: int) -> PlannedFault:
    return msgspec.structs.replace(
        _planned(one, part.target, n),
        name=f"{part.kind} on {part.target.key}",
        kind=part.kind,
        version=part.version,
        params=part.params,
        aspect=part.aspect,
        reversible=part.reversible,
        confirm=(),
        said="",
    )


def _victims(one: Found, targets: tuple[Target, ...]) -> list[Target]:
    """The targets, each with what comes with it."""
    return [each for target in targets for each in (target, *(part.target for part in one.parts.get(target.key, ())))]


def _within_limits(found: tuple[Found, ...], faults: list[PlannedFault]) -> None:
    for one in found:
        together = {fault.target.key for fault in faults if fault.step == one.step}
        for limit in one.limits:
            taken = together.intersection(limit.keys)
            if limit.most is not None and len(taken) > limit.most:
                _refuse(f"{', '.join(sorted(taken)[:3])}: {limit.why}; the method would harm {len(taken)} together")


def _within_radius(experiment: Experiment, faults: list[PlannedFault]) -> None:
    radius = experiment.blast_radius
    touched = {fault.target.key for fault in faults}
    if len(touched) > radius.in_total:
        _refuse(f"blast_radius allows {_targets(radius.in_total)} in total, the method would touch {len(touched)}")
    for step in sorted({fault.step for fault in faults}):
        together = [fault for fault in faults if fault.step == step]
        open_at_once = {fault.target.key for fault in together}
        if len(open_at_once) > radius.at_once:
            _refuse(
                f"blast_radius allows {_targets(radius.at_once)} at once, step {step} would harm {len(open_at_once)}"
            )
        places = [(fault.target.key, fault.aspect) for fault in together]
        if len(set(places)) < len(places):
            _refuse(f"method[{step}] puts two faults on the same place of one target")


def _targets(n: int) -> str:
    return "1 target" if n == 1 else f"{n} targets"


def worst_case(experiment: Experiment) -> float:
    """How long a run can take: baseline, faults and recovery, all at their longest."""
    total = BASELINE_TIMES * experiment.baseline
    if experiment.alerts is not None:
        total += max((one.within for one in experiment.alerts.expect), default=0.0)
    for step in experiment.method:
        match step:
            case PauseStep(pause):
                total += pause
            case FaultStep(for_=hold):
                total += hold + experiment.recovery.within
            case ParallelStep(parallel):
                total += max(one.for_ for one in parallel) + experiment.recovery.within
    return total


def _refuse(why: str) -> NoReturn:
    msg = f"not started: {why}"
    raise Refusal(msg)
