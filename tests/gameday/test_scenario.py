"""A scenario's mistakes are told all at once, each at its place, those of its experiments at theirs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from chaos_runner import files, load, scenarios
from chaos_runner.gameday import scenario as types
from chaos_runner.load import Invalid, Problem, plain
from chaos_runner.load.guard import guard
from tests.load.mutate import Mutation, mutations

BUNDLED = sorted(files.bundled("scenarios").glob("*.yaml"))
SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "scenario.json"
SEED = 20261122
EACH = 120
GOOD = """\
kind: scenario/v1
name: a-day
environment: demo
roles: {facilitator: fay, operator: otto, abort_authority: abe}
steps:
  - go_no_go: {ask: facilitator, unless: abort_authority}
  - run: ../experiments/slow-payments.yaml
    name: payments answers late
    tighten: {for: 10s}
  - note: what we saw
targets: {rto: 5m, rpo: 30s, rpo_check: "slow-payments#shoppers#success"}
alerts: {expect: [{name: CheckoutSlow, within: 4m}], forbid: [DataLoss]}
runbooks: {CheckoutSlow: "https://wiki.example.org/slow"}
agenda: {hard_end: 2h, items: [{at: 0m, what: brief}, {at: 10m, what: first}, {at: 20m, what: end}]}
"""


@pytest.fixture(name="home")
def _home(tmp_path: Path) -> Path:
    for folder in ("experiments", "scenarios"):
        shutil.copytree(files.bundled(folder), tmp_path / folder)
    return tmp_path


def problems_of(path: Path) -> tuple[Problem, ...]:
    try:
        files.read_any(path)
    except Invalid as invalid:
        return invalid.problems
    return ()


def told(home: Path, text: str) -> list[str]:
    """Every problem of a scenario as its line and what is said, without its file."""
    path = home / "scenarios" / "day.yaml"
    path.write_text(text)
    return [str(problem).removeprefix(f"{path}:") for problem in problems_of(path)]


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_a_bundled_scenario_is_valid_and_fits_the_schema(path: Path) -> None:
    assert problems_of(path) == ()
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).validate(plain(load.read(path).root))


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_a_bundled_scenario_says_what_a_game_day_needs(path: Path) -> None:
    read = scenarios.read(path)
    one = read.scenario
    assert {*types.NEEDED, "scribe", "responders"} <= set(one.roles)
    assert len(one.objectives) >= 3
    assert all((one.summary, one.severity_if_real, one.approvals, one.checklist, one.out_of_scope, one.accepted_risks))
    assert one.targets.detect
    assert one.targets.rto
    steps = [step for step in one.steps if isinstance(step, types.RunStep)]
    assert len(steps) >= 2
    assert all(step.name and step.expected for step in steps)
    assert all(played.experiment.hypothesis for played in read.played)
    assert one.agenda.items[-1].at <= one.agenda.hard_end


def test_four_scenarios_ship_and_none_gives_its_method_away() -> None:
    assert [path.stem for path in BUNDLED] == [
        "node-loss",
        "payment-provider-outage",
        "retry-storm",
        "site-failover",
    ]
    for path in BUNDLED:
        assert set(types.Scenario.__struct_defaults__[-3]) <= set(scenarios.read(path).scenario.hidden)


def test_the_failover_is_called_for_at_2_percent_for_3_minutes_and_sized_by_the_day() -> None:
    read = scenarios.read(files.bundled("scenarios") / "site-failover.yaml")
    (lost,) = [one for one in read.played if one.loaded.value.name == "site-lost"]
    written, today = lost.loaded.value, lost.experiment
    assert {str(check.expect[0].text) for check in written.steady_state.values()} == {"success >= 98%"}
    assert (written.abort.violated_for, written.recovery.within) == (180, 300)
    assert read.scenario.targets.rto == 300
    assert (today.abort.violated_for, {step.for_ for step in today.faults()}) == (5, {20})


def test_a_good_scenario_comes_with_its_experiments_as_the_day_allows_them(home: Path) -> None:
    assert told(home, GOOD) == []
    (played,) = scenarios.read(home / "scenarios" / "day.yaml").played
    assert (played.step, played.experiment.faults()[0].for_) == (1, 10.0)
    assert played.loaded.value.faults()[0].for_ == 15.0


def test_a_day_can_be_somewhere_else_and_is_the_same_otherwise(home: Path) -> None:
    read = scenarios.read(home / "scenarios" / "node-loss.yaml")
    moved = scenarios.elsewhere(read, "staging")
    assert (read.scenario.environment, moved.scenario.environment) == ("demo", "staging")
    assert scenarios.elsewhere(moved, "demo").scenario == read.scenario
    assert moved.played == read.played
    assert scenarios.elsewhere(read, None) is read


def test_an_experiment_that_is_not_there_is_told_where_it_is_named(home: Path) -> None:
    (said,) = told(home, GOOD.replace("slow-payments.yaml", "slow-payment.yaml"))
    assert said.startswith("7:10: steps[1].run: ")
    assert "experiments/slow-payment.yaml does not exist; did you mean" in said


@pytest.mark.parametrize(
    "run", ["~nobody-is-called-so/x.yaml", "/dev/zero", "../experiments", "..", '"a\\tb.yaml"', "é" * 300]
)
def test_whatever_a_step_names_is_no_more_than_a_problem_of_its_line(run: str, home: Path) -> None:
    (said,) = told(home, GOOD.replace("../experiments/slow-payments.yaml", run))
    assert said.startswith("7:10: steps[1].run: ")


def test_an_invalid_experiment_is_told_at_its_own_places(home: Path) -> None:
    broken = home / "experiments" / "slow-payments.yaml"
    broken.write_text(broken.read_text().replace("latency: 400ms", "latency: 400").replace("proxy:", "proxi:"))
    path = home / "scenarios" / "day.yaml"
    path.write_text(GOOD)

    found = problems_of(path)

    assert {(problem.file, problem.path) for problem in found} == {
        (str(broken), "method[0].with.latency"),
        (str(broken), "method[0].target.proxi"),
    }
    with pytest.raises(Invalid) as invalid:
        scenarios.read(path)
    assert "400" in invalid.value.text().split("\n", 1)[1], "the line of the experiment is shown"


def test_a_scenario_with_many_mistakes_tells_them_all(home: Path) -> None:
    wrong = (
        GOOD.replace("name: a-day", "name: A Day")
        .replace("tighten: {for: 10s}", "tighten: {for: 20s, baselin: 5s}")
        .replace("  - note: what we saw\n", "  - note: what we saw\n  - run: ../experiments/none.yaml\n")
        .replace("  - note", "  - {run: ../experiments/site-lost.yaml, tighten: {for: 5m}}\n  - note")
        .replace("hard_end: 2h", "hard_end: soon")
    )
    assert [line.split(": ")[1] for line in told(home, wrong)] == [
        "name",
        "steps[1].tighten.baselin",
        "agenda.hard_end",
        "steps[2].tighten.for",
        "steps[4].run",
    ]


@pytest.mark.parametrize(
    ("old", "new", "at", "words"),
    [
        ("{for: 10s}", "{for: 16s}", "9:20: steps[1].tighten.for", "longest fault stays 15s; 16s is more"),
        ("abort_authority: abe", "abort_authority: ' OTTO'", "4:60: roles.abort_authority", "must be somebody else"),
        ("operator: otto", "operator: [abe, otto]", "4:67: roles.abort_authority", "must be somebody else"),
        (
            ", abort_authority: abe",
            ", abort_autority: abe, scribe: x",
            "4:59: roles.abort_autority",
            "`abort_authority`",
        ),
        ("operator: otto", "operator: []", "4:37: roles.operator", "nobody is named for operator"),
        ("ask: facilitator", "ask: facilitater", "6:21: steps[0].go_no_go.ask", "did you mean 'facilitator'?"),
        (', rpo_check: "slow-payments#shoppers#success"', "", "11:25: targets.rpo", "say what reads the loss"),
        ("#shoppers#", "#shopper#", "11:41: targets.rpo_check", "did you mean 'shoppers'?"),
        ("slow-payments#sh", "slow-payment#sh", "11:41: targets.rpo_check", "did you mean 'slow-payments'?"),
        ("#success", "#succes", "11:41: targets.rpo_check", "did you mean 'success'?"),
        ("#shoppers#success", "", "11:41: targets.rpo_check", "expected EXPERIMENT#CHECK#METRIC"),
        ("{CheckoutSlow: ", "{CheckoutSlo: ", "13:25: runbooks.CheckoutSlo", "did you mean 'CheckoutSlow'?"),
        ("forbid: [DataLoss]", "forbid: [CheckoutSlow]", "12:63: alerts.forbid[0]", "is expected as well"),
        ("{at: 10m", "{at: 30m", "14:84: agenda.items[2].at", "20m is not in order"),
        ("{at: 20m", "{at: 3h", "14:84: agenda.items[2].at", "3h is after the hard end, which is 2h"),
        ("hard_end: 2h", "hard_end: 5m", "14:20: agenda.hard_end", "goes on until 20m, and 5m is earlier"),
    ],
)
def test_what_is_wrong_between_the_lines_is_told_once(old: str, new: str, at: str, words: str, home: Path) -> None:
    assert old in GOOD
    (said,) = told(home, GOOD.replace(old, new, 1))
    assert words in said
    assert said.startswith(f"{at}: ")


def test_a_day_that_runs_nothing_is_none(home: Path) -> None:
    alone = GOOD.partition("  - run:")[0] + "  - note: we talked\n"
    assert told(home, alone) == ["6:3: steps: a game day needs a step that runs an experiment: `run: FILE`"]


def test_what_is_no_experiment_is_no_step(home: Path) -> None:
    (said,) = told(home, GOOD.replace("../experiments/slow-payments.yaml", "node-loss.yaml"))
    assert "unknown kind 'scenario/v1'" in said


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_one_mistake_in_a_bundled_scenario_is_one_problem_at_its_place(path: Path, home: Path) -> None:
    astray = []
    text = path.read_text(encoding="utf-8")
    for made in mutations(text, SEED, EACH):
        mutant = home / "scenarios" / path.name
        mutant.write_text(made.text, encoding="utf-8", errors="surrogatepass")
        found = problems_of(mutant)
        lines = {*made.lines, *_rightly_elsewhere(made, text)}
        if len(found) > 1 or any(problem.line not in lines for problem in found):
            astray.append((made.what, [str(problem) for problem in found], made.lines))

    assert astray == []


def _rightly_elsewhere(made: Mutation, text: str) -> set[int]:
    """A step's name is what its runbook is found by, and of two times that are not in order either may be meant."""
    root = guard(text, "good").root
    assert root is not None
    agenda, runbooks = root.get("agenda"), root.get("runbooks")
    assert agenda is not None
    assert runbooks is not None
    names = {str(pair.key.value): pair.key.line for pair in runbooks.pairs}
    changed = "\n".join(text.split("\n")[made.lines.start - 1 : made.lines.stop - 1])
    lines = {line for name, line in names.items() if name in changed}
    within = range(agenda.line, agenda.end_line + 1)
    return lines | (set(within) if set(made.lines) & set(within) else set())
