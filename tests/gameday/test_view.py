"""Laws of what a console shows of a day."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from chaos_runner.gameday import responder, sentences, view
from chaos_runner.gameday.facts import (
    ActionAdded,
    AlertEnded,
    AlertFired,
    Answered,
    AnyFact,
    Approved,
    Asked,
    DayEnded,
    DrillBegan,
    DrillEnded,
    HaltAsked,
    Marked,
    Predicted,
    Present,
    Retracted,
    RoleTaken,
    Said,
    StepBegan,
    StepEnded,
    StepRepeated,
    StepSkipped,
    Ticked,
)
from chaos_runner.gameday.running import CheckShown, FaultShown, Running
from chaos_runner.gameday.view import Believed, Item, Person, Row, Screen
from tests.gameday.kit import STARTED_AT, a_day, entries, scenario

RUN = "20261122-140200-beef"
NOW = STARTED_AT + 600
RUNNING = Running(
    run=RUN,
    title="Checkout survives slow-payments",
    phase="fault",
    step=0,
    steps=1,
    left_s=9.0,
    checks=(CheckShown("Shoppers", "ok", "p95 412 ms", "▁▂█", 0.25),),
    faults=(FaultShown("toxic on proxy/payments", "injected", 9.0),),
)
READY = Asked(step=-1, question="is everybody ready?", of=("facilitator",), kind="ready")
GO = Answered(step=-1, who="fay", role="facilitator", answer="go")
BEGAN = StepBegan(step=1, run=RUN)


def screen(*facts: AnyFact, role: str = "", running: Running | None = None) -> Screen:
    return view.shown(entries(*facts), running, NOW, role)


def keys(*facts: AnyFact) -> str:
    return "".join(key.key for key in screen(*facts).keys)


@pytest.mark.parametrize(
    ("facts", "current"),
    [
        ((), "next: step 1 of 3: go or no-go"),
        ((DrillBegan(run=RUN),), "abort drill"),
        ((StepEnded(step=0), BEGAN), "step 2 of 3: payments answers late"),
        ((StepSkipped(step=0, who="fay", reason="late"),), "next: step 2 of 3: payments answers late"),
        ((StepEnded(step=0), StepEnded(step=1), StepEnded(step=2)), "all steps are over"),
        ((StepEnded(step=0), StepRepeated(step=0, who="fay", reason="unclear")), "next: step 1 of 3: go or no-go"),
        ((DayEnded(how="finished"),), "over"),
    ],
)
def test_it_is_said_where_the_day_stands(facts: tuple[AnyFact, ...], current: str) -> None:
    assert screen(*facts).current == current


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ((), "ndamrstphI"),
        ((READY,), "ndamrstgxphI"),
        ((READY, GO), "ndamrstphI"),
        ((BEGAN,), "ndamrsthI"),
        ((DayEnded(how="finished"),), "ndamrst"),
    ],
)
def test_only_keys_that_do_something_now_are_shown(facts: tuple[AnyFact, ...], shown: str) -> None:
    assert keys(*facts) == shown


def test_what_is_waited_for_names_who_may_answer_and_what_is_missing() -> None:
    waiting = screen(READY, Ticked(item=0, who="sue")).waiting
    assert waiting is not None
    assert (waiting.roles, waiting.people) == (("facilitator",), ("fay",))
    assert waiting.missing == ("tick 2", "approve anna")
    assert screen(READY, GO).waiting is None
    handed = screen(RoleTaken(role="facilitator", people=("ann", "bo"), who="fay"), READY).waiting
    assert handed is not None
    assert handed.people == ("ann", "bo")


def test_a_prediction_is_asked_for_in_its_own_words() -> None:
    asked = screen(Asked(step=1, question="what will come out?", of=("facilitator",), kind="prediction")).waiting
    assert asked is not None
    assert asked.words[0].startswith("predict ")


def test_the_drill_waits_for_its_lever_and_for_nobody_once_it_is_over() -> None:
    pull = Asked(step=-1, question="pull the lever now", of=("abort_authority",), kind="ready")
    waiting = screen(DrillBegan(run=RUN), pull).waiting
    assert waiting is not None
    assert (waiting.people, waiting.words, waiting.missing) == (("abe",), ("halt",), ())
    assert screen(DrillBegan(run=RUN), pull, DrillEnded(run=RUN, who="abe", halt_s=0.5)).waiting is None


@pytest.mark.parametrize(
    "over",
    [StepSkipped(step=1, who="fay", reason="late"), StepRepeated(step=1, who="fay", reason="unclear")],
    ids=lambda fact: type(fact).__name__,
)
def test_what_was_asked_about_a_step_that_is_left_out_or_repeated_waits_for_nobody(over: AnyFact) -> None:
    asked = Asked(step=1, question="how to go on?", of=("facilitator",), kind="outcome")
    assert screen(BEGAN, StepEnded(step=1, run=RUN, headline="DEVIATED"), asked, over).waiting is None


def test_the_roll_call_has_everybody_once_and_guests() -> None:
    people = screen(
        Present(name="fay", who="fay"),
        Present(name="rob", who="fay", absent="ill"),
        Present(name="guest", who="guest"),
    ).roll_call
    assert people[0] == Person("fay", ("facilitator",), "present")
    assert Person("rob", ("responders",), "absent", "ill") in people
    assert Person("otto", ("operator",), "") in people
    assert people[-1] == Person("guest", (), "present")


def test_the_checklist_says_who_ticked() -> None:
    shown = screen(Ticked(item=1, who="sue"), Approved(name="anna", who="fay"))
    assert shown.checklist == (Item("stakeholders told"), Item("dashboards open", "sue"))
    assert shown.approvals == (Item("anna", "anna"),)


def test_the_agenda_has_planned_and_real_times() -> None:
    planned = {"items": [{"at": 0, "what": "welcome"}, {"at": 600, "what": "Payments answers late"}], "hard_end": 900}
    facts = (StepBegan(step=0), StepEnded(step=0), BEGAN, StepEnded(step=1, run=RUN, headline="DEVIATED"))
    shown = view.shown(entries(*facts, of=scenario(agenda=planned)), None, NOW)
    assert shown.agenda[0] == Row("welcome", planned_at=STARTED_AT)
    assert shown.agenda[2] == Row(
        "payments answers late", STARTED_AT + 600, STARTED_AT + 3, STARTED_AT + 4, "ended", "DEVIATED", 1
    )
    assert shown.hard_end_in_s == 300


def test_the_last_prediction_of_each_counts_and_only_for_this_step() -> None:
    old = Predicted(step=1, who="rita", believed="holds", confidence=0.5)
    new = Predicted(step=1, who="rita", believed="aborts", confidence=0.8, text="the pool")
    assert screen(old, new).predictions == (Believed("rita", "aborts", 0.8, "the pool"),)
    assert screen(old, StepEnded(step=1)).predictions == ()


def test_an_alert_is_shown_while_it_fires() -> None:
    fired = AlertFired(name="CheckoutSlow", labels={"a": "1"}, starts_at=STARTED_AT)
    assert screen(fired).alerts == ("CheckoutSlow",)
    assert screen(fired, AlertEnded(name="CheckoutSlow", labels={"a": "1"})).alerts == ()
    assert screen(fired, AlertEnded(name="CheckoutSlow", labels={"a": "2"})).alerts == ("CheckoutSlow",)


def test_the_timeline_keeps_what_was_taken_back_and_says_so() -> None:
    mark = Marked(mark="detected", happened_at=STARTED_AT - 89, who="rob")
    lines = screen(mark, Retracted(seq=2, who="rob", reason="not it")).timeline
    assert [line.seq for line in lines] == [1, 2, 3]
    assert lines[1].text == "rob detected it (90 s earlier)"
    assert [line.retracted for line in lines] == [False, True, False]


@pytest.mark.parametrize("fact", get_args(AnyFact), ids=lambda fact: fact.__name__)
def test_every_fact_has_a_sentence_and_a_place_in_the_responders_view(fact: type[AnyFact]) -> None:
    assert fact in responder.TEXTS
    assert set(responder.TEXTS[fact]) <= set(fact.__struct_fields__)
    values = {"int": 1, "float": 0.5, "str": "x", "bool": False}
    made = {
        field.name: values.get(str(field.type).removeprefix("<class '").removesuffix("'>"), _some(field.type))
        for field in msgspec.structs.fields(fact)
    }
    assert sentences.tell(fact(**made), scenario()) != fact.__name__


def _some(kind: object) -> object:
    if get_args(kind) and isinstance(get_args(kind)[0], str):
        return get_args(kind)[0]
    return {} if "dict" in str(kind) else ("x",) if "tuple" in str(kind) else 0.5 if "float" in str(kind) else "x"


# --- what responders see -----------------------------------------------------------------------------------------

SECRET = "slow-payments"
SECRETS = (SECRET, RUN, "proxy/payments", "toxic", "payments answers late", "latency", "cx.")
LEAKS: tuple[AnyFact, ...] = (
    Present(name="guest", who="otto", absent="prepares the toxic on proxy/payments"),
    DrillBegan(run=RUN),
    DrillEnded(run=RUN, who="abe", why=f"run {RUN} did not begin"),
    Asked(step=1, question=f"what will slow-payments do? toxic latency, run {RUN}", of=("facilitator",)),
    Answered(step=1, who="fay", role="facilitator", answer="go", reason="latency it is"),
    Predicted(step=1, who="otto", believed="holds", confidence=0.5, text="the toxic is small"),
    BEGAN,
    Said(who="otto", text=f"toxic cx.{RUN}.0.99 on proxy/payments"),
    Said(who="stranger", text="it is the latency toxic"),
    Marked(mark="detected", happened_at=STARTED_AT, who="sue", text="latency of proxy/payments"),
    ActionAdded(id="a1", finding="no timeout on proxy/payments", who="sue", rerun="../experiments/slow-payments.yaml"),
    HaltAsked(who="abe", scope="experiment.slow-payments", asked_at=STARTED_AT, reason="toxic"),
    Retracted(seq=4, who="otto", reason="toxic"),
    StepSkipped(step=2, who="fay", reason="latency"),
    StepEnded(step=1, run=RUN, headline="HELD", why="toxic over"),
)
AGENDA = {"items": [{"at": 60, "what": "Slow payments: payments answers late"}]}


def _as_responder(*facts: AnyFact) -> str:
    told = entries(*facts, of=scenario(agenda=AGENDA, targets={"rpo": 1, "rpo_check": "slow-payments#x#y"}))
    return msgspec.json.encode(view.shown(told, RUNNING, NOW, "responders")).decode()


def test_nothing_of_method_target_run_or_experiment_reaches_a_responder() -> None:
    text = _as_responder(*LEAKS)
    assert [secret for secret in SECRETS if secret in text] == []
    everything = msgspec.json.encode(view.shown(entries(*LEAKS), RUNNING, NOW)).decode()
    assert [secret for secret in SECRETS if secret not in everything] == []


@pytest.mark.parametrize("fact", LEAKS, ids=lambda fact: type(fact).__name__)
def test_no_fact_leaks_by_itself(fact: AnyFact) -> None:
    assert [secret for secret in SECRETS if secret in _as_responder(fact)] == []


def test_responders_read_their_own_words_as_they_typed_them() -> None:
    shown = screen(Said(who="rob", text="is it latency?"), role="responders")
    assert shown.timeline[1].text == "rob noted: is it latency?"


def test_who_ever_played_another_part_is_no_responder_to_read() -> None:
    handed = RoleTaken(role="responders", people=("otto", "rob"), who="fay")
    told = screen(Said(who="otto", text="toxic"), handed, role="responders").timeline
    assert told[1].text == "otto noted: (withheld)"
    day = a_day(handed)
    assert view.role_for(day, "otto") == "operator"
    assert view.role_for(day, "rob") == "responders"
    assert view.role_for(day, "guest") == ""


def test_a_responder_sees_how_the_system_is_and_not_that_a_fault_is_open() -> None:
    run = screen(BEGAN, role="responders", running=RUNNING).running
    assert run is not None
    assert run.checks == (CheckShown("Shoppers", "ok", "p95 412 ms", "▁▂█", None),)
    assert (run.faults, run.phase, run.margin, run.left_s) == ((), "", None, 0.0)


def test_after_the_day_nothing_is_hidden() -> None:
    ended = (*LEAKS, DayEnded(how="finished"))
    assert (
        view.shown(entries(*ended), None, NOW, "responders").timeline == view.shown(entries(*ended), None, NOW).timeline
    )


def test_only_what_the_file_names_is_hidden() -> None:
    told = entries(BEGAN, of=scenario(hidden=["method"]))
    run = view.shown(told, RUNNING, NOW, "responders").running
    assert run is not None
    assert (run.run, run.faults) == (RUN, ())
    open_book = view.shown(entries(*LEAKS, of=scenario(hidden=[])), RUNNING, NOW, "responders")
    assert open_book.running == RUNNING
    assert open_book.timeline == view.shown(entries(*LEAKS, of=scenario(hidden=[])), RUNNING, NOW).timeline
