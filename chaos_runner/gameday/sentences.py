"""Every fact of a day as one past-tense sentence: consoles, pages and reports say the same. No IO, no clock.

What people typed is in the sentences as they typed it: whoever shows them makes it harmless.
"""

from __future__ import annotations

from chaos_runner.gameday import facts
from chaos_runner.gameday.facts import AnyFact
from chaos_runner.gameday.scenario import AskStep, NoteStep, RunStep, Scenario

SAID = {
    "note": "noted",
    "surprise": "was surprised",
    "went_well": "saw go well",
    "logistics": "said for next time",
    "cause": "saw as a cause",
}
ENDS = {
    "finished": "The day is over",
    "stopped": "The day was stopped",
    "incident": "The day is over: this is a real incident",
    "hard_end": "The day is over: its hard end was reached",
    "died": "The day is over: its conductor died",
}
RESULTS = {"met": "met", "partly": "met in part", "not": "not met"}
MARKS = {
    "detected": "detected it",
    "acknowledged": "took it on",
    "mitigated": "ended the harm to users",
    "restored": "saw it back to normal",
    "evidence": "saw the evidence",
}


def step_name(scenario: Scenario | None, n: int) -> str:
    """What people call a step."""
    if scenario is None or not 0 <= n < len(scenario.steps):
        return "the day" if n < 0 else f"step {n + 1}"
    step = scenario.steps[n]
    if isinstance(step, RunStep):
        return step.name or step.run.rpartition("/")[2].removesuffix(".yaml")
    if isinstance(step, AskStep):
        return "go or no-go"
    return step.note if isinstance(step, NoteStep) else f"step {n + 1}"


def tell(fact: AnyFact, scenario: Scenario | None = None) -> str:
    """One line about one fact."""
    return _course(fact, scenario) or _people(fact, scenario) or _words(fact) or _alerts(fact) or type(fact).__name__


def _course(fact: AnyFact, scenario: Scenario | None) -> str:  # noqa: C901 -- one flat table of facts
    match fact:
        case facts.DayStarted(actor=actor):
            return f"{actor or 'Somebody'} began the day"
        case facts.ConductorBegan(pid=pid, epoch=epoch, why=why):
            return f"{'The' if epoch <= 2 else 'Another'} conductor took up the day (pid {pid}){_why(why)}"
        case facts.StepBegan(step, run, attempt):
            again = f", attempt {attempt}" if attempt > 1 else ""
            return f"Step {step + 1} began: {step_name(scenario, step)}{again}" + (f" (run {run})" if run else "")
        case facts.StepEnded(step, _run, headline, why):
            return f"Step {step + 1} ended{f' {headline}' if headline else ''}: {step_name(scenario, step)}{_why(why)}"
        case facts.StepSkipped(step, who, reason):
            return f"{who} skipped step {step + 1}, {step_name(scenario, step)}{_why(reason)}"
        case facts.StepRepeated(step, who, reason):
            return f"{who} wanted step {step + 1} once more, {step_name(scenario, step)}{_why(reason)}"
        case facts.Asked(_step, question, of, _kind):
            return f"Asked {' or '.join(of) or 'somebody'}: {question}"
        case facts.Answered(_step, who, role, answer, reason):
            return f"{who}{f' ({role})' if role else ''} said {answer}{_why(reason)}"
        case facts.DrillBegan(run):
            return "The abort drill began" + (f" (run {run})" if run else "")
        case facts.DrillEnded(_run, who, halt_s, why):
            took = f"{halt_s:.2f} s from the pull to the fault gone" if halt_s is not None else "no time was taken"
            return f"Drill ended, lever pulled by {who}: {took}{_why(why)}"
        case facts.IncidentDeclared(who, text):
            return f"REAL INCIDENT, declared by {who}: {text}"
        case facts.EndAsked(who, reason):
            return f"{who} wanted the day to end{_why(reason)}"
        case facts.DayEnded(how, why, who):
            by = "" if who == "conductor" else f", by {who}"
            return f"{ENDS.get(how, how)}{by}{_why(why)}"
        case _:
            return ""


def _people(fact: AnyFact, scenario: Scenario | None) -> str:
    match fact:
        case facts.RoleTaken(role, people, who):
            return f"{' and '.join(people) or 'Nobody'} took over as {role}{_by(who, people)}"
        case facts.Present(name, who, absent):
            return f"{name} was {f'absent: {absent}' if absent else 'there'}{_by(who, (name,))}"
        case facts.Ticked(item, who):
            known = scenario is not None and item < len(scenario.checklist)
            return f"{who} ticked: {scenario.checklist[item] if known and scenario else f'item {item + 1}'}"
        case facts.Approved(name, who):
            return f"{name} approved{_by(who, (name,))}"
        case facts.Predicted(step, who, believed, confidence, text):
            return f"{who} predicted that step {step + 1} {believed}, {confidence:.0%} sure{_why(text)}"
        case facts.ObjectiveJudged(objective, result, who, text):
            return f"{who} judged the objective {objective}: {RESULTS[result]}{_why(text)}"
        case facts.Confident(who, when, confidence):
            return f"{who} trusted the system by {confidence:.0%} {when} the day"
        case facts.ConsoleAttached(who, where):
            return f"{who} came in by {where}"
        case _:
            return ""


def _words(fact: AnyFact) -> str:
    match fact:
        case facts.Marked(mark, _happened_at, who, source, _step, text):
            by = who if source == "person" else f"{who} ({source})"
            return f"{by} {MARKS.get(mark, mark)}{_why(text)}"
        case facts.Retracted(seq, who, reason):
            return f"{who} took back #{seq}{_why(reason)}"
        case facts.Said(who, text, kind):
            return f"{who} {SAID.get(kind, kind)}: {text}"
        case facts.ActionAdded(name, finding, who, owner, due, priority):
            whose = f", {owner}" if owner else ", nobody yet"
            return f"Action {name} ({priority}{whose}{f', by {due}' if due else ''}), from {who}: {finding}"
        case facts.ActionSettled(name, state, who, reason):
            return f"{who} settled action {name} as {state}{_why(reason)}"
        case facts.HaltAsked(who, scope, _asked_at, reason):
            return f"{who} pulled the lever{f' {scope}' if scope else ''}{_why(reason)}"
        case _:
            return ""


def _alerts(fact: AnyFact) -> str:
    match fact:
        case facts.AlertFired(name, labels, _starts_at, state):
            word = {"firing": "fired", "suppressed": "fired, suppressed", "pending": "was pending"}.get(state, state)
            return f"Alert {name} {word}{_labelled(labels)}"
        case facts.AlertEnded(name, labels):
            return f"Alert {name} was over{_labelled(labels)}"
        case facts.AlertsUnread(why, readable):
            return "Alerts could be read again" if readable else f"Alerts could not be read{_why(why)}"
        case _:
            return ""


def _labelled(labels: dict[str, str]) -> str:
    told = ", ".join(f"{key}={labels[key]}" for key in sorted(labels) if key != "alertname")
    return f": {told}" if told else ""


def _why(text: str) -> str:
    return f": {text}" if text else ""


def _by(who: str, people: tuple[str, ...]) -> str:
    return "" if who in people else f", says {who}"
