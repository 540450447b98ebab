"""Makes the same made-up game days every time: for report tests, and for looking at the report of a day.

    python tools/sample_day.py aborted > day.html
    python tools/sample_day.py held --as postmortem

Every number is invented from a seed; nobody was there and nothing was touched.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from chaos_runner.gameday import facts
from chaos_runner.gameday.facts import AnyFact, Entry
from chaos_runner.gameday.stamps import Executed
from chaos_runner.history import fold
from chaos_runner.render.gameday import RENDERERS, Before, Told
from tools import sample_history
from tools.sample_history import START, History

DAY = "day-20260822-090000-a1b2"
BEGAN = START - 3600.0  # 09:00 UTC; the first experiment begins at 10:00
SECOND_S = 1200.0  # the second experiment begins so much later
FILE = "../experiments/checkout-survives-slow-payments.yaml"
SCENARIO: dict[str, Any] = {
    "kind": "scenario/v1",
    "name": "payments-outage",
    "title": "The payment provider gets slow",
    "summary": "The provider answers late. Shoppers should not notice; on-call should, within four minutes.",
    "environment": "staging",
    "severity_if_real": "SEV2",
    "roles": {
        "facilitator": "Fay Lindqvist",
        "operator": "Otto Brandt",
        "abort_authority": "Abe Okafor",
        "incident_commander": "Inge Moreau",
        "scribe": "Sue Park",
        "responders": ["Rob Diaz", "Rita Novak"],
    },
    "objectives": {
        "detect": "On-call sees a slow provider without being told",
        "degrade": "Checkout takes orders for later instead of failing",
        "runbook": "The runbook for slow payments is right",
    },
    "out_of_scope": ["refunds", "the provider's own failover"],
    "accepted_risks": ["Up to 200 staging orders may be wrong and are deleted afterwards"],
    "approvals": ["Anna Weiss"],
    "checklist": ["Stakeholders told", "No release and no incident going on", "Dashboards open"],
    "targets": {"detect": 240.0, "acknowledge": 120.0, "rto": 300.0},
    "alerts": {"expect": [{"name": "CheckoutSlow", "within": 120.0}], "forbid": ["DataLoss"]},
    "runbooks": {"CheckoutSlow": "https://runbooks.example/checkout-slow"},
    "steps": [
        {"step": "go_no_go", "go_no_go": {"ask": "facilitator", "unless": "abort_authority"}},
        {
            "step": "run",
            "run": FILE,
            "name": "Payments answers late",
            "expected": "CheckoutSlow fires; Rob takes it on.",
        },
        {"step": "note", "note": "Hot notes"},
        {"step": "run", "run": FILE, "name": "Payments answers late, once more"},
    ],
    "agenda": {"hard_end": 14400.0, "items": [{"at": 0.0, "what": "Brief and roles"}, {"at": 3600.0, "what": "First"}]},
}


class Diary:
    """Appends facts with their place, as the store would."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def say(self, t: float, *said: AnyFact) -> None:
        """Appends facts at `t` seconds since the day's start."""
        for fact in said:
            self.entries.append(Entry(DAY, len(self.entries) + 1, BEGAN + t, t, fact))


def moved(history: History, run: str, step: int, start: float) -> Executed:
    """A made-up run as one of another name, begun at another time."""
    entries = [msgspec.structs.replace(one, run=run, at=start + one.t) for one in history.entries]
    return Executed(step, fold(entries), tuple(entries), tuple(history.samples))


def opened() -> Diary:
    """A day up to its first experiment: everybody there, everything ticked, the lever tried."""
    book = Diary()
    versions = {"chaos-runner": "0.1.0", "python": "3.11.7"}
    files = {"scenarios/payments-outage.yaml": "ab" * 32, "experiments/checkout-survives-slow-payments.yaml": "cd" * 32}
    book.say(
        0.0,
        facts.DayStarted(SCENARIO, "scenarios/payments-outage.yaml", files, versions, "fay@ops-1", ("gameday", "run")),
        facts.ConductorBegan(4711, 1),
    )
    for n, name in enumerate(("Fay Lindqvist", "Otto Brandt", "Abe Okafor", "Sue Park", "Rob Diaz"), 1):
        book.say(30.0 * n, facts.Present(name, name))
    book.say(200.0, facts.Present("Rita Novak", "Fay Lindqvist", absent="ill today"))
    book.say(240.0, facts.Approved("Anna Weiss", "Anna Weiss"))
    for item in range(3):
        book.say(300.0 + item, facts.Ticked(item, "Sue Park"))
    book.say(600.0, facts.Confident("Otto Brandt", "before", 0.9), facts.Confident("Rob Diaz", "before", 0.6))
    book.say(900.0, facts.Asked(-1, "Is everybody ready?", ("facilitator",), "ready"))
    book.say(930.0, facts.Answered(-1, "Fay Lindqvist", "facilitator", "go"))
    book.say(1000.0, facts.DrillBegan("r-drill"), facts.HaltAsked("Abe Okafor", "environment.staging", BEGAN + 1009.5))
    book.say(1020.0, facts.DrillEnded("r-drill", "Abe Okafor", 0.412))
    book.say(3500.0, facts.Asked(0, "Go on with the first experiment?", ("facilitator",)))
    book.say(3510.0, facts.Answered(0, "Fay Lindqvist", "facilitator", "go", "all quiet"))
    return book


def experiment(book: Diary, step: int, run: str, headline: str, at: float, *, noticed: bool) -> None:
    """What people and alerts say around one run."""
    book.say(at - 60, facts.StepBegan(step, run))
    book.say(at - 40, facts.Predicted(step, "Otto Brandt", "holds", 0.9, "we have a breaker there"))
    book.say(at - 30, facts.Predicted(step, "Rob Diaz", "aborts", 0.6))
    if noticed:
        started = BEGAN + at + 41.0
        book.say(at + 42.0, facts.AlertFired("CheckoutSlow", {"team": "shop"}, started, step=step))
        book.say(at + 55.0, facts.Marked("acknowledged", BEGAN + at + 52.0, "Rob Diaz", step=step, text="looking"))
        book.say(at + 70.0, facts.AlertEnded("CheckoutSlow", {"team": "shop"}))
    book.say(at + 110.0, facts.StepEnded(step, run, headline))  # type: ignore[arg-type]


def closed(book: Diary, headline: str) -> None:
    """Hot notes, judgements, actions, the end."""
    t = 5200.0
    book.say(t, facts.Said("Rob Diaz", "The alert names the gateway, not payments", "surprise", 1))
    mistake = len(book.entries) + 1
    book.say(t + 1, facts.Marked("restored", BEGAN + 3640.0, "Sue Park", step=1, text="too early"))
    book.say(t + 9, facts.Retracted(mistake, "Sue Park", "I looked at the wrong board"))
    book.say(t + 10, facts.Said("Rob Diaz", "The runbook's first command was right", "went_well"))
    book.say(t + 11, facts.Said("Otto Brandt", "The pool of connections has no limit for waiting", "cause", 1))
    book.say(t + 12, facts.Said("Sue Park", "One board on the wall, not three", "logistics"))
    book.say(t + 20, facts.ObjectiveJudged("detect", "met", "Inge Moreau", "the alert came before anybody looked"))
    book.say(t + 21, facts.ObjectiveJudged("degrade", "met" if headline == "HELD" else "not", "Inge Moreau"))
    book.say(
        t + 30,
        facts.ActionAdded("a1b2-01", "Give checkout's call of payments a timeout of 300 ms", "Fay Lindqvist",
                          "Otto Brandt", "2026-09-05", "P1", FILE, "SHOP-1412", 1),
        facts.ActionAdded("a1b2-02", "Let CheckoutSlow name the service that is slow", "Rob Diaz", "Rob Diaz",
                          "2026-09-21", "P2", "", "", 1),
        facts.ActionAdded("a1b2-03", "Order a second screen", "Sue Park", "Sue Park", "2026-08-29", "P3"),
    )  # fmt: skip
    book.say(t + 40, facts.ActionSettled("a1b2-03", "dropped", "Fay Lindqvist", "there is one in the cellar"))
    book.say(t + 50, facts.Confident("Otto Brandt", "after", 0.9 if headline == "HELD" else 0.4))
    book.say(t + 60, facts.DayEnded("finished"))


def drill() -> Executed:
    """The harmless run that the lever stopped."""
    return moved(sample_history.lever(), "r-drill", -1, BEGAN + 1001.0)


def two(first: str, second: str, headlines: tuple[str, str], before: str = "held") -> Told:
    """A day of two experiments, and the run before the first of them."""
    book = opened()
    experiment(book, 1, "r-one", headlines[0], 3600.0, noticed=headlines[0] != "HELD")
    book.say(3800.0, facts.Said("Sue Park", "Two complaints in the support channel"))
    experiment(book, 3, "r-two", headlines[1], 3600.0 + SECOND_S, noticed=False)
    closed(book, headlines[0])
    made = sample_history.HISTORIES
    runs = (
        drill(),
        moved(made[first](), "r-one", 1, START),
        moved(made[second](), "r-two", 3, START + SECOND_S),
    )
    earlier = Before(moved(made[before](), "r-before", 1, START - 30 * 86400.0))
    return Told(tuple(book.entries), runs, {"r-one": earlier}, {"r-one": "r-one.html", "r-two": "r-two.html"})


def held() -> Told:
    """Both experiments hold."""
    return two("held", "held", ("HELD", "HELD"))


def deviated() -> Told:
    """Some requests fail in the first."""
    return two("deviated", "held", ("DEVIATED", "HELD"))


def aborted() -> Told:
    """The first one collapses and stops itself."""
    return two("aborted", "held", ("ABORTED", "HELD"))


def unknown() -> Told:
    """The first one could not be measured."""
    return two("unknown", "held", ("UNKNOWN", "HELD"))


def not_reverted() -> Told:
    """The first one is not undone, which stops the day."""
    book = opened()
    experiment(book, 1, "r-one", "NOT_REVERTED", 3600.0, noticed=True)
    book.say(3720.0, facts.DayEnded("stopped", "a fault of step 2 may still be there"))
    runs = (drill(), moved(sample_history.not_reverted(), "r-one", 1, START))
    earlier = Before(moved(sample_history.aborted(), "r-before", 1, START - 30 * 86400.0))
    return Told(tuple(book.entries), runs, {"r-one": earlier}, {"r-one": "r-one.html"})


def incident() -> Told:
    """It became serious in the middle of the first experiment."""
    book = opened()
    book.say(3540.0, facts.StepBegan(1, "r-one"))
    book.say(3640.13, facts.IncidentDeclared("Inge Moreau", "The real provider is down, this is not us"))
    book.say(3660.0, facts.StepEnded(1, "r-one", "ABORTED"), facts.DayEnded("incident", "declared", "Inge Moreau"))
    return Told(tuple(book.entries), (drill(), moved(sample_history.lever(), "r-one", 1, START)))


def empty() -> Told:
    """A day that ended before anything ran."""
    book = Diary()
    book.say(0.0, facts.DayStarted(SCENARIO, "scenarios/payments-outage.yaml", {}, {}, "fay@ops-1"))
    book.say(5.0, facts.StepSkipped(1, "Fay Lindqvist", "the provider asked us not to"))
    book.say(60.0, facts.DayEnded("stopped", "nobody came", "Fay Lindqvist"))
    return Told(tuple(book.entries))


DAYS: dict[str, Callable[[], Told]] = {
    "held": held,
    "deviated": deviated,
    "aborted": aborted,
    "unknown": unknown,
    "not_reverted": not_reverted,
    "incident": incident,
    "empty": empty,
}


def main() -> None:
    """Writes one sample report of a day to stdout."""
    asked = argparse.ArgumentParser(description="Write a sample report of a game day to stdout.")
    asked.add_argument("day", choices=[*DAYS])
    asked.add_argument("--as", dest="kind", default="html", choices=[*RENDERERS])
    told = asked.parse_args()
    sys.stdout.buffer.write(RENDERERS[told.kind](DAYS[told.day]()))


if __name__ == "__main__":
    main()
