"""The plan of a step, frozen before anybody predicts; and of the drill: the same checks, and a fault that hurts nobody.

Reads files and targets, changes nothing but the day's folder.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from chaos_runner import conduct, configure, files
from chaos_runner.conductor.folder import Folder, Setting
from chaos_runner.expect import written
from chaos_runner.gameday import tighten
from chaos_runner.gameday.scenario import RunStep, Scenario
from chaos_runner.load import Loaded
from chaos_runner.model import Abort, BlastRadius, Confirmation, Experiment, FaultStep, Recovery
from chaos_runner.plan import Plan, Refusal

DRILL = "abort-drill"
DRILL_S = 300.0  # so long somebody may look for the lever
DRILL_BASELINE_S = 10.0


class Planner:
    """Makes the plans of one day."""

    def __init__(self, folder: Folder, setting: Setting, scenario: Scenario) -> None:
        self._folder = folder
        self._setting = setting
        self._scenario = scenario

    async def step(self, n: int, attempt: int) -> Plan:
        """The plan of a step, kept in the day's folder. Raises Refusal, load.Invalid or ValueError."""
        step = self._scenario.steps[n]
        assert isinstance(step, RunStep)
        loaded = self._read(step)
        plan = await self._planned(loaded, tighten.tightened(loaded.value, step.tighten))
        self._folder.keep_plan(self._folder.plan_path(n, attempt), plan)
        return plan

    async def drill(self) -> Plan:
        """The plan of the abort drill. Raises as `step` does."""
        first = next(step for step in self._scenario.steps if isinstance(step, RunStep))
        loaded = self._read(first)
        plan = await self._planned(None, harmless(loaded.value, self._folder.path / "drill.fault"))
        self._folder.keep_plan(self._folder.drill_path(), plan)
        return plan

    def sha256(self, n: int) -> str:
        """What the step's file is now."""
        step = self._scenario.steps[n]
        return hashlib.sha256(self._path(step).read_bytes()).hexdigest() if isinstance(step, RunStep) else ""

    def _path(self, step: RunStep) -> Path:
        return Path(self._setting.file).parent / step.run

    def _read(self, step: RunStep) -> Loaded[Experiment]:
        return files.read_experiment(self._path(step))

    async def _planned(self, loaded: Loaded[Experiment] | None, experiment: Experiment) -> Plan:
        configuration = configure.read(Path(self._setting.config) if self._setting.config else None)
        name = self._scenario.environment
        if name not in configuration.names:
            msg = f"not started: there is no environment '{name}' in {self._setting.config or 'the built-in file'}"
            raise Refusal(msg)
        connections = configure.connect(configuration, name, self._folder.state_dir)
        plan = await conduct.make_plan(experiment, name, connections, conduct.new_seed())
        if loaded is None:
            return plan
        document = loaded.document
        return msgspec.structs.replace(plan, source=document.file, text=document.text, sha256=document.sha256)


def harmless(experiment: Experiment, file: Path) -> Experiment:
    """The experiment's checks around a fault that only makes a file, and waits for the lever."""
    step = FaultStep(
        fault="noop",
        name="a harmless fault waits for its lever",
        target={"name": DRILL},
        with_={"file": str(file)},
        for_=DRILL_S,
        confirm=(Confirmation(text="read-back"),),
    )
    return Experiment(
        kind="experiment/v1",
        name=DRILL,
        title="Abort drill",
        hypothesis=f"Whoever may stop the day pulls the lever within {written('duration', DRILL_S)}, and it works.",
        service=experiment.service,
        owner=experiment.owner,
        steady_state=experiment.steady_state,
        baseline=min(experiment.baseline, DRILL_BASELINE_S),
        blast_radius=BlastRadius(max_duration=DRILL_S),
        abort=Abort(violated_for=experiment.abort.violated_for, per_check=experiment.abort.per_check),
        method=(step,),
        recovery=Recovery(within=min(experiment.recovery.within, 30.0)),
    )
