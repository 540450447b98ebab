"""A day without a world: facts, runs and levers are made up, and commands come true at once."""

from __future__ import annotations

from typing import Any

from chaos_runner.conductor import course, told
from chaos_runner.conductor.course import AwaitRun, Command, RunSeen, Seen, Wait
from chaos_runner.conductor.told import Told
from chaos_runner.gameday import day as days
from chaos_runner.gameday import verbs
from chaos_runner.gameday.facts import (
    AnyFact,
    ConductorBegan,
    DrillBegan,
    DrillEnded,
    Entry,
    StepBegan,
)
from chaos_runner.gameday.scenario import Scenario
from chaos_runner.gameday.typed import Speaker
from tests.gameday.kit import DAY, STARTED_AT, entries, scenario

COMMANDS_MAX = 200


def small(**changed: Any) -> Scenario:
    """Without drill, checklist and approvals."""
    return scenario(**{"drill": False, "checklist": [], "approvals": [], **changed})


class Virtual:
    """A day and a conductor that can be killed between any two facts."""

    def __init__(self, of: Scenario | None = None) -> None:
        self.of = of or small()
        self.entries: list[Entry] = entries(of=self.of)
        self.runs: dict[str, RunSeen] = {}
        self.plans: set[tuple[int, int]] = set()
        self.lever = ""
        self.t = 0.0
        self.done: list[Command] = []
        self.unplannable = False
        self.keep(ConductorBegan(pid=1, epoch=2))

    # --- what is there -------------------------------------------------------------------------------------------

    @property
    def told(self) -> Told:
        return told.read(self.entries)

    @property
    def day(self) -> days.Day:
        return days.fold(self.entries)

    @property
    def asked(self) -> str:
        """What the day waits for, in a word."""
        return self.day.asked.kind if self.day.asked else ""

    @property
    def question(self) -> str:
        return self.day.asked.question if self.day.asked else ""

    @property
    def going(self) -> list[str]:
        return [run for run, seen in self.runs.items() if seen.state in {"going", "lost", "unborn"}]

    def began(self) -> list[int]:
        """The steps whose runs were started, in order."""
        return [one.step for one in self.done if isinstance(one, course.StartRun)]

    # --- what happens --------------------------------------------------------------------------------------------

    def keep(self, fact: AnyFact) -> None:
        n = len(self.entries) + 1
        self.entries.append(Entry(day=DAY, seq=n, at=STARTED_AT + self.t, t=self.t, fact=fact))

    def say(self, line: str, who: str = "fay") -> None:
        """Somebody types a line at the desk."""
        self.keep(
            verbs.parse(line, self.day, Speaker(who=who, now=STARTED_AT + self.t + 1, token=f"{len(self.entries)}"))
        )

    def next(self) -> Command:
        seen = Seen(t=self.t, runs=self.runs, plans=frozenset(self.plans), lever="" if self.going else self.lever)
        return course.next_of(self.told, seen)

    def on(self) -> Virtual:
        """Everything that can be done without people, and without a run's end."""
        for _ in range(COMMANDS_MAX):
            command = self.next()
            if isinstance(command, Wait):
                return self
            if isinstance(command, AwaitRun):
                self.done.append(command)
                return self
            self.do(command)
        msg = f"no end: {self.done[-5:]}"
        raise AssertionError(msg)

    def do(self, command: Command) -> None:  # noqa: C901 -- a table
        self.done.append(command)
        match command:
            case course.Ask(asked):
                self.keep(asked)
            case course.Begin(step, attempt):
                self.keep(StepBegan(step=step, attempt=attempt))
            case course.Plan(step, attempt) if self.unplannable:
                self.keep(StepBegan(step=step, attempt=attempt))
            case course.Plan(step, attempt):
                self.plans.add((step, attempt))
            case course.StartRun(step, attempt):
                self.keep(StepBegan(step=step, run=f"run-{step}-{attempt}", attempt=attempt))
                self.runs[f"run-{step}-{attempt}"] = RunSeen("going")
            case course.StartDrill():
                self.keep(DrillBegan("drill"))
                self.runs["drill"] = RunSeen("going")
            case course.EndDrill(run):
                self.keep(DrillEnded(run=run, who="abe", halt_s=0.5 if self.told.drill_pull else None, why="nobody"))
                self.lever = "" if self.told.drill_pull else self.lever
            case course.Recover(run):
                self.runs[run] = RunSeen("over", headline="UNKNOWN")
            case course.EndStep(ended):
                self.keep(ended)
            case course.EndDay(ended):
                self.keep(ended)

    def ends(self, headline: str = "HELD", why: str = "") -> Virtual:
        """The run that goes on ends so."""
        for run in self.going:
            self.runs[run] = RunSeen("over", headline=headline, why=why)
        return self.on()

    def dies(self) -> Virtual:
        """The conductor is killed, and another one takes over."""
        self.keep(ConductorBegan(pid=2, epoch=3, why="the first one died"))
        return self.on()

    def go(self, *lines: str) -> Virtual:
        """Says these lines, then go."""
        for line in (*lines, "go"):
            self.say(line)
        return self.on()

    def to_prediction(self) -> Virtual:
        """Everybody is ready and said go at the checkpoint; the first run waits for predictions."""
        self.on().go().go()
        assert self.asked == "prediction", self.asked
        return self

    def to_run(self) -> Virtual:
        """The first run goes on."""
        return self.to_prediction().go("predict holds 70%")
