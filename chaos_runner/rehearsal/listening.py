"""The alerts that a day speaks of: whether some rule makes each of them, and whether all are silent now. Reads only."""

from __future__ import annotations

from collections.abc import Sequence

from chaos_runner import admission
from chaos_runner.alerts import Heard, Rule
from chaos_runner.api import Doubt, Env, Refused
from chaos_runner.clients import prometheus, sources
from chaos_runner.environment import AlwaysOn
from chaos_runner.gameday import readiness
from chaos_runner.gameday.readiness import Finding
from chaos_runner.scenarios import Script

WHERE = "alerts of the scenario and of its experiments"


async def look(script: Script, env: Env) -> list[Finding]:
    """A finding for each alert, and one for those that the environment wants silent."""
    refs = wanted(script)
    return [*(await _each(refs, env) if refs else [_none()]), *await _silent(env)]


def wanted(script: Script) -> tuple[str, ...]:
    """Every alert that the day or one of its runs speaks of, each once."""
    own = [one.experiment.alerts.wanted() for one in script.played if one.experiment.alerts is not None]
    return tuple(dict.fromkeys(ref for refs in (script.scenario.alerts.wanted(), *own) for ref in refs))


def _none() -> Finding:
    return Finding("ok", "alerts", WHERE, "none is named, so none is judged")


async def _each(refs: Sequence[str], env: Env) -> list[Finding]:
    if why := env.environment.deaf():
        said = f"{', '.join(refs)}: '{env.name}' {why}"
        return [Finding("no", "alerts", WHERE, said, "say where alerts are read, in chaos-runner.yaml")]
    rules, heard = await _rules(env), await _heard(refs, env)
    always_on = env.environment.always_on or AlwaysOn()
    return [readiness.alert(ref, rules, heard, always_on) for ref in refs]


async def _rules(env: Env) -> tuple[Rule, ...] | str:
    """The rules, or why they cannot be read."""
    if env.environment.prometheus is None:
        return f"'{env.name}' has no `prometheus:`"
    try:
        return await (await prometheus.open_client(env)).rules()
    except (Refused, Doubt) as why:
        return str(why)


async def _heard(refs: Sequence[str], env: Env) -> Heard | str:
    """What fires now, or why that cannot be told."""
    try:
        return await sources.source(env, refs).heard(env)
    except (Refused, Doubt) as why:
        return str(why)


async def _silent(env: Env) -> list[Finding]:
    """What would refuse a run of the day at its start."""
    required = env.environment.require.silent_alerts
    if not required:
        return []
    where = f"require.silent_alerts of '{env.name}', alerts that fire now"
    if why := await admission.loud(env):
        state = "unknown" if why.startswith("it cannot be told") else "no"
        return [Finding(state, "silent alerts", where, why, "no run would start: see why, then check once more")]  # type: ignore[arg-type]
    return [Finding("ok", "silent alerts", where, f"{', '.join(required)}: silent")]
