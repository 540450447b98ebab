"""Laws of what people type on a game day."""

from __future__ import annotations

import pytest

from chaos_runner.gameday import verbs
from chaos_runner.gameday.facts import (
    ActionAdded,
    Answered,
    AnyFact,
    Approved,
    Asked,
    Confident,
    DayEnded,
    EndAsked,
    HaltAsked,
    IncidentDeclared,
    Marked,
    ObjectiveJudged,
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
from tests.gameday.kit import STARTED_AT, a_day, said, scenario

NOW = STARTED_AT + 600
ASKED = Asked(step=0, question="go?", of=("facilitator",))
RAN = (StepBegan(step=1, run="r1"), StepEnded(step=1, run="r1", headline="DEVIATED"))
ACTION = ActionAdded(id="a1b2-77", finding="set a timeout", who="sue")


@pytest.mark.parametrize(
    ("line", "before", "fact"),
    [
        ("here", (), Present(name="fay", who="fay")),
        ("here rita", (), Present(name="rita", who="fay")),
        ("absent rob is on holiday", (), Present(name="rob", who="fay", absent="is on holiday")),
        ("tick 2", (), Ticked(item=1, who="fay")),
        ("tick Stakeholders", (), Ticked(item=0, who="fay")),
        ("approve anna", (), Approved(name="anna", who="fay")),
        ("go", (ASKED,), Answered(step=0, who="fay", role="facilitator", answer="go")),
        ("GO all quiet", (ASKED,), Answered(step=0, who="fay", role="facilitator", answer="go", reason="all quiet")),
        (
            "no-go --by abe an incident is on",
            (ASKED,),
            Answered(step=0, who="abe", role="abort_authority", answer="no-go", reason="an incident is on"),
        ),
        (
            "predict deviates 70% the pool is small --by rita",
            (),
            Predicted(step=1, who="rita", believed="deviates", confidence=0.7, text="the pool is small"),
        ),
        ("note don't panic", (), Said(who="fay", text="don't panic")),
        ("note look at --colour red", (), Said(who="fay", text="look at --colour red")),
        ("surprise no alert", RAN, Said(who="fay", text="no alert", kind="surprise", step=1)),
        ("mark detected --at -90s", (), Marked(mark="detected", happened_at=NOW - 90, who="fay")),
        (
            "mark restored --at 14:05:30 --by sue all green",
            RAN,
            Marked(mark="restored", happened_at=STARTED_AT + 330, who="sue", step=1, text="all green"),
        ),
        ("end it rains", (), EndAsked(who="fay", reason="it rains")),
        ("retract 2 a typo", (Said(who="sue", text="x"),), Retracted(seq=2, who="fay", reason="a typo")),
        ("hand scribe to rob, rita", (), RoleTaken(role="scribe", people=("rob", "rita"), who="fay")),
        ("skip no time --step 2", (), StepSkipped(step=1, who="fay", reason="no time")),
        ("repeat once more, please", RAN, StepRepeated(step=1, who="fay", reason="once more, please")),
        ("halt it smells", (), HaltAsked(who="fay", scope="environment.demo", asked_at=NOW, reason="it smells")),
        ("incident orders are lost", (), IncidentDeclared(who="fay", text="orders are lost")),
        (
            "partly detect only rob",
            (),
            ObjectiveJudged(objective="detect", result="partly", who="fay", text="only rob"),
        ),
        ("trust 80%", (), Confident(who="fay", when="before", confidence=0.8)),
        (
            "trust 70%",
            (StepBegan(step=0), StepEnded(step=0)),
            Confident(who="fay", when="before", confidence=0.7),
        ),
        ("trust 60%", RAN, Confident(who="fay", when="after", confidence=0.6)),
    ],
)
def test_a_line_is_a_fact(line: str, before: tuple[AnyFact, ...], fact: AnyFact) -> None:
    assert said(line, a_day(*before)) == fact


def test_an_action_has_an_owner_a_day_and_the_experiment_that_shows_it() -> None:
    fact = said("action set a timeout --owner rob --priority P1 --ticket SHOP-7", a_day(*RAN))
    assert fact == ActionAdded(
        id="a1b2-77",
        finding="set a timeout",
        who="fay",
        owner="rob",
        due="2026-12-22",
        priority="P1",
        rerun="../experiments/slow-payments.yaml",
        ticket="SHOP-7",
        step=1,
    )


@pytest.mark.parametrize(
    ("line", "before", "sentence"),
    [
        ("", (), "say one of"),
        ("nota x", (), "unknown word 'nota'; did you mean 'note'"),
        ("note", (), "say what: note TEXT"),
        ("note x --at -3s", (), "'note' takes no --at"),
        ("go", (), "nothing waits for an answer now"),
        ("go --by sue", (ASKED,), r"this waits for facilitator \(fay\); 'sue' is none of them"),
        ("go --by abe", (ASKED,), "this waits for facilitator"),
        ("no-go", (ASKED,), "say the reason: no-go REASON"),
        ("tick 3", (), "the checklist; it has 2"),
        ("approve bob", (), "unknown approver 'bob'"),
        ("predict holds", (), "say how sure"),
        ("predict holds 130%", (), "not between"),
        ("predict perhaps 50%", (), "unknown prediction 'perhaps'"),
        ("predict holds 50%", (StepBegan(step=1, run="r1"),), "no experiment to come"),
        ("mark deteced", (), "did you mean 'detected'"),
        ("mark detected --at 3", (), "neither -90s nor a time of today"),
        ("mark detected --at 23:59", (), "in the future"),
        ("mark detected --at -3h", (), "before the game day began"),
        ("retract 1 x", (), "no number of a fact"),
        ("retract 2 x", (ASKED,), "not said by a person"),
        ("action x --due tomorrow", (), "no day such as"),
        ("done zzz it is", (ACTION,), "unknown action 'zzz'"),
        ("hand operator abe", (), "'abe' is the abort_authority"),
        ("hand abort_authority otto", (), "'otto' is the operator"),
        ("skip --by rita I am tired", (), "for the facilitator or the operator"),
        ("end --by rita I am tired", (), "end is for the facilitator"),
        ("skip x --step 9", (), "there are 3"),
        ("skip x --step 2", (StepBegan(step=1, run="r"),), "`halt` stops a run"),
        ("repeat x", (), "only a step that is over"),
        ("met detekt", (), "did you mean 'detect'"),
        ("go", (DayEnded(how="finished"),), "the game day is over"),
    ],
)
def test_what_means_nothing_here_is_told_with_what_to_say(
    line: str, before: tuple[AnyFact, ...], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        said(line, a_day(*before))


def test_a_retracted_word_counts_no_more_and_cannot_be_taken_back_twice() -> None:
    day = a_day(Said(who="sue", text="x"), Retracted(seq=2, who="sue", reason="typo"))
    assert day.said == []
    with pytest.raises(ValueError, match="retracted already"):
        said("retract 2 again", day)


def test_what_is_told_after_the_end_is_still_heard() -> None:
    over = a_day(ACTION, DayEnded(how="finished"))
    for line in ("note x", "mark restored", "action y", "done a1b2-77 it is", "met detect", "retract 2 x"):
        assert said(line, over)


def test_a_first_name_is_enough_where_it_is_one_person_s() -> None:
    roles = {
        "facilitator": "Fay (site reliability)",
        "operator": "Otto (chaos)",
        "abort_authority": "Abe (shop)",
        "responders": ["Rob (shop)", "Rob (payments)"],
    }
    day = a_day(Asked(step=0, question="?", of=("facilitator",)), of=scenario(roles=roles, approvals=["Ada (owner)"]))
    assert said("go", day, who="fay") == Answered(step=0, who="Fay (site reliability)", role="facilitator", answer="go")
    assert said("approve ada", day, who="x") == Approved(name="Ada (owner)", who="x")
    assert said("here otto", day, who="x") == Present(name="Otto (chaos)", who="x")
    assert said("note y", day, who="Rob") == Said(who="Rob", text="y")  # two of them: nobody guesses
    assert said("note y", day, who="Fa") == Said(who="Fa", text="y")


def test_every_verb_s_usage_begins_with_its_name() -> None:
    for name, verb in verbs.VERBS.items():
        assert verb.usage.split(" ")[0] == name
        assert verb.help
