"""Whether a run may start now: the places on its targets are free, its undo layers suffice, no lever is pulled."""

from __future__ import annotations

import math
from pathlib import Path
from typing import get_args

from chaos_runner import alerts
from chaos_runner.api import Doubt, Env, Refused
from chaos_runner.clients import sources
from chaos_runner.environment import Layer
from chaos_runner.orphans import watch_left_s
from chaos_runner.plan import Plan, Refusal
from chaos_runner.store import FaultRow, Store, levers

_LAYERS = get_args(Layer)  # the weakest first
_IN_A_POD = (
    "a guardian ends with its pod, or with the first process of its container, and is not counted; to leave that to a"
    " janitor: `require: {layer: runner}` for the environment in chaos-runner.yaml"
)


def check(plan: Plan, ledger: Store, state_dir: Path, required_layer: str = "") -> None:
    """Raises Refusal with the first reason against it."""
    _check_places(plan, ledger)
    check_layers(plan, required_layer or plan.connections.require.layer)
    why = lever(plan, state_dir)
    if why:
        msg = f"not started: {why}"
        raise Refusal(msg)


def _check_places(plan: Plan, ledger: Store) -> None:
    """A place that an open fault still holds would refuse the injection a baseline later."""
    wanted = {(fault.target.key, fault.aspect) for fault in plan.faults}
    for held in ledger.open_faults(plan.environment):
        if (held.target.key, held.aspect) in wanted:
            msg = f"not started: {held.kind} of run {held.run} on {held.target.key} {_why(held)}"
            raise Refusal(f"{msg}\n  next: chaos-runner status")


def _why(held: FaultRow) -> str:
    if held.state != "WATCHING":
        return "is not undone"
    left = math.ceil(watch_left_s(held))
    if not left:
        return "was watched for late requests, and is not closed yet"
    return f"is undone, and still watched for late requests for {left} s"


def check_layers(plan: Plan, required: str) -> None:
    """Raises Refusal where nobody would undo as the operator requires."""
    strongest = max((_LAYERS.index(layer) for layer in plan.layers), default=0)
    if _LAYERS.index(required) > strongest:
        msg = f"not started: the layer '{required}' is required, and this target offers: {', '.join(plan.layers)}"
        raise Refusal(msg if "guardian" in plan.layers else f"{msg}\n  {_IN_A_POD}")


async def loud(env: Env) -> str:
    """Which alert that `require.silent_alerts` names fires now, or why nobody can tell; empty while all is silent."""
    wanted, always_on = env.environment.require.silent_alerts, env.environment.always_on
    if not wanted:
        return ""
    try:
        heard = await sources.source(env, wanted).heard(env)
    except (Refused, Doubt) as why:
        return f"it cannot be told that {', '.join(wanted)} is silent: {why}"
    for ref in wanted:
        for one in heard.alerts:
            if alerts.meant(ref, one) and one.state != "pending":
                hidden = f", suppressed by {one.why}" if one.state == "suppressed" else ""
                return f"the alert {one.name} ({ref}) is firing{hidden}; `require.silent_alerts` wants it silent"
    unheard = alerts.unheard(always_on.alert, always_on.heard_within, heard) if always_on is not None else ""
    return f"it cannot be told that {', '.join(wanted)} is silent: {unheard}" if unheard else ""


def lever(plan: Plan, state_dir: Path) -> str:
    """The lever that stops this run, in a sentence; empty while none is pulled. Cheap enough for every tick."""
    experiment = plan.experiment
    pulled = levers.pulled(state_dir, plan.environment, experiment.service, experiment.name)
    if pulled is None:
        return ""
    told = f"{pulled.who} pulled the lever {pulled.path}" + (f": {pulled.reason}" if pulled.reason else "")
    return f"{told}; to allow runs again: chaos-runner resume {pulled.scope} --reason WHY"
