"""What an outcome means: the headline, the paragraph for people who run no servers, what is left, what to do. No IO."""

from __future__ import annotations

import msgspec

from chaos_runner import verdict
from chaos_runner.history import FaultView, Run
from chaos_runner.render import text, windows, words
from chaos_runner.render.planned import Planned
from chaos_runner.render.windows import Spans


class Word(msgspec.Struct, frozen=True):
    """A headline, what it means in a sentence, and what to do next."""

    label: str
    meaning: str
    next: str
    tone: str


WORDS = {
    "HELD": Word(
        "HELD",
        "The fault was shown to take effect, every expectation was measured and stayed within its limit, and the fault "
        "is verified to be gone.",
        "Nothing has to be fixed because of this run. It speaks for this fault, at this size, in this environment.",
        "good",
    ),
    "UNKNOWN": Word(
        "UNKNOWN",
        "There is too little evidence for a yes or a no: something was not measured, or the fault was not shown to "
        "take effect.",
        "Repair what could not be measured and run the same plan again. Do not read this as a success.",
        "unsure",
    ),
    "DEVIATED": Word(
        "DEVIATED",
        "The fault took its full course, and the system did not do what the hypothesis says.",
        "A real weakness was found while it could do little harm. Decide who fixes it, then run the same plan again.",
        "bad",
    ),
    "ABORTED": Word(
        "ABORTED",
        "The run stopped early, because going on could have done more harm than was agreed or because it was told to.",
        "Read why it stopped before running it again. What was measured until then is below.",
        "bad",
    ),
    "NOT_REVERTED": Word(
        "NOT REVERTED",
        "A fault of this run may still be active. This is the one outcome that needs hands now.",
        "Run the recover command, and check by eye that the targets are well.",
        "alarm",
    ),
    "NOT_STARTED": Word(
        "NOT STARTED",
        "Nothing was injected and nothing was harmed; the hypothesis was not tested.",
        "Put right what the reason names and run it again.",
        "unsure",
    ),
    "UNFINISHED": Word(
        "UNFINISHED",
        "The records stop before the end of the run: it is still going on, or the runner died.",
        "If the runner is dead, undo what it left with the recover command. This run supports no conclusion.",
        "alarm",
    ),
}

GLOSSARY = (
    ("HELD", WORDS["HELD"].meaning),
    ("UNKNOWN", WORDS["UNKNOWN"].meaning),
    ("DEVIATED", WORDS["DEVIATED"].meaning),
    ("ABORTED", WORDS["ABORTED"].meaning),
    ("NOT REVERTED", WORDS["NOT_REVERTED"].meaning),
    ("hypothesis", "A sentence that can turn out false. The run looks for evidence against it."),
    ("steady state", "The checks that together say that the system is well."),
    ("clause", "One expectation of a check. It comes out ok, violated or unknown; unknown never passes."),
    ("fault", "A kind of harm, done on purpose, that knows how to undo itself."),
    ("blast radius", "Which and how many targets may be touched, for how long, and what must stay available."),
    ("median, p95, p99", "Half of the requests were faster than the median, 95 % faster than p95, 99 % than p99."),
    ("shift", "By how much a typical value moved from before to during the fault, with the range it lies in (95 %)."),
    ("abort", "Stopping early because a criterion, blindness, a lever, the deadline or a person said so."),
    ("undo proof", "A later read of the target on a new connection that no longer found the fault."),
    ("guardian", "A separate process that undoes the faults when the runner cannot."),
)


class Left(msgspec.Struct, frozen=True):
    """Something that may still be on a target."""

    target: str
    what: str
    mark: str
    why: str


class Story(msgspec.Struct, frozen=True):
    """The outcome, told."""

    key: str
    word: Word
    meaning: str
    believed: str
    did: str
    happened: str
    so_what: str
    left: tuple[Left, ...]
    recover: str
    caution: str


def told(run: Run, plan: Planned, spans: Spans) -> Story:
    """The outcome of a run as people read it."""
    key = headline(run)
    word = WORDS[key]
    return Story(
        key=key,
        word=word,
        meaning=_meaning(run, key),
        believed=text.sentence_case(text.one_line(plan.hypothesis, 4000)) or "The hypothesis was not recorded.",
        did=_did(run, plan, spans),
        happened=_happened(run, key),
        so_what=word.next,
        left=_left(run, key),
        recover=plan.recover(),
        caution=_caution(run),
    )


def headline(run: Run) -> str:
    """The key of WORDS: the headline, or what stands for it where there is none."""
    if run.not_started and not run.faults:
        return "NOT_STARTED"
    return verdict.headline(run.outcome) if run.outcome is not None else "UNFINISHED"


def _meaning(run: Run, key: str) -> str:
    """What the headline means for this run: it claims no proof that the records do not hold."""
    views = [view for view in run.faults.values() if windows.touched(view)]
    gone = run.outcome is not None and run.outcome.cleanup == "CLEAN"
    if key == "ABORTED":
        undone = (
            "Its faults are undone and verified to be gone." if gone else "That its faults are gone is NOT verified."
        )
        return _joined(WORDS[key].meaning, undone if views else "No fault had been injected.")
    if key != "HELD":
        return WORDS[key].meaning
    if not views:
        return "No fault was injected: this was a control run. Every expectation was measured and stayed in its limit."
    shown = all(view.confirmed_how in ("confirm", "counters", "exchange") for view in views)
    effect = "was shown to take effect" if shown else "was read back, but its effect was not measured"
    end = "is verified to be gone" if gone else "is NOT verified to be gone"
    return f"Every expectation was measured and stayed within its limit. The fault {effect}, and {end}."


def _did(run: Run, plan: Planned, spans: Spans) -> str:
    if not run.faults:
        return "Nothing was done to the system."
    if not spans.windows:
        return "A fault was tried, but the target refused it and nothing was changed."
    names = {(one.step, one.target.key, one.kind): one.name for one in plan.faults}
    parts = []
    for window in spans.windows[:5]:
        fault = window.fault
        name = names.get((fault.step, fault.target.key, fault.kind)) or f"fault {fault.kind}"
        parts.append(f"“{text.one_line(name, 120)}” on {text.one_line(fault.target.key, 120)}{_lasted(window)}")
    more = f" and {len(spans.windows) - 5} more" if len(spans.windows) > 5 else ""
    return f"We made this happen on purpose: {text.listed(parts)}{more}."


def _lasted(window: windows.Window) -> str:
    if window.open_end:
        return " (no proof that it ended)"
    return f" for {text.duration(window.span.end - window.span.start)}" if window.fault.reversible else ""


def _happened(run: Run, key: str) -> str:
    reason = text.sentence_case(text.one_line(run.outcome.why)) if run.outcome else ""
    if key == "NOT_STARTED":
        return text.sentence_case(text.one_line(run.not_started.removeprefix("not started: ")))
    if key == "UNFINISHED":
        return "The records end before an outcome was written."
    if key == "ABORTED":
        return _stopped(run)
    if key == "NOT_REVERTED":
        return _joined("The undo could not be completed.", reason, _stopped(run) if run.tripped else "")
    if key == "HELD":
        when = " while the fault was active" if run.faults else ""
        return _joined(f"Every expectation stayed within its limit{when}.", reason, _well_again(run))
    return _joined(_counted_clauses(run), reason, _well_again(run))


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _stopped(run: Run) -> str:
    if run.tripped is None:
        why = text.sentence_case(text.one_line(run.outcome.why)) if run.outcome else ""
        return _joined("The run was stopped early.", why)
    by = words.STOPPED.get(run.tripped.stopped_by, run.tripped.stopped_by)
    gone = halt_latency(run)
    took = f"All faults were gone {text.duration(gone)} after that decision." if gone is not None else ""
    why = text.one_line(run.tripped.why).strip().rstrip(".")
    return _joined(f"The run was stopped early by {by}: {why}.", took, _well_again(run))


def _counted_clauses(run: Run) -> str:
    count = {state: sum(one.state == state for one in run.clauses) for state in ("violated", "unknown", "ok")}
    total = len(run.clauses)
    if not total:
        return "No expectation could be judged."
    parts = [f"{count[state]} {state}" for state in ("violated", "unknown", "ok") if count[state]]
    return f"Of {text.counted(total, 'expectation')}, {text.listed(parts)}."


def _well_again(run: Run) -> str:
    if not run.recoveries:
        return ""
    worst = max(run.recoveries, key=lambda one: (not one.recovered, one.seconds))
    if worst.recovered:
        return f"The system was well again {text.duration(worst.seconds)} after the fault was gone."
    return f"The system was not well again within {text.duration(worst.seconds)}."


def halt_latency(run: Run) -> float | None:
    """Seconds from the decision to stop until the last fault was read back as gone; None when one was not."""
    if run.tripped is None:
        return None
    open_then = [one for one in run.faults.values() if _open_at(one, run.tripped.decided_t)]
    gone = [one.gone_t for one in open_then if one.gone_t is not None]
    return max(gone) - run.tripped.decided_t if gone and len(gone) == len(open_then) else None


def _open_at(view: FaultView, t: float) -> bool:
    return windows.touched(view) and view.reversible and (view.gone_t is None or view.gone_t >= t)


def _left(run: Run, key: str) -> tuple[Left, ...]:
    if key not in ("NOT_REVERTED", "UNFINISHED"):
        return ()
    found = []
    for view in run.faults.values():
        if windows.left(view) and (view.reversible or key == "UNFINISHED"):
            why = view.trouble[-1] if view.trouble else "no record says that it was undone"
            mark = view.undo.get("mark", "")
            found.append(Left(view.target.key, f"{view.kind} ({view.aspect})", str(mark) or text.MISSING, why))
    return tuple(found)


def _caution(run: Run) -> str:
    if run.outcome is None:
        return ""
    return {
        "CLEAN": "",
        "WATCHING": "A request whose reply was lost may still land; its place on the target stays occupied until the "
        "watch is over. Run the recover command once more before the next experiment.",
        "UNVERIFIED": "An undo was sent, but no read has shown that the fault is gone. Look at the target yourself "
        "before you trust it.",
        "LEFT": "",
    }[run.outcome.cleanup]
