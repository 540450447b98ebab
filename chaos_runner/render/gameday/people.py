"""Who was there, what they said, and what they will do. No IO."""

from __future__ import annotations

from chaos_runner.gameday.facts import Said
from chaos_runner.gameday.sentences import SAID
from chaos_runner.render import text
from chaos_runner.render.gameday import answers
from chaos_runner.render.gameday.postmortem import ordered
from chaos_runner.render.gameday.told import Whole

SAID_MAX = 100


def roles(whole: Whole) -> list[tuple[str, str, str]]:
    """Each part, who plays it by now, and who of them answered the roll call."""
    here = whole.day.present
    return [
        (
            text.one_line(role.replace("_", " "), 120),
            _names(people),
            _names(tuple(one for one in people if one in here and not here[one].absent)) or "nobody answered",
        )
        for role, people in whole.day.roles.items()
    ]


def _names(people: tuple[str, ...]) -> str:
    more = f" and {len(people) - 12} more" if len(people) > 12 else ""
    return ", ".join(text.one_line(one, 120) for one in people[:12]) + more


def absent(whole: Whole) -> list[tuple[str, str]]:
    """Who was missing, and why."""
    gone = [one for one in whole.day.present.values() if one.absent]
    return [(text.one_line(one.name, 120), text.one_line(one.absent)) for one in gone[:50]]


def approvals(whole: Whole) -> list[tuple[str, str]]:
    """Who had to say yes beforehand, and when they did."""
    wanted = whole.day.scenario.approvals if whole.day.scenario else ()
    return [(text.one_line(one, 120), text.utc(whole.day.approved.get(one))) for one in wanted]


def checklist(whole: Whole) -> list[tuple[str, str]]:
    """Each item, and who ticked it when."""
    items = whole.day.scenario.checklist if whole.day.scenario else ()
    ticked = whole.day.ticked
    return [
        (
            text.one_line(item),
            f"{text.one_line(ticked[n][1].who, 120)}, {text.utc(ticked[n][0])}" if n in ticked else "not ticked",
        )
        for n, item in enumerate(items)
    ]


def confidence(whole: Whole) -> str:
    """How much people trusted the system, before and after; of each the last word."""
    told = {when: {one.who: one.confidence for one in whole.day.confidence if one.when == when}
            for when in ("before", "after")}  # fmt: skip
    shown = {when: text.share(sum(one.values()) / len(one)) if one else text.MISSING for when, one in told.items()}
    voices = max(len(one) for one in told.values())
    beside = f" (mean of {text.counted(voices, 'person', 'people')})" if voices else ""
    return f"{shown['before']} → {shown['after']}{beside}"


def said(whole: Whole) -> dict[str, list[tuple[str, str, str]]]:
    """What people wrote down, by kind: when, who, what."""
    found: dict[str, list[tuple[str, str, str]]] = {kind: [] for kind in SAID}
    for at, one in whole.day.said:
        if len(found[one.kind]) < SAID_MAX:
            found[one.kind].append(_line(whole, at, one))
    return found


def _line(whole: Whole, at: float, one: Said) -> tuple[str, str, str]:
    step = f" (step {one.step + 1})" if one.step >= 0 else ""
    return (
        f"T+{text.clock(at - whole.day.started_at, 0)}{step}",
        text.one_line(one.who, 120),
        text.one_line(one.text, 2000),
    )


def actions(whole: Whole) -> list[tuple[str, str, str, str, str, str, str, str]]:
    """Action items, open ones first: id, what, owner, due, priority, state, the experiment to run again, ticket."""
    found: list[tuple[str, str, str, str, str, str, str, str]] = []
    for view in ordered(list(whole.day.actions.values()))[:200]:
        one, settled = view.added, view.settled
        why = f" by {text.one_line(settled.who, 80)}: {text.one_line(settled.reason, 300)}" if settled else ""
        run = f" (run {text.one_line(settled.run, 80)})" if settled and settled.run else ""
        again = f"chaos-runner gameday rerun {text.one_line(one.id, 80)}" if one.rerun else ""
        found.append(
            (
                text.one_line(one.id, 80),
                text.one_line(one.finding, 1000),
                text.one_line(one.owner, 120) or "nobody yet",
                text.one_line(one.due, 40) or "no date",
                one.priority,
                {"accepted": "accepted risk"}.get(view.state, view.state) + why + run,
                again,
                text.one_line(one.ticket, 200),
            )
        )
    return found


def opened(whole: Whole) -> int:
    """How many actions are open."""
    return len(answers.due(list(whole.day.actions.values())))
