"""Each outcome explains itself: what it means, what is left, what to do, and never a number that nobody measured."""

from __future__ import annotations

import msgspec
import pytest

from chaos_runner import records
from chaos_runner.history import Run, fold
from chaos_runner.records import Cleanup, Entry, Outcome, Target
from chaos_runner.render import planned, safety, story, windows
from tests.render.conftest import RENDERERS, rendered
from tests.render.tree import Page, xml_structure
from tools import sample_history
from tools.sample_history import HISTORIES, History

WORD = {
    "held": "HELD",
    "deviated": "DEVIATED",
    "aborted": "ABORTED",
    "lever": "ABORTED",
    "unknown": "UNKNOWN",
    "not_reverted": "NOT REVERTED",
    "not_started": "NOT STARTED",
    "crashed": "UNFINISHED",
}


def _page(name: str) -> Page:
    return Page(rendered(HISTORIES[name]()))


@pytest.mark.parametrize("name", HISTORIES)
def test_the_headline_comes_with_its_meaning_and_the_next_step(name: str) -> None:
    page = _page(name)
    word = next(one for one in story.WORDS.values() if one.label == WORD[name])

    assert page.says(word.label)
    assert page.says(word.meaning)
    assert page.says(word.next)


@pytest.mark.parametrize("name", HISTORIES)
def test_only_what_may_be_left_behind_gets_the_red_box_and_the_command(name: str) -> None:
    page = _page(name)
    boxes = [value for _, key, value in page.attributes if (key, value) == ("role", "alert")]

    assert len(boxes) == (name in ("not_reverted", "crashed"))
    assert page.says("chaos-runner recover -e staging") == (name in ("not_reverted", "crashed"))


def test_not_reverted_names_the_target_the_mark_and_the_last_error() -> None:
    page = _page("not_reverted")

    assert page.says("proxy/payments: toxic (toxic:downstream:latency), marked cx.r-stuck.0.1787393000.")
    assert page.says("connection refused, 31 attempts in 60 s")
    assert page.says("no read has shown the fault gone")
    assert page.says("no proof that it is gone")


def test_not_reverted_is_an_error_of_the_suite_and_unknown_is_skipped() -> None:
    stuck = [tag for tag, _ in xml_structure(rendered(HISTORIES["not_reverted"](), "junit"))]
    blind = [tag for tag, _ in xml_structure(rendered(HISTORIES["unknown"](), "junit"))]

    assert stuck.count("error") == 1
    assert blind.count("skipped") == 3
    assert blind.count("failure") == blind.count("error") == 0


def test_a_run_that_never_started_skips_every_clause_with_the_reason() -> None:
    suite = rendered(HISTORIES["not_started"](), "junit")

    assert [tag for tag, _ in xml_structure(suite)].count("skipped") == 4
    assert suite.count("baseline is not steady") >= 4


def test_the_halt_latency_runs_from_the_decision_to_the_read_that_found_nothing() -> None:
    history = HISTORIES["aborted"]()

    assert story.halt_latency(fold(history.entries)) == pytest.approx(0.152)
    assert _page("aborted").says("from decision to fault gone152 ms")
    assert _page("aborted").says("All faults were gone 152 ms after that decision.")


def test_a_fault_still_open_has_no_halt_latency() -> None:
    assert story.halt_latency(fold(HISTORIES["not_reverted"]().entries)) is None


def test_one_fault_still_there_leaves_no_halt_latency() -> None:
    """The last fault counts: a number for the others would look like proof for all."""
    book = sample_history.Book("r")
    for fault in ("f0", "f1"):
        book.add(1.0, records.IntentCommitted(fault, Target(f"proxy/{fault}"), "toxic", 0, "enabled", {}))
        book.add(1.5, records.FaultInjected(fault, 0.1))
    book.add(9.0, records.FaultReverted("f0", 8.5))
    book.add(9.1, records.AbortTripped("lever", "pulled", 8.0))
    run = fold(book.entries)
    book.add(9.2, records.FaultReverted("f1", 8.75))

    assert story.halt_latency(run) is None
    assert story.halt_latency(fold(book.entries)) == pytest.approx(0.75)


def test_the_decision_is_compared_with_what_was_promised() -> None:
    page = _page("aborted")

    assert page.says("13 s (patience, the clause's limit, two ticks)")
    assert page.says("from injection to decision")


@pytest.mark.parametrize("kind", RENDERERS)
@pytest.mark.parametrize("name", ["aborted", "not_reverted", "not_started"])
def test_a_history_cut_anywhere_renders_with_what_is_there(name: str, kind: str) -> None:
    whole = HISTORIES[name]()
    for kept in range(len(whole.entries) + 1):
        samples = [one for one in whole.samples if kept and one.tick < whole.entries[kept - 1].t]
        assert rendered(History(whole.entries[:kept], samples), kind)


def test_a_run_without_samples_says_so() -> None:
    page = Page(rendered(History(HISTORIES["held"]().entries, [])))

    assert page.says("No sample was recorded, so there is nothing to draw.")
    assert not any(value == "chart-0" for _, _, value in page.attributes)


def test_no_records_at_all_invent_nothing() -> None:
    page = Page(rendered(History([], [])))

    assert page.says("UNFINISHED")
    assert page.says("The hypothesis was not recorded.")
    assert page.says("not recorded")


@pytest.mark.parametrize("field", ["blast_radius", "steady_state", "abort", "method"])
def test_a_damaged_part_of_the_plan_costs_only_that_part(field: str) -> None:
    history = HISTORIES["held"]()
    started = history.entries[0].record
    assert isinstance(started, records.RunStarted)
    experiment = {**started.plan["experiment"], field: "nonsense"}
    broken = msgspec.structs.replace(started, plan={**started.plan, "experiment": experiment})
    entries = [msgspec.structs.replace(history.entries[0], record=broken), *history.entries[1:]]
    page = Page(rendered(History(entries, history.samples)))

    assert page.says(f"shown as not recorded: {field}.")
    assert page.says("When the payment provider answers 400 ms late")


@pytest.mark.parametrize(
    ("cleanup", "says"),
    [("WATCHING", "may still land"), ("UNVERIFIED", "no read has shown that the fault is gone"), ("CLEAN", "")],
)
def test_an_undo_nobody_verified_is_never_silent(cleanup: Cleanup, says: str) -> None:
    history = HISTORIES["held"]()
    last = msgspec.structs.replace(
        history.entries[-1], record=records.RunEnded(Outcome("HELD", "nothing", cleanup, ""))
    )
    shown = Page(rendered(History([*history.entries[:-1], last], history.samples)))

    assert shown.says(says or "HELD")
    assert shown.says("Clean-up") == bool(says)


def _held(cleanup: Cleanup, entries: list[Entry]) -> str:
    run = fold(entries)
    run.outcome = Outcome("HELD", "nothing", cleanup)
    return story.told(run, planned.read(run), windows.spans(run, entries, [])).meaning


def test_held_claims_no_proof_that_the_records_do_not_hold() -> None:
    entries = HISTORIES["held"]().entries
    unshown = [one for one in entries if not isinstance(one.record, records.FaultConfirmed)]
    control = [one for one in entries if not getattr(one.record, "fault", "")]

    assert "was shown to take effect, and is verified to be gone" in _held("CLEAN", entries)
    assert "is NOT verified to be gone" in _held("UNVERIFIED", entries)
    assert "its effect was not measured" in _held("CLEAN", unshown)
    assert "a control run" in _held("CLEAN", control)


def test_a_refused_fault_was_never_active_and_is_not_left() -> None:
    book = sample_history.Book("r")
    book.add(1.0, records.IntentCommitted("f0", Target("proxy/a"), "toxic", 0, "enabled", {}))
    book.add(1.1, records.FaultRefused("f0", "409"))
    run = fold(book.entries)
    spans = windows.spans(run, book.entries, [])

    assert spans.windows == ()
    assert story.told(run, planned.read(run), spans).left == ()


def test_an_uncertain_fault_counts_from_its_intent_and_is_left_until_closed() -> None:
    book = sample_history.Book("r")
    book.add(1.0, records.IntentCommitted("f0", Target("proxy/a"), "toxic", 0, "enabled", {}))
    book.add(1.5, records.FaultUncertain("f0", "timeout"))
    open_run = fold(book.entries)
    span = windows.spans(open_run, book.entries, []).windows[0]
    book.add(9.0, records.FaultReverted("f0", 8.5))
    closed = _closed(book.entries)

    assert (span.span.start, span.open_end) == (1.0, True)
    assert story.told(open_run, planned.read(open_run), windows.spans(open_run, book.entries, [])).left
    assert not closed.open_end
    assert closed.span.end == 8.5


def _closed(entries: list[Entry]) -> windows.Window:
    return windows.spans(fold(entries), entries, []).windows[0]


def test_an_irreversible_fault_ends_when_it_is_spent() -> None:
    book = sample_history.Book("r")
    book.add(1.0, records.IntentCommitted("f0", Target("pod/a"), "pod_kill", 0, "life", {}, reversible=False))
    book.add(1.2, records.FaultInjected("f0", 0.1))
    book.add(20.0, records.FaultSpent("f0", "pod/b", 4.0))
    book.add(90.0, records.Noted("Ada", "later"))

    assert _closed(book.entries).span == windows.Span(1.2, 20.0)
    assert not _closed(book.entries).open_end


@pytest.mark.parametrize(
    ("replaced", "said"), [("pod/b", "by pod/b after 4 s"), ("", "by nothing in time")], ids=["in time", "never"]
)
def test_the_card_of_a_killed_pod_says_what_took_its_place_and_when(replaced: str, said: str) -> None:
    book = sample_history.Book("r")
    book.add(1.0, records.IntentCommitted("f0", Target("pod/a"), "pod_kill", 0, "life", {}, reversible=False))
    book.add(1.2, records.FaultInjected("f0", 0.1))
    book.add(20.0, records.FaultSpent("f0", replaced, 4.0))
    run = fold(book.entries)

    (card,) = safety.cards(run, planned.read(run), windows.spans(run, book.entries, []))
    assert ("replaced", said) in card.facts


def test_commands_are_quoted_for_the_shell() -> None:
    run = Run(id="r", plan={"source": "a b; rm -rf ~.yaml", "environment": "$(x)", "seed": 3})

    assert planned.read(run).reproduce() == "chaos-runner run 'a b; rm -rf ~.yaml' -e '$(x)' --seed 3"
