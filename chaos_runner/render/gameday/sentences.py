"""Every fact of a day as one past-tense sentence. No IO."""

from __future__ import annotations

from chaos_runner.gameday import facts
from chaos_runner.gameday.facts import Entry
from chaos_runner.render import text

MARKS = {
    "detected": "detected",
    "acknowledged": "acknowledged",
    "mitigated": "mitigated: users are not harmed any more",
    "restored": "restored: back to normal",
    "evidence": "definitive evidence seen",
}
KINDS = {
    "note": "noted",
    "surprise": "was surprised",
    "went_well": "said that it went well",
    "logistics": "said for next time",
    "cause": "named a contributing factor",
}
SETTLED = {"done": "is done", "accepted": "is an accepted risk", "dropped": "was dropped", "open": "is open again"}
ENDS = {
    "finished": "finished",
    "stopped": "stopped early",
    "incident": "ended by a real incident",
    "hard_end": "ended by the clock",
    "died": "ended without its conductor",
}
RESULTS = {"met": "met", "partly": "met in part", "not": "not met"}


def sentence(entry: Entry) -> str:
    """One line about one fact."""
    fact = entry.fact
    told = _course(fact) or _drill(fact) or _people(fact) or _asked(fact) or _words(fact) or _alarms(fact)
    return text.one_line(told or type(fact).__name__, 600)


def _course(fact: facts.AnyFact) -> str:
    match fact:
        case facts.DayStarted(file=file, actor=actor):
            return f"Game day started by {actor or 'an unrecorded actor'} from {file}"
        case facts.ConductorBegan(pid, _epoch, why):
            return f"Conductor began (pid {pid})" + _because(why)
        case facts.StepBegan(step, run, attempt):
            again = f", attempt {attempt}" if attempt > 1 else ""
            return f"{_step(step)} began{again}" + (f": run {run}" if run else "")
        case facts.StepEnded(step, _run, headline, why):
            return f"{_step(step)} ended" + (f" {headline.replace('_', ' ')}" if headline else "") + _because(why)
        case facts.StepSkipped(step, who, reason):
            return f"{who} left out {_step(step).lower()}" + _because(reason)
        case facts.StepRepeated(step, who, reason):
            return f"{who} wanted {_step(step).lower()} once more" + _because(reason)
        case facts.EndAsked(who, reason):
            return f"{who} asked to end the day" + _because(reason)
        case facts.DayEnded(how, why, who):
            by = "" if who == "conductor" else f" by {who}"
            return f"Game day {ENDS.get(how, how)}{by}" + _because(why)
        case _:
            return ""


def _drill(fact: facts.AnyFact) -> str:
    match fact:
        case facts.DrillBegan():
            return "Abort drill began"
        case facts.DrillEnded(_run, who, halt_s, why):
            took = (
                f"the fault was gone {text.duration(halt_s)} after the pull" if halt_s is not None else "no time taken"
            )
            return f"Abort drill by {who}: {took}" + _because(why)
        case _:
            return ""


def _people(fact: facts.AnyFact) -> str:
    match fact:
        case facts.RoleTaken(role, people, who):
            return f"{who} handed the role {role} to {text.listed(list(people))}"
        case facts.Present(name, _who, absent):
            return f"{name} is absent: {absent}" if absent else f"{name} is here"
        case facts.Ticked(item, who):
            return f"{who} ticked item {item + 1} of the checklist"
        case facts.Approved(name):
            return f"{name} approved"
        case facts.ConsoleAttached(who, where):
            return f"{who} attached a console ({where})"
        case facts.Confident(who, when, confidence):
            return f"{who} trusts the system by {text.share(confidence)} {when} the day"
        case facts.ObjectiveJudged(objective, result, who, said):
            return f"{who} judged the objective {objective}: {RESULTS[result]}" + _because(said)
        case _:
            return ""


def _asked(fact: facts.AnyFact) -> str:
    match fact:
        case facts.Asked(_step, question, of):
            return f"Asked {text.listed(list(of))}: {question}"
        case facts.Answered(_step, who, role, answer, reason):
            return f"{who} ({role}) said {answer}" + _because(reason)
        case facts.Predicted(_step, who, believed, confidence, said):
            return f"{who} predicted that it {believed}, {text.share(confidence)} sure" + _because(said)
        case _:
            return ""


def _words(fact: facts.AnyFact) -> str:
    match fact:
        case facts.Marked(mark=mark, who=who, text=said):
            return f"{who} stamped {MARKS[mark]}" + _because(said)
        case facts.Retracted(seq, who, reason):
            return f"{who} took back #{seq}" + _because(reason)
        case facts.Said(who, said, kind):
            return f"{who} {KINDS[kind]}: {said}"
        case facts.ActionAdded(id=name, finding=finding, owner=owner, due=due):
            return f"Action {name} for {owner or 'nobody yet'}, due {due or 'some day'}: {finding}"
        case facts.ActionSettled(name, state, who, reason):
            return f"{who} said that action {name} {SETTLED[state]}" + _because(reason)
        case _:
            return ""


def _alarms(fact: facts.AnyFact) -> str:
    match fact:
        case facts.AlertFired(name, _labels, _starts, state):
            return f"Alert {name} {'fired' if state == 'firing' else f'was {state}'}"
        case facts.AlertEnded(name):
            return f"Alert {name} was no longer there"
        case facts.AlertsUnread(why, readable):
            return "Alerts could be read again" if readable else f"Alerts could not be read: {why}"
        case facts.HaltAsked(who, scope, _at, reason):
            return f"{who} pulled the lever {scope}" + _because(reason)
        case facts.IncidentDeclared(who, said):
            return f"REAL INCIDENT declared by {who}: {said}"
        case _:
            return ""


def _because(why: str) -> str:
    return f": {why}" if why else ""


def _step(step: int) -> str:
    return f"Step {step + 1}" if step >= 0 else "The day"


def moment(entry: Entry) -> float:
    """When it happened, in Unix time: a stamp may be backdated, a lever is written down after it was pulled."""
    match entry.fact:
        case facts.Marked(happened_at=at) | facts.HaltAsked(asked_at=at):
            return at
        case facts.AlertFired(starts_at=at, state="firing"):
            return at
        case _:
            return entry.at
