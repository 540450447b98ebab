"""What comes next on a game day: laws over made-up days, and days made of whatever people may type in any order."""

from __future__ import annotations

import random

import pytest

from chaos_runner.conductor import course
from chaos_runner.conductor.course import AwaitRun, EndDay, EndStep, RunSeen
from chaos_runner.gameday.facts import Answered, HaltAsked, StepBegan, StepRepeated
from tests import slices
from tests.conductor.kit import Virtual, small
from tests.gameday.kit import scenario

RUN = {"step": "run", "run": "e.yaml", "name": "it is slow"}
ASK = {"step": "go_no_go", "go_no_go": {"ask": "facilitator", "unless": "abort_authority"}}
NOTE = {"step": "note", "note": "hot notes"}


def ended(day: Virtual) -> tuple[str, str]:
    over = day.day.ended
    return (over.how, over.why) if over else ("", "")


def test_a_day_without_trouble_goes_from_ready_to_its_end() -> None:
    day = Virtual()

    assert day.on().asked == "ready"
    assert day.go().asked == "go_no_go"
    assert day.go().asked == "prediction"
    assert isinstance(day.go("predict holds 70%").done[-1], AwaitRun)
    assert day.ends("HELD").asked == "note"
    assert ended(day.go()) == ("finished", "")
    assert [view.state for view in day.day.steps] == ["ended"] * 3


def test_nothing_begins_before_the_checklist_and_the_approvals_are_there() -> None:
    day = Virtual(scenario(drill=False)).on()

    assert day.go().asked == "ready"
    assert "checklist item 1 'stakeholders told'" in day.question
    assert "the approval of anna" in day.question
    day.go("tick 1", "tick 2")
    assert day.asked == "ready", "the approval is still missing"
    assert day.go("approve anna").asked == "go_no_go"


def test_an_item_about_the_drill_is_wanted_after_it() -> None:
    day = Virtual(small(drill=True, checklist=["abort drill done"])).on().go()
    day.runs["drill"] = RunSeen("going", faulty=True)
    day.on()
    day.keep(HaltAsked(who="abe", scope="environment.demo", asked_at=1.0))
    day.ends("ABORTED")

    assert "'abort drill done'" in day.question
    assert day.go("tick 1").asked == "go_no_go"


def test_the_drill_waits_for_a_fault_before_it_asks_for_the_lever() -> None:
    day = Virtual(small(drill=True)).on().go()
    assert not day.asked

    day.runs["drill"] = RunSeen("going", faulty=True)
    assert "halt" in day.on().question
    assert day.day.asked is not None
    assert day.day.asked.of == ("abort_authority",)


def test_a_drill_without_a_time_asks_before_the_first_step() -> None:
    day = Virtual(small(drill=True)).on().go().ends("HELD")

    assert "the drill has no time" in day.question
    assert day.go().asked == "go_no_go"


def test_a_halt_before_the_drill_asked_for_it_is_meant_in_earnest() -> None:
    day = Virtual(small(drill=True)).on().go()
    day.keep(HaltAsked(who="abe", scope="environment.demo", asked_at=1.0))

    assert day.told.drill_pull is None


@pytest.mark.parametrize("who", ["fay", "abe"])
def test_a_no_go_ends_the_day_and_names_who(who: str) -> None:
    day = Virtual().on().go()
    day.say("no-go an incident is on", who)

    how, why = ended(day.on())
    assert how == "stopped"
    assert f"no-go by {who}" in why
    assert "an incident is on" in why
    assert not day.began()


def test_a_go_by_a_role_that_was_not_asked_is_no_answer() -> None:
    day = Virtual().on()
    day.keep(Answered(step=-1, who="rob", role="responders", answer="go"))

    assert day.on().asked == "ready"


def test_a_role_that_was_handed_over_answers_by_its_new_people() -> None:
    day = Virtual().on()
    day.say("hand facilitator sue")
    with pytest.raises(ValueError, match="'fay' is none of them"):
        day.say("go")
    day.say("go", "sue")

    assert day.on().asked == "go_no_go"


def test_nobody_predicted_so_go_needs_a_reason() -> None:
    day = Virtual().to_prediction()

    assert day.go().asked == "prediction"
    assert "nobody has predicted" in day.question
    day.say("go nobody dares to")
    assert day.on().began() == [1]


def test_the_plan_is_frozen_before_anybody_predicts() -> None:
    day = Virtual().to_prediction()

    assert (1, 1) in day.plans
    assert not day.began()


@pytest.mark.parametrize(
    ("choices", "headline", "what"),
    [
        ({}, "HELD", "note"),
        ({}, "DEVIATED", "outcome"),
        ({}, "ABORTED", "outcome"),
        ({}, "UNKNOWN", "outcome"),
        ({}, "NOT_REVERTED", "stopped"),
        ({"deviated": "go_on"}, "DEVIATED", "note"),
        ({"deviated": "stop"}, "DEVIATED", "stopped"),
        ({"aborted": "go_on"}, "ABORTED", "note"),
        ({"aborted": "stop"}, "ABORTED", "stopped"),
        ({"unknown": "go_on"}, "UNKNOWN", "note"),
        ({"unknown": "stop"}, "UNKNOWN", "stopped"),
        ({"unknown": "go_on", "deviated": "go_on", "aborted": "go_on"}, "NOT_REVERTED", "stopped"),
    ],
)
def test_what_follows_an_outcome_is_as_the_file_says(choices: dict[str, str], headline: str, what: str) -> None:
    day = Virtual(small(steps=[ASK, {**RUN, "on": choices}, NOTE])).to_run().ends(headline, "a reason")

    assert what == (ended(day)[0] or day.asked)


def test_after_an_outcome_people_go_on_repeat_or_stop() -> None:
    day = Virtual().to_run().ends("DEVIATED")
    assert day.go().asked == "note"

    day = Virtual().to_run().ends("DEVIATED")
    day.say("repeat the pool was cold")
    assert day.on().asked == "prediction"
    assert day.go("predict holds 60%").began() == [1, 1]

    day = Virtual().to_run().ends("DEVIATED")
    day.say("no-go enough")
    assert ended(day.on())[0] == "stopped"


def test_predictions_of_the_attempt_before_do_not_count() -> None:
    day = Virtual().to_run().ends("DEVIATED")
    day.say("repeat once more")

    assert day.on().go().asked == "prediction"
    assert day.began() == [1]


def test_a_skipped_step_is_left_out_even_while_it_is_asked_about() -> None:
    day = Virtual().to_prediction()
    day.say("skip there is no time")

    assert day.on().asked == "note"
    assert not day.began()


def test_a_step_that_is_repeated_while_its_run_goes_on_is_ended_first() -> None:
    day = Virtual().to_run()
    day.keep(StepRepeated(step=1, who="fay", reason="again"))
    assert isinstance(day.on().done[-1], AwaitRun)

    assert day.ends("HELD").asked == "prediction"
    assert day.day.steps[1].runs == ["run-1-1"]


def test_a_step_that_cannot_be_planned_is_over_and_asked_about() -> None:
    day = Virtual()
    day.unplannable = True
    day.on().go().go()

    assert day.asked == "outcome"
    assert "did not run" in day.question


def test_a_run_that_refused_to_start_says_why() -> None:
    day = Virtual().to_run()
    day.runs["run-1-1"] = RunSeen("never", why="not started: the shop is not steady")

    assert "the shop is not steady" in day.on().question


def test_a_pulled_lever_is_told_before_anybody_predicts_in_vain() -> None:
    day = Virtual().on().go()
    day.lever = "abe pulled the lever environment.demo"
    day.go()

    assert day.asked == "ready"
    assert "abe pulled" in day.question
    assert "abe pulled" in day.go().question, "it is still pulled"
    day.lever = ""
    assert day.go().asked == "prediction"


@pytest.mark.parametrize("moment", ["ready", "prediction", "run", "outcome"])
def test_at_the_hard_end_nothing_begins_and_what_runs_is_stopped(moment: str) -> None:
    day = {"ready": Virtual.on, "prediction": Virtual.to_prediction, "run": Virtual.to_run}.get(
        moment, lambda one: one.to_run().ends("DEVIATED")
    )(Virtual(small(agenda={"hard_end": 3600.0})))
    began = day.began()
    day.t = 3600.0
    day.on()
    if moment == "run":
        last = day.done[-1]
        assert isinstance(last, AwaitRun)
        assert "the hard end" in last.halt
        assert not last.late
        day.ends("ABORTED")

    assert ended(day)[0] == "hard_end"
    assert day.began() == began


@pytest.mark.parametrize("line", ["incident the real shop is down", "end it rains"])
def test_a_run_is_undone_before_the_day_ends(line: str) -> None:
    day = Virtual().to_run()
    day.say(line)
    last = day.on().done[-1]

    assert isinstance(last, AwaitRun)
    assert last.halt
    assert last.late == line.startswith("incident"), "an incident has pulled the lever already"
    assert not ended(day)[0]
    day.ends("ABORTED")
    assert ended(day)[0] == ("incident" if last.late else "stopped")
    assert isinstance(day.done[-2], EndStep)
    assert isinstance(day.done[-1], EndDay)


def test_a_lost_run_is_recovered_before_anything_else() -> None:
    day = Virtual().to_run()
    day.runs["run-1-1"] = RunSeen("lost")

    assert isinstance(day.next(), course.Recover)
    assert day.on().asked == "outcome"


@pytest.mark.parametrize("moment", ["ready", "go_no_go", "prediction", "run", "outcome", "note"])
def test_after_a_conductors_death_somebody_says_go_before_the_next_step(moment: str) -> None:
    day = Virtual()
    moves = [Virtual.on, Virtual.go, Virtual.go, lambda one: one.go("predict holds 1%")]
    moves += [lambda one: one.ends("DEVIATED"), Virtual.go]
    for move in moves[: ["ready", "go_no_go", "prediction", "run", "outcome", "note"].index(moment) + 1]:
        move(day)
    began = day.began()
    day.dies()
    if moment == "run":
        assert isinstance(day.done[-1], AwaitRun), "a child that goes on is waited for"
        assert not day.asked
        day.ends("HELD")

    assert day.asked == "ready"
    assert "took the day up" in day.question or moment == "ready"
    assert day.began() == began
    day.go()
    for _ in range(9):
        if day.going:
            day.ends("HELD")
        elif day.asked:
            day.go(*(["predict holds 5%"] if day.asked == "prediction" else []))
    assert ended(day) == ("finished", "")


def test_a_conductor_that_dies_between_the_fact_and_the_child_leaves_a_step_that_never_ran() -> None:
    day = Virtual().to_prediction()
    day.keep(StepBegan(step=1, run="run-1-1"))
    day.dies()

    assert day.day.steps[1].state == "ended"
    assert "died before the run was started" in day.day.steps[1].why


WORDS = [
    "go", "go because", "no-go never", "predict holds 60%", "tick 1", "tick 2", "approve anna", "skip no time",
    "repeat again", "hand facilitator sue", "hand facilitator fay", "halt now", "incident it burns", "end enough",
    "here", "note hm", "skip later --step 4", "repeat it --step 2",
]  # fmt: skip
RARE = {"no-go never", "incident it burns", "end enough"}
STEPS = [ASK, RUN, NOTE, {**RUN, "on": {"deviated": "go_on", "aborted": "stop"}}, RUN]


@pytest.mark.parametrize("seed", slices.thin(range(300), lambda seed: seed < 30))
def test_whatever_people_type_and_whoever_dies_the_day_keeps_its_rules(seed: int) -> None:
    """No run beside another, none unasked for, none after the end; and every day ends."""
    chance = random.Random(seed)
    day = Virtual(small(drill=chance.random() < 0.5, checklist=["told", "open"], approvals=["anna"], steps=STEPS))
    for _ in range(120):
        day.on()
        if day.day.ended:
            break
        _something(day, chance)
        assert len(day.going) <= 1
    day.t = 1e6
    for _ in range(9):
        day.on().ends("HELD")
    check_rules(day)
    assert day.day.ended is not None
    assert not day.going


def _something(day: Virtual, chance: random.Random) -> None:
    what = chance.random()
    if what < 0.05:
        day.dies()
    elif what < 0.1:
        day.lever = chance.choice(["", "a lever"])
    elif day.going and what < 0.5:
        seen = chance.choice(["HELD", "HELD", "DEVIATED", "ABORTED", "UNKNOWN"])
        run = day.going[0]
        day.runs[run] = chance.choice(
            [RunSeen("over", headline=seen), RunSeen("lost"), RunSeen("never"), RunSeen("going", faulty=True)]
        )
    elif what < 0.75:
        _helpful(day, chance)
    else:
        line = chance.choice(WORDS)
        who = chance.choice(["fay", "sue", "abe", "otto"])
        if line in RARE and chance.random() < 0.95:
            return
        try:
            day.say(line, who)
        except ValueError:
            return


def _helpful(day: Virtual, chance: random.Random) -> None:
    """What somebody says who wants the day to go on."""
    lines = {"ready": ["tick 1", "tick 2", "approve anna"], "prediction": ["predict holds 60%"]}
    asked = day.day.asked
    if asked is None:
        return
    for line in chance.sample(lines.get(day.asked, []), k=len(lines.get(day.asked, []))):
        day.say(line)
    if asked.of == ("abort_authority",):
        day.keep(HaltAsked(who="abe", scope="environment.demo", asked_at=1.0))
        day.ends("ABORTED")
    elif chance.random() < 0.9:
        day.say("go", day.day.people(asked.of[0])[0])


def check_rules(day: Virtual) -> None:
    """What was true when each run began; the facts are appended only, so that one look at the end is enough."""
    for n, entry in enumerate(day.entries):
        if isinstance(entry.fact, StepBegan) and entry.fact.run:
            _check_began(_before(day, n), entry.fact)


def _before(day: Virtual, n: int) -> Virtual:
    """The day as it was before its nth fact."""
    before = Virtual(day.of)
    before.entries = day.entries[:n]
    return before


def _check_began(before: Virtual, began: StepBegan) -> None:
    then = before.told
    step = then.steps[began.step]
    assert not then.missing(), "nothing is missing"
    assert not [one for one in then.steps if one.open], "no other step goes on"
    assert step.waiting
    assert not then.scenario.drill or then.drill_ended
    assert then.granted("ready", -1, then.taken), "somebody said go after the last death"
    assert then.granted("prediction", began.step, step.since)
    assert then.day.incident is None
    assert then.day.end_asked is None
    assert then.refused() is None
