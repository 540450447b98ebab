"""What the facts of a day mean for what comes next: questions with their answers, attempts at each step. No IO."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chaos_runner.gameday import day as days
from chaos_runner.gameday.day import Day
from chaos_runner.gameday.facts import (
    Answered,
    Approved,
    Asked,
    ConductorBegan,
    DrillBegan,
    DrillEnded,
    Entry,
    HaltAsked,
    Predicted,
    StepBegan,
    StepEnded,
    StepRepeated,
    StepSkipped,
    Ticked,
)
from chaos_runner.gameday.scenario import Scenario

LED_BY = "facilitator"


class Question(msgspec.Struct):
    """One question and what was answered; `granted` says that the answer lets the day go on."""

    asked: Asked
    seq: int
    answer: Answered | None = None
    granted: bool = False


class StepTold(msgspec.Struct):
    """One step: the place in the history of what happened to it last, 0 for never."""

    step: int
    attempts: int = 0
    began: int = 0
    run: str = ""
    ended: int = 0
    headline: str = ""
    why: str = ""
    skipped: int = 0
    repeated: int = 0

    @property
    def open(self) -> bool:
        """Whether an attempt is under way, whatever was said about the step meanwhile."""
        return self.began > self.ended

    @property
    def waiting(self) -> bool:
        """Whether it is still to come, or to come once more."""
        return not self.open and self.repeated >= max(self.began, self.skipped)

    @property
    def since(self) -> int:
        """Answers before this place are about something else."""
        return max(self.began if self.open else 0, self.ended, self.skipped, self.repeated)


class Told(msgspec.Struct):
    """A day as its conductor needs it."""

    day: Day
    scenario: Scenario
    steps: list[StepTold]
    questions: list[Question] = msgspec.field(default_factory=list)
    taken: int = 0  # where the last conductor took over from a dead one
    drill_began: int = 0
    drill_began_at: float = 0.0
    drill_ended: int = 0
    drill_run: str = ""
    drill_pull: HaltAsked | None = None
    predicted: dict[int, int] = msgspec.field(default_factory=dict)  # step -> where the last prediction is
    ticked: set[int] = msgspec.field(default_factory=set)
    approved: set[str] = msgspec.field(default_factory=set)
    conductors: int = 0

    @property
    def pending(self) -> Question | None:
        """The question that waits for an answer, unless it became pointless."""
        last = self.questions[-1] if self.questions else None
        if last is None or last.answer is not None or last.seq < max(self.taken, self.drill_ended):
            return None
        if 0 <= last.asked.step < len(self.steps):
            step = self.steps[last.asked.step]
            over = step.ended if last.asked.kind != "outcome" else 0
            if max(step.skipped, step.repeated, over) > last.seq:
                return None
        return last

    def granted(self, kind: str, step: int, since: int) -> bool:
        """Whether a question of this kind was answered so that the day goes on."""
        return any(
            one.granted and one.seq > since and (one.asked.kind, one.asked.step) == (kind, step)
            for one in self.questions
            if kind != "ready" or LED_BY in one.asked.of
        )

    def refused(self) -> Answered | None:
        """The no-go that ends the day."""
        said = (one.answer for one in self.questions if one.answer is not None)
        return next((answer for answer in said if answer.answer == "no-go"), None)

    def missing(self) -> list[str]:
        """What has to be there before the next thing happens; items about the drill once it is over."""
        wanted = [name for name in self.scenario.approvals if name not in self.approved]
        items = [
            f"{n} '{item}'"
            for n, item in enumerate(self.scenario.checklist, start=1)
            if n - 1 not in self.ticked and (self.drill_ended or not self._of_drill(item))
        ]
        return [f"checklist item {item}" for item in items] + [f"the approval of {name}" for name in wanted]

    def _of_drill(self, item: str) -> bool:
        return self.scenario.drill and "drill" in item.lower()


def read(entries: Iterable[Entry]) -> Told:
    """What the facts come to. The first one must be DayStarted."""
    kept = list(entries)
    day = days.fold(kept)
    assert day.scenario is not None
    told = Told(day, day.scenario, [StepTold(n) for n in range(len(day.scenario.steps))])
    for entry in kept:
        if entry.seq not in day.retracted:
            _steps(told, entry)
            _talk(told, entry)
            _drill(told, entry)
    return told


def _steps(told: Told, entry: Entry) -> None:
    fact, seq = entry.fact, entry.seq
    if not isinstance(fact, StepBegan | StepEnded | StepSkipped | StepRepeated):
        return
    if not 0 <= fact.step < len(told.steps):
        return
    step = told.steps[fact.step]
    match fact:
        case StepBegan(_n, run, attempt):
            step.began, step.run, step.attempts = seq, run, max(attempt, step.attempts + 1)
        case StepEnded(_n, _run, headline, why):
            step.ended, step.headline, step.why = seq, headline, why
        case StepSkipped():
            step.skipped = seq
        case StepRepeated():
            step.repeated = seq


def _talk(told: Told, entry: Entry) -> None:
    match entry.fact:
        case Asked() as asked:
            told.questions.append(Question(asked, entry.seq))
        case Answered() as answer:
            _answer(told, answer)
        case Predicted(step):
            told.predicted[step] = entry.seq
        case Ticked(item):
            told.ticked.add(item)
        case Approved(name):
            told.approved.add(name)
        case ConductorBegan():
            told.conductors += 1
            told.taken = entry.seq if told.conductors > 1 else 0
        case _:
            pass


def _answer(told: Told, answer: Answered) -> None:
    last = told.questions[-1] if told.questions else None
    if last is None or last.answer is not None or last.asked.step != answer.step:
        return
    if answer.answer == "go" and answer.role not in last.asked.of:
        return
    last.answer = answer
    last.granted = answer.answer == "go" and _enough(told, last, answer)


def _enough(told: Told, question: Question, answer: Answered) -> bool:
    """Whether the `go` is worth something: what had to be there was there."""
    match question.asked.kind:
        case "ready":
            return not told.missing()
        case "prediction":
            step = told.steps[question.asked.step]
            return told.predicted.get(step.step, 0) > step.since or bool(answer.reason.strip())
        case _:
            return True


def _drill(told: Told, entry: Entry) -> None:
    match entry.fact:
        case DrillBegan(run):
            told.drill_began, told.drill_began_at = entry.seq, entry.at
            told.drill_run, told.drill_pull = run, None
        case HaltAsked() as pull if told.drill_pull is None and _pull_asked(told):
            told.drill_pull = pull
        case DrillEnded():
            told.drill_ended = entry.seq
        case _:
            pass


def _pull_asked(told: Told) -> bool:
    """Whether the drill waits for its lever: a pull before that is meant in earnest."""
    last = told.questions[-1].seq if told.questions else 0
    return last > told.drill_began > told.drill_ended
