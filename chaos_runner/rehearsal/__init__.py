"""Days before a game day: looks at all that the day will need, and changes nothing.

Plans of every step, rights, levers, leftovers, calendars, alerts, people, runbooks and times. What cannot be looked at
is unknown.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from chaos_runner import conduct, configure, plan
from chaos_runner.configure import Configuration
from chaos_runner.gameday import readiness
from chaos_runner.gameday.readiness import Finding, Timed
from chaos_runner.gameday.scenario import RunStep
from chaos_runner.plan import Refusal
from chaos_runner.rehearsal import calendars, listening, steps
from chaos_runner.scenarios import Played, Script


class Place(msgspec.Struct, frozen=True, eq=False):
    """Where and when the day would be: `at` is its start in Unix time; None for any time that fits."""

    configuration: Configuration
    environment: str
    state_dir: Path
    now: int
    at: int | None = None


async def look(script: Script, place: Place) -> tuple[Finding, ...]:
    """Every finding, in the order in which people prepare a day. Reads only."""
    scenario, folder = script.scenario, Path(script.loaded.document.file).parent
    timed = [Timed(one.step, called(script, one), plan.worst_case(one.experiment)) for one in script.played]
    settings = place.configuration.config.environments[place.environment]
    return (
        *readiness.people(scenario),
        readiness.approvals(scenario, careful=settings.confirm == "type-name"),
        *await _there(script, place),
        steps.halted(script, place.environment, place.state_dir),
        steps.leftovers(place.environment, place.state_dir),
        *calendars.look(place.configuration, place.environment, scenario.agenda.hard_end, place.now, place.at),
        *readiness.runbooks(scenario, lambda text: _is_file(folder, text)),
        *readiness.times(scenario, timed),
    )


def called(script: Script, played: Played) -> str:
    """What people call a step: its name, else its experiment's."""
    step = script.scenario.steps[played.step]
    return (step.name if isinstance(step, RunStep) else "") or played.loaded.value.name


async def _there(script: Script, place: Place) -> list[Finding]:
    """What the environment itself says; where nobody can ask it, all that was to be asked is unknown."""
    where = f"'{place.environment}' of {place.configuration.path or 'the built-in configuration'}"
    try:
        connections = configure.connect(place.configuration, place.environment, place.state_dir)
        env = conduct.open_env(place.environment, connections)
    except Refusal as why:
        said, _, what_next = str(why).removeprefix("not started: ").partition("; ")
        unreached = Finding("no", "environment", where, said, what_next or "mend it, then check once more")
        return [unreached, *_unasked(script, where)]
    try:
        reached = Finding("ok", "environment", where, steps.reached(connections))
        planned = [await steps.look(one, called(script, one), env) for one in script.played]
        return [reached, *planned, *await listening.look(script, env)]
    finally:
        await env.aclose()


def _unasked(script: Script, where: str) -> list[Finding]:
    what = [f"step {one.step + 1}: {called(script, one)}" for one in script.played]
    what += [f"alert {ref}" for ref in listening.wanted(script)]
    why, what_next = "the environment could not be asked", "see the line of the environment"
    return [Finding("unknown", one, where, why, what_next) for one in what]


def _is_file(folder: Path, text: str) -> bool:
    try:
        return (folder / Path(text).expanduser()).is_file()
    except (OSError, ValueError, RuntimeError):
        return False
