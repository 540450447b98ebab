"""Reads scenario files: their shape by `load`, then what only the experiments that they name can tell.

Every problem comes back at once, with its place; those of an experiment with their own. Reads files only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from chaos_runner import configure, files, load, spelling
from chaos_runner.gameday import tighten
from chaos_runner.gameday.scenario import RunStep, Scenario
from chaos_runner.load import Document, Invalid, Loaded, Node, Problem
from chaos_runner.load.nodes import locate
from chaos_runner.model import Experiment, Where


class Played(msgspec.Struct, frozen=True):
    """A step that runs: its number, the experiment's file, and the experiment as this day allows it."""

    step: int
    loaded: Loaded[Experiment]
    experiment: Experiment


class Script(msgspec.Struct, frozen=True):
    """A valid scenario with the experiments of its steps."""

    loaded: Loaded[Scenario]
    played: tuple[Played, ...]

    @property
    def scenario(self) -> Scenario:
        """The scenario itself."""
        return self.loaded.value


def read(path: Path) -> Script:
    """A valid scenario and all that it names. Raises load.Invalid with every problem of every file."""
    return of(load.read(path))


def of(document: Document) -> Script:
    """The same of a file that was read already."""
    known = _Experiments(document)
    try:
        loaded = load.load(document, Scenario, kinds=files.kinds(), parsers=configure.parsers())
    except Invalid as invalid:
        found = [*invalid.problems, *_of_steps_alone(document, known)]
        raise Invalid(dict.fromkeys(found), {**known.sources, **invalid.sources}) from None
    played = [(n, step, known.get(step.run)) for n, step in _runs(loaded.value)]
    problems = [*known.problems(loaded.value), *_across(loaded, [one for _, _, one in played])]
    if problems:
        raise Invalid(dict.fromkeys(problems), known.sources)
    return Script(loaded, tuple(_played(*one) for one in played if one[2] is not None))


def elsewhere(script: Script, environment: str | None) -> Script:
    """The same day in another environment; none asked for is that of the file."""
    if not environment:
        return script
    moved = msgspec.structs.replace(script.scenario, environment=environment)
    return msgspec.structs.replace(script, loaded=msgspec.structs.replace(script.loaded, value=moved))


def _runs(scenario: Scenario) -> Iterator[tuple[int, RunStep]]:
    return ((n, step) for n, step in enumerate(scenario.steps) if isinstance(step, RunStep))


def _played(n: int, step: RunStep, loaded: Loaded[Experiment] | None) -> Played:
    assert loaded is not None  # else there were problems
    return Played(n, loaded, tighten.tightened(loaded.value, step.tighten))


class _Experiments:
    """The experiments that one scenario names, each read once."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.sources = {document.file: document.text}
        self._read: dict[str, Loaded[Experiment] | Invalid] = {}

    def get(self, run: str) -> Loaded[Experiment] | None:
        """The experiment of a step; None for one that cannot be used."""
        found = self._found(run)
        return found if isinstance(found, Loaded) else None

    def problems(self, scenario: Scenario) -> Iterator[Problem]:
        """What is wrong with what the steps name."""
        steps = self.document.root.get("steps")
        assert steps is not None
        for n, step in _runs(scenario):
            node = steps.get(n)
            assert node is not None
            yield from self.of_step(n, step, node)

    def of_step(self, n: int, step: RunStep, node: Node) -> Iterator[Problem]:
        """What is wrong with the experiment of one step, and where the step would allow more than it does."""
        found = self._found(step.run)
        if isinstance(found, Loaded):
            for below, why in tighten.misfits(found.value, step.tighten):
                yield _at(node, ("steps", n), ("tighten", *below), why)
        elif found.problems[0].line:
            yield from found.problems
        else:
            why = f"{found.problems[0].file} {found.problems[0].message}"
            yield _at(node, ("steps", n), ("run",), why)

    def _found(self, run: str) -> Loaded[Experiment] | Invalid:
        shown = os.path.normpath(Path(self.document.file).parent / os.path.expanduser(run))  # noqa: PTH111 - it raises nothing
        if shown not in self._read:
            try:
                self._read[shown] = files.read_experiment(Path(shown))
            except Invalid as invalid:
                self._read[shown] = invalid
                self.sources |= invalid.sources
        return self._read[shown]


def _of_steps_alone(document: Document, known: _Experiments) -> Iterator[Problem]:
    """What is wrong with the experiments of those steps that are well-shaped in a file that is not."""
    steps = document.root.get("steps") if document.root.kind == "map" else None
    for n, node in enumerate(steps.items if steps is not None else ()):
        if node.kind == "map" and node.get("run") is not None:
            step, wrong = load.walk(node, RunStep, kinds=files.kinds(), parsers=configure.parsers())
            if step is not None and not wrong:
                yield from known.of_step(n, step, node)


def _across(loaded: Loaded[Scenario], played: list[Loaded[Experiment] | None]) -> Iterator[Problem]:
    """What the scenario says about its experiments; of no use while one of them cannot be read."""
    experiments = {one.value.name: one.value for one in played if one is not None}
    if None in played:
        return
    for path, why in (*_runbooks(loaded.value, experiments), *_loss(loaded.value, experiments)):
        yield _at(loaded.document.root, (), path, why)


def _runbooks(scenario: Scenario, experiments: dict[str, Experiment]) -> Iterator[Where]:
    """Runbooks for what nobody speaks of."""
    known = list(scenario.alerts.wanted())
    for one in experiments.values():
        known += one.alerts.wanted() if one.alerts is not None else ()
    known += [step.name for _n, step in _runs(scenario) if step.name]
    for about in scenario.runbooks:
        if about not in known and about not in experiments:
            yield ("runbooks", about), spelling.unknown("alert or step", about, dict.fromkeys([*known, *experiments]))


def _loss(scenario: Scenario, experiments: dict[str, Experiment]) -> Iterator[Where]:
    """A check of the loss that no step has, or a metric that it does not measure."""
    where = ("targets", "rpo_check")
    name, _, rest = scenario.targets.rpo_check.partition("#")
    check, _, metric = rest.partition("#")
    if not scenario.targets.rpo_check:
        return
    if not name or not check or not metric:
        yield where, f"expected EXPERIMENT#CHECK#METRIC, found {spelling.shown(scenario.targets.rpo_check)}"
    elif name not in experiments:
        yield where, spelling.unknown("experiment of a step", name, experiments)
    elif check not in experiments[name].steady_state:
        yield where, spelling.unknown("check", check, experiments[name].steady_state)
    elif why := files.unmeasured(metric, experiments[name].steady_state[check]):
        yield where, why


def _at(node: Node, above: tuple[str | int, ...], below: tuple[str | int, ...], why: str) -> Problem:
    place, path = locate(node, below, above)
    return Problem(place.file, place.line, place.col, files.dotted(path), why)
