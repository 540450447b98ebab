"""The frame of a day: what it was, what it was for, how it was kept safe, what it cost, what it covered. No IO."""

from __future__ import annotations

from chaos_runner.gameday.facts import HaltAsked
from chaos_runner.render import fingerprint, story, text
from chaos_runner.render.gameday import figures
from chaos_runner.render.gameday.told import Seen, Whole, local

Pairs = list[tuple[str, str]]
ENDS = {
    "finished": "finished",
    "stopped": "stopped early",
    "incident": "ended by a real incident",
    "hard_end": "ended by the clock",
    "died": "ended without its conductor",
}
RESULTS = {"met": "✓ met", "partly": "◐ met in part", "not": "✗ not met"}
CONCLUSIVE = ("HELD", "DEVIATED", "ABORTED", "NOT_REVERTED")
WORDS = (
    ("TTD", "Time to detect: from the confirmed fault to the first expected alert, or to a person's stamp."),
    ("TTA", "Time to acknowledge: from the detection until somebody took it on."),
    ("TTM", "Time to mitigate: from the confirmed fault until users were not harmed any more."),
    (
        "TTR",
        "Time to restore: from the verified undo, and from the confirmed fault, until the steady state held again.",
    ),
    ("halt latency", "From the request to stop until the last fault was read back as gone."),
    ("Brier score", "Mean square of how far stated confidence was off: 0 is perfect, 0.25 a coin, 1 sure and wrong."),
    ("not recorded", "No record says it. It never means zero."),
)


def incident(whole: Whole) -> str:
    """What was said when the exercise became a real incident; empty where it did not."""
    if whole.day.incident is None:
        return ""
    at, fact = whole.day.incident
    return f"Declared by {text.one_line(fact.who, 120)} at {text.utc(at)}: {text.one_line(fact.text, 600)}"


def about(whole: Whole) -> Pairs:
    """The header: which day, where, whose, with which program and files."""
    day, named = whole.day, whole.day.scenario
    ended = ENDS.get(day.ended.how, day.ended.how) if day.ended else "not ended"
    why = f": {text.one_line(day.ended.why, 300)}" if day.ended and day.ended.why else ""
    versions = day.started.versions if day.started else {}
    return [
        ("Day", day.id or text.MISSING),
        ("Started", text.utc(day.started_at)),
        ("Ended", f"{text.utc(day.ended_at)}, {ended}{why}" if day.ended_at else ended),
        ("Environment", (named.environment if named else "") or text.MISSING),
        ("Facilitator", text.one_line(", ".join(day.people("facilitator"))) or text.MISSING),
        ("Severity, had it been real", (named.severity_if_real if named else "") or text.MISSING),
        ("Versions", ", ".join(f"{name} {versions[name]}" for name in sorted(versions)) or text.MISSING),
        ("Scenario file", text.one_line(day.started.file) if day.started else text.MISSING),
    ]


def objectives(whole: Whole) -> list[tuple[str, str, str, str, str]]:
    """Each objective: its name, what it says, whether it was met, in whose judgement, and in which words."""
    found = []
    for one in whole.measured.objectives:
        by = one.judged
        result = RESULTS[by.result] if by else f"– {text.MISSING}"
        who, said = (text.one_line(by.who, 120), text.one_line(by.text)) if by else ("–", "–")
        found.append((text.one_line(one.name, 120), text.one_line(one.text, 2000), result, who, said or "–"))
    return found


def safety(whole: Whole) -> Pairs:
    """What guarded the day: the drill, the levers that were pulled, the undo of each run."""
    drill = whole.measured.of("drill")
    ran = whole.drill
    pairs = [("abort drill", f"{figures.shown(drill)} from the lever to the fault gone" if drill.value is not None
              else f"{text.MISSING}: {drill.why}")]  # fmt: skip
    if whole.day.drill is not None:
        by = f"{text.one_line(whole.day.drill.who, 120)}, run {text.one_line(whole.day.drill.run, 80) or text.MISSING}"
        pairs.append(("drill pulled by", by))
    if ran is not None:
        pairs.append(("clean-up of the drill", ran.run.outcome.cleanup if ran.run.outcome else text.MISSING))
    pairs += [(f"lever {text.one_line(one.scope, 80)}", _pulled(one)) for _, one in whole.day.halts[:20]]
    pairs += [(f"clean-up of step {seen.ran.step + 1}", _cleanup(seen)) for seen in whole.runs]
    pairs.append(("calendar, incidents, budget before the day", f"{text.MISSING}; see the checklist"))
    return pairs


def _pulled(halt: HaltAsked) -> str:
    why = f": {text.one_line(halt.reason, 300)}" if halt.reason else ""
    return f"pulled by {text.one_line(halt.who, 120)} at {figures.precise(halt.asked_at)}{why}"


def _cleanup(seen: Seen) -> str:
    views = [one for one in seen.run.faults.values() if one.reversible]
    gone = sum(one.gone_t is not None and one.verified for one in views)
    word = seen.run.outcome.cleanup if seen.run.outcome else text.MISSING
    return f"{word}: {gone} of {text.counted(len(views), 'reversible fault')} read back as gone"


def not_run(whole: Whole) -> list[tuple[str, str, str]]:
    """The experiments that did not run: step, name, why."""
    ran = {seen.ran.step for seen in whole.runs}
    found = []
    for view, step in whole.steps():
        if view.step not in ran:
            who = f"left out by {view.skipped_by}: " if view.skipped_by else ""
            why = whole.told.lost.get(view.runs[-1], "") if view.runs else ""
            told = text.one_line(f"{who}{view.why or why or 'the day ended before it'}")
            found.append((str(view.step + 1), text.one_line(step.name or step.run, 200), told))
    return found


def impact(whole: Whole) -> Pairs:
    """What the day cost users, as far as it was measured."""
    harm = whole.measured.harm
    known = harm.requests is not None
    pairs = [
        ("requests harmed", text.number(harm.requests) if known else f"{text.MISSING}: {harm.why}"),
        ("of requests measured", text.number(harm.known) if known else text.MISSING),
        ("outcome unknown", text.number(harm.unknown) if known or harm.unknown else text.MISSING),
        ("seconds with harmed requests", text.number(harm.seconds) if known else text.MISSING),
        ("bad service, as whole outage", text.duration(harm.bad_s) if harm.bad_s is not None else text.MISSING),
    ]
    for step in whole.measured.steps:
        share = step.of("budget")
        told = figures.shown(share) if share.value is not None else f"{text.MISSING}: {share.why}"
        budget = step.told.harm.budget
        of = f" of {text.share(budget.slo)} over {text.duration(budget.over)}" if budget is not None else ""
        pairs.append((f"error budget spent by step {step.step + 1}", told + of))
    return [*pairs, ("tickets and calls", f"{text.MISSING}; for people to add")]


def coverage(whole: Whole) -> list[tuple[str, str, str, str, str]]:
    """Service and failure class that this day touched: the verdict, whether it is conclusive, the run before."""
    found = []
    for seen in whole.counted:
        for kind in sorted({_class(one.kind, one.params) for one in seen.plan.faults}) or ["no fault"]:
            earlier = whole.told.before.get(seen.run.id)
            days = (seen.run.started_at - earlier.ran.run.started_at) / 86400 if earlier else None
            gap = f"{text.number(round(days, 1))} days before" if days is not None else "none in the store"
            key = seen.story.key
            found.append(
                (
                    text.one_line(seen.plan.service, 120) or text.MISSING,
                    text.one_line(kind, 120),
                    seen.story.word.label,
                    "conclusive: age 0 days" if key in CONCLUSIVE else "not conclusive: stays as old as it was",
                    gap,
                )
            )
    return found


def _class(kind: str, params: dict[str, object]) -> str:
    return f"{kind} {params['type']}" if kind == "toxic" and isinstance(params.get("type"), str) else kind


def files(whole: Whole) -> Pairs:
    """Every file that the day was made from, with its fingerprint."""
    known = whole.day.started.files if whole.day.started else {}
    return [(text.one_line(path), known[path]) for path in sorted(known)][:200]


def runs(whole: Whole) -> list[tuple[str, str, str, str, str, str]]:
    """Each run: its step, id, report, verdict, seed, fingerprint of its records."""
    every = [*([whole.drill] if whole.drill else []), *whole.runs]
    return [
        (
            "drill" if seen.ran.step < 0 else str(seen.ran.step + 1),
            text.one_line(seen.run.id, 120),
            local(whole.told.links.get(seen.run.id, "")),
            story.WORDS[seen.story.key].label,
            text.MISSING if seen.plan.seed is None else str(seen.plan.seed),
            fingerprint.of(seen.entries),
        )
        for seen in every
    ]
