"""What is to be done before a game day, as far as its file, its times and readings of alerts tell. No IO, no clock.

Each finding says what was looked at. What cannot be told is unknown, and unknown is not ready.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from chaos_runner import alerts
from chaos_runner.alerts import Heard, Rule
from chaos_runner.environment import AlwaysOn
from chaos_runner.gameday.scenario import ROLES, Scenario

NOBODY = {
    "",
    "?",
    "-",
    "anybody",
    "n/a",
    "nobody",
    "nn",
    "none",
    "somebody",
    "tba",
    "tbc",
    "tbd",
    "todo",
    "unknown",
    "xxx",
}


class Finding(msgspec.Struct, frozen=True):
    """One line: how it is, what it is about, what was looked at and what was found, what is to be done."""

    state: Literal["ok", "no", "unknown"]
    what: str
    looked_at: str
    found: str
    next: str = ""


class Timed(msgspec.Struct, frozen=True):
    """How long the run of a step can take."""

    step: int
    name: str
    worst_s: float


def ready(findings: Sequence[Finding]) -> bool:
    """Whether nothing is to be done any more."""
    return all(one.state == "ok" for one in findings)


def people(scenario: Scenario) -> Iterator[Finding]:
    """Whether somebody is named for each part."""
    for role in dict.fromkeys((*ROLES, *scenario.roles)):
        names, what, where = scenario.people(role), f"role {role}", f"roles.{role}"
        vague = [name for name in names if _nobody(name)]
        if not names or vague:
            said = f"'{vague[0]}' is nobody" if vague else "nobody is named"
            yield Finding("no", what, where, said, f"name who plays it: {where}")
        else:
            yield Finding("ok", what, where, ", ".join(names))


def approvals(scenario: Scenario, *, careful: bool) -> Finding:
    """Whether it is known who has to say yes; a careful environment's day needs somebody who does."""
    what, where, names = "approvals", "approvals", scenario.approvals
    vague = [name for name in names if _nobody(name)]
    if vague:
        return Finding("no", what, where, f"'{vague[0]}' is nobody", "name who has to say yes beforehand")
    if names:
        return Finding("ok", what, where, f"asked of {', '.join(names)} before the first fault")
    if careful:
        why = f"nobody's is asked for, and '{scenario.environment}' wants every run confirmed"
        return Finding("no", what, where, why, "name who has to say yes beforehand")
    return Finding("ok", what, where, "nobody's is asked for")


def _nobody(name: str) -> bool:
    """Whether a name is a placeholder, whatever is said of it in brackets."""
    bare = re.sub(r"\(.*?\)", "", name.casefold())
    return re.sub(r"[\s.<>\[\]]", "", bare) in NOBODY


def runbooks(scenario: Scenario, is_file: Callable[[str], bool]) -> Iterator[Finding]:
    """Whether each runbook's address is one; nobody is asked over the network."""
    for about, address in scenario.runbooks.items():
        where = f"runbooks.{about}"
        if _is_address(address):
            yield Finding(
                "ok", f"runbook: {about}", where, f"{address} is an address; whether it is right, people know"
            )
        elif is_file(address):
            yield Finding("ok", f"runbook: {about}", where, f"{address} is a file")
        else:
            said = f"'{address}' is neither an address such as https://wiki/slow-checkout nor a file"
            yield Finding("no", f"runbook: {about}", where, said, "correct it")


def _is_address(text: str) -> bool:
    if re.search(r"[\s\x00-\x1f\x7f]", text):
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def times(scenario: Scenario, timed: Sequence[Timed]) -> Iterator[Finding]:
    """Whether each run fits where the agenda has it, and all of them before the hard end, at their longest."""
    for one in timed:
        yield from _in_its_place(scenario, one)
    worst, agenda = sum(one.worst_s for one in timed), scenario.agenda
    runs, end = f"{len(timed)} run{'s' if len(timed) != 1 else ''}", _long(agenda.hard_end)
    last = agenda.items[-1].at if agenda.items else agenda.hard_end
    said = f"{runs} take{'s' if len(timed) == 1 else ''} {_long(worst)} at the longest"
    where = "worst case of all runs, agenda.items, agenda.hard_end"
    if worst > agenda.hard_end:
        next_ = "run less, tighten more, or end later"
        yield Finding("no", "time of the day", where, f"{said}; the hard end is after {end}", next_)
    elif worst > last:
        yield Finding(
            "no", "time of the day", where, f"{said}; the agenda ends after {_long(last)}", "plan for more time"
        )
    else:
        planned = f"the agenda ends after {_long(last)}, " if agenda.items else "there is no agenda; "
        yield Finding("ok", "time of the day", where, f"{said}; {planned}the hard end is after {end}")


def _in_its_place(scenario: Scenario, one: Timed) -> Iterator[Finding]:
    """A step that the agenda calls by its name has until the next item."""
    items, what = scenario.agenda.items, f"time of step {one.step + 1}: {one.name}"
    place = next((n for n, item in enumerate(items) if item.what.strip() == one.name), None)
    if place is None:
        said = f"{_long(one.worst_s)} at the longest; the agenda does not name it"
        yield Finding("ok", what, "worst case of its plan, agenda.items", said)
        return
    end = items[place + 1].at if place + 1 < len(items) else scenario.agenda.hard_end
    room = end - items[place].at
    said = f"{_long(one.worst_s)} at the longest, of the {_long(room)} that the agenda has for it"
    where = f"worst case of its plan, agenda.items[{place}]"
    if one.worst_s > room:
        yield Finding("no", what, where, said, "give it more time, or tighten it")
    else:
        yield Finding("ok", what, where, said)


def _long(seconds: float) -> str:
    """A duration for people: 75s is 1m 15s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "m"), (rest, "s")]
    return " ".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def alert(ref: str, rules: Sequence[Rule] | str, heard: Heard | str, always_on: AlwaysOn) -> Finding:
    """Whether some rule makes this alert, and it is silent now; a reading that failed is a sentence why."""
    what, where = f"alert {ref}", "rules of Prometheus, alerts that fire now"
    state, made = _made(ref, rules)
    if state == "no":
        return Finding("no", what, where, made, "write the rule, or correct the name")
    if isinstance(heard, str):
        return Finding("unknown", what, where, f"{made}; it cannot be told that it is silent: {heard}", "try again")
    loud = next((one for one in heard.alerts if alerts.meant(ref, one)), None)
    if loud is not None:
        by = f", suppressed by {loud.why}" if loud.state == "suppressed" else ""
        return Finding(
            "no", what, where, f"{made}; it is {_state(loud.state)} now{by}", "see why, and wait until it ends"
        )
    if unheard := alerts.unheard(always_on.alert, always_on.heard_within, heard):
        return Finding("unknown", what, where, f"{made}; it cannot be told that it is silent: {unheard}", "mend that")
    if state == "unknown":
        return Finding(
            "unknown", what, where, made, "say `prometheus:` in the environment, so that its rules can be read"
        )
    return Finding("ok", what, where, f"{made}; it is silent now")


def _state(state: str) -> str:
    return {"suppressed": "firing"}.get(state, state)


def _made(ref: str, rules: Sequence[Rule] | str) -> tuple[Literal["ok", "no", "unknown"], str]:
    """Whether a rule makes it; labels that a rule does not state may come from what it measures."""
    if isinstance(rules, str):
        return "unknown", f"it cannot be told whether a rule makes it: {rules}"
    wanted = alerts.labels_of(ref)
    name = wanted.pop("alertname", "")
    named = [one for one in rules if not name or one.name == name]
    makes = [one for one in named if all(one.labels.get(label, value) == value for label, value in wanted.items())]
    if not name:  # without a name, only what a rule states can be believed
        makes = [one for one in makes if wanted.keys() <= one.labels.keys()]
    if not makes:
        return "no", f"none of {len(rules)} rules makes it"
    broken = [one for one in makes if one.trouble]
    if len(broken) == len(makes):
        return "no", f"its rule cannot be evaluated: {broken[0].trouble}"
    return "ok", f"the rule {makes[0].name} makes it"
