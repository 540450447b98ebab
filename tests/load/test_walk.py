"""Typed values from nodes; what is wrong is said once, at its place, in words."""

from __future__ import annotations

import enum
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from chaos_runner.expect import Clause
from chaos_runner.load import guard, walk
from chaos_runner.model import Experiment, FaultStep, PauseStep, Pick, Value
from tests.load.kit import GOOD, KINDS, PARSERS, changed, problems_of, value_of


def test_a_good_file_becomes_values_in_base_units():
    experiment = value_of(GOOD, Experiment)

    latency, pause, kill = experiment.method
    assert isinstance(latency, FaultStep)
    assert latency.for_ == 30.0
    assert latency.with_["latency"] == 0.4
    assert latency.target == {"proxy": "payments"}
    assert isinstance(pause, PauseStep)
    assert kill.target["pick"] == {"number": 1, "share": 0.0}
    assert experiment.abort.error_budget.slo == 0.999
    assert experiment.steady_state["shoppers"].with_["rate"] == 20.0
    assert experiment.steady_state["shoppers"].expect[1] == Clause("p95", "<=", 1.0, "p95 <= 1s")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "type: latency",
            "type: latncy",
            "35:18: method[0].with.type: unknown toxic 'latncy'; did you mean 'latency'?",
        ),
        ("type: latency", "type: xyz", "35:18: method[0].with.type: unknown toxic 'xyz'; known: latency and timeout"),
        ("hypothesis: >", "hypotesis: >", "4:1: hypotesis: unknown key 'hypotesis'; did you mean 'hypothesis'?"),
        ("hypothesis: >", "text: >", "4:1: text: unknown key 'text'; missing here: hypothesis"),
        ("fault: toxic", "fault: toxc", "33:12: method[0].fault: unknown fault 'toxc'; did you mean 'toxic'?"),
        (
            "probe: kubernetes",
            "probe: https",
            "16:12: steady_state.replicas.probe: unknown probe 'https'; did you mean 'http'?",
        ),
        ("{type: latency, ", "{", "35:11: method[0].with: missing key 'type'"),
        (" latency: 400ms,", "", "35:11: method[0].with.latency: a latency toxic needs a latency"),
        (
            "proxy: payments",
            "proxi: payments",
            "34:14: method[0].target.proxi: unknown key 'proxi'; did you mean 'proxy'?",
        ),
        ("    target: {proxy: payments}\n", "", "32:5: method[0].target: missing key 'proxy'"),
        ("- pause: 10s", "- puase: 10s", "37:5: method[1].puase: unknown key 'puase'; did you mean 'pause'?"),
        ("- pause: 10s", "- zz: 10s", "37:5: method[1]: one of the keys fault, pause or parallel is needed here"),
        ("- pause: 10s", "- wait", "37:5: method[1]: expected a mapping, found text 'wait'"),
        (
            "expect: [ready >= 2]",
            "expect: ready >= 2",
            "18:13: steady_state.replicas.expect: expected a list, found text 'ready >= 2'; put it in [ ]",
        ),
        ("expect: [ready >= 2]", "expect: []", "18:13: steady_state.replicas.expect: at least 1 is needed, found none"),
        ("owner: team-checkout", "owner: 7", "7:8: owner: expected text, found the number 7; put it in quotes"),
        (
            "at_once: 1",
            "at_once: '1'",
            "22:12: blast_radius.at_once: expected a whole number, found text '1'; remove the quotes",
        ),
        ("at_once: 1", "at_once: 0", "22:12: blast_radius.at_once: 0 is out of range: at least 1, at most 10000"),
        ("at_once: 1", "at_once: 3", "22:12: blast_radius.at_once: 3 at once is more than 2 in total"),
        ("slo: 99.9%", "slo: 100%", "29:40: abort.error_budget.slo: 100% is out of range: less than 100%"),
        (
            "check: shoppers",
            "check: shopers",
            "29:25: abort.error_budget.check: unknown check 'shopers'; did you mean 'shoppers'?",
        ),
        ("baseline: 30s", "baseline: .inf", "20:11: baseline: inf is not a finite number"),
        (
            "baseline: 30s",
            "baseline: true",
            "20:11: baseline: expected a duration such as 30s, 400ms or 2m, found true",
        ),
        ("owner: team-checkout", "owner:", "7:7: owner: expected text, found nothing"),
        ("{within: 60s}", "60s", "42:11: recovery: expected a mapping, found text '60s'"),
    ],
)
def test_one_mistake_is_said_once_in_words(old, new, problem):
    assert changed(old, new) == [problem]


def test_a_step_of_two_kinds_names_both():
    assert changed("- pause: 10s", "- pause: 10s\n    fault: toxic") == [
        "38:5: method[1]: 'fault' does not go with 'pause'; write two entries, or remove one"
    ]


def test_a_number_without_a_unit_is_told_to_get_one():
    (problem,) = changed("- pause: 10s", "- pause: 10")

    assert "10 has no unit" in problem


def test_all_problems_of_a_file_come_at_once_and_in_their_places():
    text = GOOD.replace("pause: 10s", "pause: soon").replace("at_once: 1", "at_once: many").replace("owner:", "ownr:")

    assert [problem.line for problem in problems_of(text)] == [7, 22, 37]


def test_a_value_the_guard_refused_is_not_reported_again():
    assert len(changed("type: latency", "type: !!str latency")) == 1
    assert len(changed("- pause: 10s", "- pause: *x")) == 1
    assert len(changed("  at_once: 1", "  [at_once]: 1")) == 1


def test_a_kind_is_asked_for_by_name_and_the_list_only_when_it_is_unknown():
    class Lazy(dict[str, Any]):
        listed = 0

        def __iter__(self):
            self.listed += 1
            return super().__iter__()

    faults = Lazy(KINDS["fault"])

    def problems(text: str) -> list[Any]:
        root = guard(text, "x").root
        assert root is not None
        return walk(root, Experiment, kinds={**KINDS, "fault": faults}, parsers=PARSERS)[1]

    assert problems(GOOD) == []
    assert faults.listed == 0
    assert len(problems(GOOD.replace("fault: toxic", "fault: toxc"))) == 1
    assert faults.listed > 0


def test_a_registered_kind_that_cannot_be_used_is_a_problem_where_it_is_named():
    class Broken(dict[str, Any]):
        def get(self, _name, _default=None):
            raise ValueError("the fault 'toxic' of the package x cannot be imported")

    root = guard(GOOD, "x").root
    assert root is not None
    _, found = walk(root, Experiment, kinds={**KINDS, "fault": Broken()}, parsers=PARSERS)

    assert [(problem.line, problem.path) for problem in found] == [(33, "method[0].fault"), (39, "method[2].fault")]


class Colour(enum.Enum):
    RED = "red"


class Odd(Value, frozen=True, kw_only=True):
    colour: Colour = Colour.RED
    ratio: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    even: Annotated[int, Meta(multiple_of=2)] = 2
    word: Annotated[str, Meta(pattern=r"^[a-z]+$", description="small letters")] = "a"
    anything: Any = None
    names: frozenset[str] = frozenset()
    either: int | str | None = None
    pick: Pick | None = None
    flag: bool = False


def odd(text: str) -> list[str]:
    return [problem.message for problem in problems_of(text, Odd)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour: rd", "unknown word 'rd'; did you mean 'red'?"),
        ("ratio: 1", "1 is out of range: more than 0, less than 1"),
        ("even: 3", "3 is not a multiple of 2"),
        ("even: 2.0", "expected a whole number, found the number 2.0"),
        ("even: true", "expected a whole number, found true"),
        ("word: A", "'A' is not allowed here: small letters"),
        ('word: "a\\n"', "'a\n' is not allowed here: small letters"),
        ("anything: {a: [1, .nan]}", "nan is not a finite number"),
        ("either: [1]", "expected a whole number or text, found a list"),
        ("pick: x", "'x' is neither a number nor a share; write 1 or 50%"),
        ("flag: no", "expected true or false, found text 'no'"),
        ("flag: 'true'", "expected true or false, found text 'true'; remove the quotes"),
    ],
)
def test_every_limit_of_a_type_is_said_in_words(text, message):
    assert odd(text) == [message]


def test_every_form_of_a_type_is_read():
    value = value_of("{colour: red, names: [a, a], either: 3, pick: 50%, anything: {x: [1]}, ratio: .5}", Odd)

    assert value.colour is Colour.RED
    assert value.names == {"a"}
    assert value.either == 3
    assert value.pick == Pick(share=0.5)
    assert value.anything == {"x": [1]}


def test_members_of_a_union_can_be_told_by_a_tag():
    class Ping(Struct, tag_field="type", tag="ping", forbid_unknown_fields=True):
        host: str

    class Dial(Struct, tag_field="type", tag="dial", forbid_unknown_fields=True):
        host: str

    assert isinstance(value_of("- {type: dial, host: a}", list[Ping | Dial])[0], Dial)


def test_a_value_that_refuses_itself_is_a_problem_and_not_a_crash():
    class Shy(Struct):
        a: int

        def __post_init__(self) -> None:
            raise ValueError("not today")

    assert [str(problem) for problem in problems_of("a: 1", Shy)] == ["x.yaml:1:1: not today"]


def test_thousands_of_mistakes_are_all_counted_quickly():
    many = GOOD + "".join(f"hypothesi{n}: 1\n" for n in range(5000))

    assert len(problems_of(many)) == 5000
