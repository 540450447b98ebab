"""Each step as it would run now: its plan with rights and undo layers, levers, and what is left of earlier runs."""

from __future__ import annotations

from pathlib import Path

from chaos_runner import admission, conduct, store
from chaos_runner.api import Env
from chaos_runner.environment import Environment
from chaos_runner.gameday.readiness import Finding
from chaos_runner.plan import Plan, Refusal
from chaos_runner.scenarios import Played, Script
from chaos_runner.store import NoLedger, StoreError, levers

ANY_SEED = 0  # whoever is picked: each is one of those that were counted


def reached(connections: Environment) -> str:
    """What an environment connects to, for people."""
    parts = (
        ("Toxiproxy", connections.toxiproxy.url if connections.toxiproxy else ""),
        ("a cluster", connections.cluster.context or "its own" if connections.cluster else ""),
        ("Prometheus", connections.prometheus.url if connections.prometheus else ""),
        ("Alertmanager", connections.alertmanager.url if connections.alertmanager else ""),
    )
    named = [f"{what} ({where})" for what, where in parts if where]
    return f"its addresses and secrets are known: {', '.join(named) or 'services only'}"


async def look(played: Played, name: str, env: Env) -> Finding:
    """The step's plan, made as a run would make it; and whether enough would undo it."""
    what = f"step {played.step + 1}: {name}"
    where = f"plan of {played.loaded.document.file}: targets, rights, ceilings, events"
    try:
        made = await conduct.make_plan(played.experiment, env.name, env.environment, ANY_SEED)
        admission.check_layers(made, env.environment.require.layer)
    except Refusal as why:
        said, _, what_next = str(why).removeprefix("not started: ").partition("\n  next: ")
        return Finding("no", what, where, said, what_next or "mend that, then check once more")
    return Finding("ok", what, where, _said(made))


def _said(made: Plan) -> str:
    targets = list(dict.fromkeys(fault.target.key for fault in made.faults))
    shown = ", ".join(targets[:3]) + (f" and {len(targets) - 3} more" if len(targets) > 3 else "")
    return f"{shown or 'no target'}; may be harmed and undone; undone by {', '.join(made.layers)}"


def halted(script: Script, environment: str, state_dir: Path) -> Finding:
    """Whether a lever stands against the day."""
    where = f"{state_dir / levers.FOLDER}: {', '.join(_scopes(script, environment))}"
    pulled = _pulled(script, environment, state_dir)
    if pulled is None:
        return Finding("ok", "levers", where, "none is pulled")
    said = f"{pulled.who or 'somebody'} pulled {pulled.scope}" + (f": {pulled.reason}" if pulled.reason else "")
    return Finding("no", "levers", where, said, f"chaos-runner resume {pulled.scope} --reason WHY")


def _scopes(script: Script, environment: str) -> tuple[str, ...]:
    """Every lever that would stop one of the day's runs."""
    found = (levers.scopes(environment, one.experiment.service, one.experiment.name) for one in script.played)
    return tuple(dict.fromkeys(scope for scopes in found for scope in scopes if not scope.endswith(".")))


def _pulled(script: Script, environment: str, state_dir: Path) -> levers.Lever | None:
    """The first lever that would stop one of the day's runs."""
    for one in script.played:
        pulled = levers.pulled(state_dir, environment, one.experiment.service, one.experiment.name)
        if pulled is not None:
            return pulled
    return None


def leftovers(environment: str, state_dir: Path) -> Finding:
    """Whether an earlier run left a fault behind here."""
    where = f"the ledger in {state_dir}"
    try:
        with store.open_store(state_dir, read_only=True) as ledger:
            held = ledger.open_faults(environment)
    except NoLedger:
        return Finding("ok", "leftovers", where, "nothing has run here yet")
    except StoreError as why:
        return Finding("unknown", "leftovers", where, str(why), "chaos-runner recover")
    if held:
        said = f"{held[0].kind} of run {held[0].run} on {held[0].target.key} is not closed"
        return Finding("no", "leftovers", where, said, "chaos-runner status, then: chaos-runner recover")
    return Finding("ok", "leftovers", where, "no fault is open")
