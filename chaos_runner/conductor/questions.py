"""What a game day asks people, in sentences that say what to type. No IO."""

from __future__ import annotations

from chaos_runner.conductor.told import LED_BY, Told
from chaos_runner.expect import written
from chaos_runner.gameday.facts import Asked, DrillEnded
from chaos_runner.gameday.scenario import AskStep, NoteStep, RunStep

ABORTS = "abort_authority"


def clock(seconds: float) -> str:
    """A duration as people write it."""
    return written("duration", seconds)


def ready(told: Told) -> Asked:
    """At the very beginning, and again while something is missing."""
    missing = told.missing()
    first = "is everybody ready? `here` answers the roll call, `tick N` the checklist; then `go`"
    text = f"not yet: {', '.join(missing)} missing; then `go`" if told.questions and missing else first
    return Asked(step=-1, question=text, of=(LED_BY,), kind="ready")


def taken_up() -> Asked:
    """After a conductor's death: nobody goes on by itself."""
    text = "another conductor took the day up after the first one died: is everybody still ready? Then `go`"
    return Asked(step=-1, question=text, of=(LED_BY,), kind="ready")


def levered(lever: str) -> Asked:
    """A pulled lever would stop the next run."""
    return Asked(step=-1, question=f"nothing can run: {lever}. When it is released: `go`", of=(LED_BY,), kind="ready")


def pull() -> Asked:
    """The drill: a harmless fault is on, and waits for its lever."""
    text = "abort drill: a harmless fault is on. Pull the lever now: `halt`"
    return Asked(step=-1, question=text, of=(ABORTS,), kind="ready")


def after_drill(told: Told, failed: DrillEnded | None) -> Asked:
    """The drill is over, and something is not as it should be."""
    parts = [f"the drill has no time: {failed.why}"] if failed is not None else []
    parts += [f"{', '.join(told.missing())} missing"] if told.missing() else []
    text = f"{'; '.join(parts)}. `go` goes on with the first step, `no-go WHY` ends the day"
    return Asked(step=-1, question=text, of=(LED_BY,), kind="ready")


def checkpoint(n: int, step: AskStep) -> Asked:
    """A go or no-go of the file."""
    asked = step.go_no_go
    unless = f"; {asked.unless} may say no-go" if asked.unless else ""
    return Asked(step=n, question=f"go or no-go?{unless}", of=(asked.ask,), kind="go_no_go")


def notes(told: Told, n: int, step: NoteStep) -> Asked:
    """A time for notes."""
    of = tuple(role for role in (LED_BY, "scribe") if told.day.people(role))
    return Asked(step=n, question=f"{step.note}; `go` when all is written down", of=of, kind="note")


def prediction(n: int, step: RunStep, *, asked_before: bool) -> Asked:
    """Before an injection: what does everybody believe?"""
    about = f" of '{step.name}'" if step.name else ""
    first = f"what will come out{about}? `predict holds|deviates|aborts 70% WHY`, then `go`; `skip WHY` leaves it out"
    text = f"nobody has predicted what comes out{about}: `predict …` first, or `go WHY` without"
    return Asked(step=n, question=text if asked_before else first, of=(LED_BY,), kind="prediction")


def outcome(n: int, headline: str, why: str) -> Asked:
    """A run came out otherwise than hoped for."""
    came = f"ended {headline}" if headline else "did not run"
    about = f": {why}" if why else ""
    text = f"step {n + 1} {came}{about}. `go` goes on, `repeat WHY` runs it once more, `no-go WHY` ends the day"
    return Asked(step=n, question=text[:2000], of=(LED_BY,), kind="outcome")
