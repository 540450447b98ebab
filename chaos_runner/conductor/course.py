"""What a game day does next, from its facts and what the world shows. A decision table: no IO, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from chaos_runner.conductor import questions
from chaos_runner.conductor.told import StepTold, Told
from chaos_runner.gameday.facts import Asked, DayEnded, StepEnded
from chaos_runner.gameday.scenario import AskStep, Choice, NoteStep, RunStep

How = Literal["finished", "stopped", "incident", "hard_end", "died"]


class RunSeen(msgspec.Struct, frozen=True):
    """One run that the day reserved. `lost`: its process is gone, and nobody ended it; `never`: it was not started."""

    state: Literal["unborn", "going", "lost", "over", "never"]
    headline: str = ""
    why: str = ""
    faulty: bool = False  # a fault is on its target


class Seen(msgspec.Struct, frozen=True):
    """What the world shows beside the facts. `t` is seconds since the day's start."""

    t: float = 0.0
    runs: Mapping[str, RunSeen] = {}
    plans: frozenset[tuple[int, int]] = frozenset()  # (step, attempt)
    lever: str = ""  # one that would stop the next run, in a sentence


class Wait(msgspec.Struct, frozen=True):
    """Nothing to do until somebody says something."""


class Ask(msgspec.Struct, frozen=True):
    """The day waits for an answer."""

    asked: Asked


class Begin(msgspec.Struct, frozen=True):
    """A step of people begins."""

    step: int
    attempt: int


class Plan(msgspec.Struct, frozen=True):
    """The step's targets are resolved and frozen."""

    step: int
    attempt: int


class StartRun(msgspec.Struct, frozen=True):
    """The step's run begins, as a process of its own."""

    step: int
    attempt: int


class AwaitRun(msgspec.Struct, frozen=True):
    """A run goes on; with `halt` it has to stop, and says why. `late` leaves it some time to stop by itself."""

    run: str
    halt: str = ""
    late: bool = False


class Recover(msgspec.Struct, frozen=True):
    """A run's process is gone without an end: what it left is undone."""

    run: str


class StartDrill(msgspec.Struct, frozen=True):
    """A harmless run begins, for its lever to be pulled."""


class EndDrill(msgspec.Struct, frozen=True):
    """The drill's run is over: its lever is released, its time written down."""

    run: str
    seen: RunSeen


class EndStep(msgspec.Struct, frozen=True):
    """A step is over."""

    ended: StepEnded


class EndDay(msgspec.Struct, frozen=True):
    """The day is over."""

    ended: DayEnded


Command = Wait | Ask | Begin | Plan | StartRun | AwaitRun | Recover | StartDrill | EndDrill | EndStep | EndDay


def next_of(told: Told, seen: Seen) -> Command:
    """The one thing to do now. The same facts and the same sight give the same command."""
    if told.day.ended is not None:
        return Wait()
    end = _end(told, seen)
    under_way = _under_way(told, seen, end)
    if under_way is not None:
        return under_way
    if end is not None:
        return EndDay(end)
    pending = told.pending
    if pending is not None:
        return Wait() if told.day.asked is not None else Ask(pending.asked)
    return _opening(told, seen) or _after(told) or _onward(told, seen)


def _end(told: Told, seen: Seen) -> DayEnded | None:
    """Why the day has to end, the most pressing first."""
    day = told.day
    if day.incident is not None:
        said = day.incident[1]
        return DayEnded(how="incident", why=said.text, who=said.who)
    if day.end_asked is not None:
        wish = day.end_asked[1]
        return DayEnded(how="stopped", why=wish.reason, who=wish.who)
    if no := told.refused():
        return DayEnded(how="stopped", why=f"no-go by {no.who} ({no.role}): {no.reason}", who=no.who)
    if seen.t >= told.scenario.agenda.hard_end:
        return DayEnded(how="hard_end", why=f"the hard end, {questions.clock(told.scenario.agenda.hard_end)} in")
    stop = next((step for step in told.steps if not step.open and _choice(told, step) == "stop"), None)
    if stop is not None:
        return DayEnded(how="stopped", why=f"step {stop.step + 1} ended {stop.headline or 'without a run'}: {stop.why}")
    return None


def _under_way(told: Told, seen: Seen, end: DayEnded | None) -> Command | None:
    """What a run or a step that began still needs; nothing else happens meanwhile."""
    if told.drill_began > told.drill_ended:
        return _drilling(told, seen, end)
    step = next((one for one in told.steps if one.open), None)
    if step is None:
        return None
    if step.run:
        run = seen.runs.get(step.run, RunSeen("never"))
        if run.state in {"over", "never"}:
            return EndStep(_ended(step, run))
        return _awaited(step.run, run, end)
    if isinstance(told.scenario.steps[step.step], RunStep):
        return EndStep(StepEnded(step=step.step, why="it was not planned to its end"))
    if end is not None:
        return EndStep(StepEnded(step=step.step, why=end.why))
    if max(step.skipped, step.repeated) > step.began:
        return EndStep(StepEnded(step=step.step, why="left out"))
    return _people(told, step)


def _drilling(told: Told, seen: Seen, end: DayEnded | None) -> Command:
    run = seen.runs.get(told.drill_run, RunSeen("never"))
    if run.state in {"over", "never"}:
        return EndDrill(told.drill_run, run)
    asked = any(one.seq > told.drill_began for one in told.questions)
    if run.faulty and not asked and end is None:
        return Ask(questions.pull())
    return _awaited(told.drill_run, run, end)


def _awaited(run_id: str, run: RunSeen, end: DayEnded | None) -> Command:
    if run.state == "lost":
        return Recover(run_id)
    return AwaitRun(run_id, halt=end.why or end.how if end else "", late=end is not None and end.how == "incident")


def _ended(step: StepTold, run: RunSeen) -> StepEnded:
    if run.state == "over":
        return StepEnded(step.step, run=step.run, headline=run.headline, why=run.why)  # type: ignore[arg-type]
    return StepEnded(step.step, why=run.why or "its conductor died before the run was started")


def _people(told: Told, step: StepTold) -> Command:
    """A checkpoint, or a time for notes."""
    one, n = told.scenario.steps[step.step], step.step
    assert not isinstance(one, RunStep)
    mine = [q for q in told.questions if q.granted and q.seq > step.began and q.asked.step == n]
    if mine and mine[-1].answer is not None:
        answer = mine[-1].answer
        return EndStep(StepEnded(n, why=f"go by {answer.who}: {answer.reason}".rstrip(": ")))
    pending = told.pending
    if pending is not None and told.day.asked is not None:
        return Wait()
    if _taken(told):
        return Ask(questions.taken_up())
    return Ask(questions.notes(told, n, one) if isinstance(one, NoteStep) else questions.checkpoint(n, one))


def _taken(told: Told) -> bool:
    """Whether somebody has to say go because the conductor before this one died."""
    return told.taken > 0 and not told.granted("ready", -1, told.taken)


def _opening(told: Told, seen: Seen) -> Command | None:
    """Everybody ready, the drill, everybody still ready."""
    if not told.granted("ready", -1, 0):
        return Ask(questions.ready(told))
    if _taken(told):
        return Ask(questions.taken_up())
    wanted = told.scenario.drill and not told.drill_ended
    if wanted and seen.lever:
        return Ask(questions.levered(seen.lever))
    if wanted:
        return StartDrill()
    failed = told.day.drill is not None and told.day.drill.halt_s is None
    if (told.missing() or failed) and not told.granted("ready", -1, told.drill_ended):
        return Ask(questions.after_drill(told, told.day.drill if failed else None))
    return None


def _after(told: Told) -> Command | None:
    """What a step that ended leaves to be asked."""
    for step in sorted(told.steps, key=lambda one: one.ended):
        if step.ended and _choice(told, step) == "ask" and not told.granted("outcome", step.step, step.ended):
            return Ask(questions.outcome(step.step, step.headline, step.why))
    return None


def _choice(told: Told, step: StepTold) -> Choice:
    """What the file says about how the step's last run came out."""
    one = told.scenario.steps[step.step]
    if not isinstance(one, RunStep) or not step.ended or max(step.repeated, step.skipped) > step.ended:
        return "go_on"
    if step.headline == "NOT_REVERTED":
        return "stop"
    chosen: dict[str, Choice] = {"HELD": "go_on", "DEVIATED": one.on.deviated, "ABORTED": one.on.aborted}
    return chosen.get(step.headline, one.on.unknown)


def _onward(told: Told, seen: Seen) -> Command:
    step = next((one for one in told.steps if one.waiting), None)
    if step is None:
        return EndDay(DayEnded(how="finished"))
    n, attempt = step.step, step.attempts + 1
    one = told.scenario.steps[n]
    if isinstance(one, AskStep | NoteStep):
        return Begin(n, attempt)
    if (n, attempt) not in seen.plans:
        return Plan(n, attempt)
    if seen.lever:
        return Ask(questions.levered(seen.lever))
    if not told.granted("prediction", n, step.since):
        return Ask(questions.prediction(n, one, asked_before=_asked_before(told, step)))
    return StartRun(n, attempt)


def _asked_before(told: Told, step: StepTold) -> bool:
    return any(
        one.asked.kind == "prediction" and one.asked.step == step.step and one.seq > step.since and one.answer
        for one in told.questions
    )
