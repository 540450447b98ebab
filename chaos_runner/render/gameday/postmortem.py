"""The draft of a postmortem in Markdown: what the records know is written, what people have to say is left. No IO.

Foreign text stands as `markdown.plain` or `markdown.code`: it can end no line, no cell and no fence.
"""

from __future__ import annotations

from chaos_runner.gameday.day import ActionView
from chaos_runner.gameday.facts import Said
from chaos_runner.render import text
from chaos_runner.render.gameday import answers, figures, timeline
from chaos_runner.render.gameday.told import Told, Whole
from chaos_runner.render.markdown import code, plain

LINES_MAX = 300
BLANK = "_to be filled in_"
SAID_MAX = 500


def render(told: Told) -> bytes:
    """The draft; what is blank is named as such."""
    whole = Whole(told)
    lines = [
        *_head(whole),
        *_impact(whole),
        *_timeline(whole),
        *_detection(whole),
        *_factors(whole),
        *_well(whole),
        *_actions(whole),
        *_foot(whole),
    ]
    return ("\n".join(lines) + "\n").encode()


def _head(whole: Whole) -> list[str]:
    day = whole.day
    kind = "an exercise, not an incident"
    if day.incident is not None:
        kind = f"a REAL INCIDENT began at {text.utc(day.incident[0])}: {plain(day.incident[1].text)}"
    found = answers.answers(whole)
    return [
        f"# Postmortem (draft): {plain(whole.title())}",
        "",
        f"> This was {kind}. Draft made by chaos-runner from records; parts marked {BLANK} are for people.",
        "",
        f"- **Day:** {code(day.id or text.MISSING)}, {text.utc(day.started_at)} to {text.utc(day.ended_at)}",
        f"- **Environment:** {plain(day.scenario.environment if day.scenario else text.MISSING)}",
        f"- **Facilitator:** {plain(text.listed(list(day.people('facilitator'))) or text.MISSING)}",
        f"- **Severity, had it been real:** {plain(_severity(whole))}",
        "",
        "## Summary",
        "",
        *(f"- **{one.question}** {plain(one.short)} ({plain(one.rest)})" for one in found),
        "",
        *_experiments(whole),
    ]


def _severity(whole: Whole) -> str:
    return (whole.day.scenario.severity_if_real if whole.day.scenario else "") or text.MISSING


def _experiments(whole: Whole) -> list[str]:
    found = []
    for seen in whole.counted:
        tale = seen.story
        found += [
            f"- **{plain(tale.word.label)}: {plain(whole.name(seen))}.** Believed: {plain(tale.believed)} "
            f"Happened: {plain(tale.happened)}"
        ]
    return [*found, ""] if found else []


def _impact(whole: Whole) -> list[str]:
    harm = whole.measured.harm
    hurt = answers.hurt(whole)
    lines = ["## Impact", "", f"- Requests harmed: {plain(hurt.short)} ({plain(hurt.rest)})"]
    spent = text.duration(harm.bad_s) if harm.bad_s is not None else text.MISSING
    lines.append(f"- Bad service, as whole outage: {spent}")
    for one in whole.measured.steps:
        share = one.of("budget")
        if share.value is not None:
            lines.append(f"- Error budget spent by {code(one.run)}: {figures.shown(share)}")
    return [*lines, f"- Tickets and calls of customers: {BLANK}", ""]


def _timeline(whole: Whole) -> list[str]:
    every = [one for one in timeline.lines(whole) if not one.gone]
    kept = every[:LINES_MAX]
    more = [f"- … {len(every) - LINES_MAX} more lines are in the report"] if len(every) > LINES_MAX else []
    rows = [f"- {one.since} ({one.utc}): {plain(one.said)}" for one in kept]
    return ["## Timeline", "", "T+0 is the start of the day; times are UTC.", "", *rows, *more, ""]


def _detection(whole: Whole) -> list[str]:
    lines = [
        "## Detection and response",
        "",
        "| Run | Figure | Value | Target | From | To |",
        "|---|---|--:|--:|---|---|",
    ]
    for step in whole.measured.steps:
        for metric in (one for one in step.metrics if one.unit == "s" and one.key != "bad_s"):
            one = figures.row(metric)
            stamps = f"{plain(one.start)} | {plain(one.end)}"
            lines.append(f"| {_cell(step.run)} | {one.title} | {one.value} | {one.target} | {stamps} |")
    rows = [figures.row(one) for one in whole.measured.day]
    told = [f"- {one.title}: {one.value}" + (f" ({plain(one.notes[0])})" if one.notes else "") for one in rows]
    return [
        *lines,
        "",
        *told,
        "",
        f"- Runbooks: used, correct? {BLANK}",
        f"- Dashboards that helped, or were missing: {BLANK}",
        "",
    ]


def _cell(foreign: str) -> str:
    return code(foreign).replace("|", "\\|")


def _factors(whole: Whole) -> list[str]:
    causes = [f"- {plain(one.text)} ({plain(one.who)})" for one in _said(whole, "cause")]
    surprises = [f"- {plain(one.text)} ({plain(one.who)})" for one in _said(whole, "surprise")]
    whys = [f"{n}. Why? {BLANK}" for n in range(1, 6)]
    return [
        "## Contributing factors", "", *(causes or [f"- {BLANK}"]), "",
        "## Surprises", "", *(surprises or ["- none was written down"]), "",
        "## Five whys", "", *whys, "",
    ]  # fmt: skip


def _well(whole: Whole) -> list[str]:
    good = [f"- {plain(one.text)} ({plain(one.who)})" for one in _said(whole, "went_well")]
    next_time = [f"- {plain(one.text)} ({plain(one.who)})" for one in _said(whole, "logistics")]
    return [
        "## What went well", "", *(good or [f"- {BLANK}"]), "",
        "## What to do better next time", "", *(next_time or [f"- {BLANK}"]), "",
    ]  # fmt: skip


def _said(whole: Whole, kind: str) -> list[Said]:
    return [one for _, one in whole.day.said if one.kind == kind][:SAID_MAX]


def _actions(whole: Whole) -> list[str]:
    head = [
        "## Action items",
        "",
        "| Id | What | Owner | Due | Priority | State | Run again |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = [_action(one) for one in ordered(list(whole.day.actions.values()))]
    return [*head, *(rows or [f"| – | {BLANK} | – | – | – | – | – |"]), ""]


def ordered(views: list[ActionView]) -> list[ActionView]:
    """Open ones, the most urgent first, then the settled ones."""
    return answers.due(views) + [one for one in views if one.state != "open"]


def _action(view: ActionView) -> str:
    one = view.added
    again = code(f"chaos-runner gameday rerun {one.id}").replace("|", "\\|") if one.rerun else "–"
    ticket = f" ({plain(one.ticket)})" if one.ticket else ""
    state = f"{view.state}: {plain(view.settled.reason)}" if view.settled is not None else view.state
    return (
        f"| {_cell(one.id)} | {plain(one.finding)}{ticket} | {plain(one.owner or 'nobody yet')} | "
        f"{plain(one.due or 'no date')} | {one.priority} | {state} | {again} |"
    )


def _foot(whole: Whole) -> list[str]:
    again = [f"- {code(seen.plan.reproduce())}" for seen in whole.counted if seen.plan.reproduce()]
    return [
        "## Run it again", "", *(again or ["- not recorded"]), "",
        f"sha-256 of the facts and records: {code(whole.digest())}",
    ]  # fmt: skip
