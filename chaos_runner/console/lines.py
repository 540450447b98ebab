"""The screen of a day as lines of text. No IO, no clock; nothing in them can command a terminal, whoever typed it."""

from __future__ import annotations

import time

from chaos_runner.gameday.running import CheckShown, FaultShown, Running
from chaos_runner.gameday.view import Item, Person, Row, Screen, Told, Waiting
from chaos_runner.render import text
from chaos_runner.render.words import PHASES

WIDEST = 600
STATES = {"waiting": " ", "going": "▶", "ended": "✓", "skipped": "–", "": " "}


def flat(line: str) -> str:
    """One line that keeps its columns, harmless and cut to a limit."""
    return text.clean(line[: 2 * WIDEST]).replace("\n", " ").replace("\t", " ")[:WIDEST]


def moment(at: float | None) -> str:
    """A time of day in UTC, as `--at` takes it."""
    return time.strftime("%H:%M:%S", time.gmtime(at)) if at is not None and 0 < at < 253_402_300_800 else "--:--:--"


def told(one: Told) -> str:
    """One line of the timeline; the number is what `retract` takes."""
    back = " (taken back)" if one.retracted else ""
    return text.one_line(f"{moment(one.at)} #{one.seq} {one.text}{back}", WIDEST)


def waiting(wanted: Waiting) -> str:
    """What is waited for, who may answer, and what to type."""
    who = f"{' or '.join(wanted.roles)}: {', '.join(wanted.people) or 'nobody'}"
    missing = f"; first {', '.join(wanted.missing)}" if wanted.missing else ""
    return text.one_line(f"? {wanted.question} ({who}){missing}; type: {' or '.join(wanted.words)}", WIDEST)


def running(one: Running) -> str:
    """A run in one line."""
    parts = [
        _phase(one),
        ", ".join(_fault(fault) for fault in one.faults),
        ", ".join(_check(check) for check in one.checks),
        _margin(one),
    ]
    return text.one_line("; ".join(part for part in parts if part), WIDEST)


def gist(one: Running) -> tuple[object, ...]:
    """What has to change for a new line to be worth it."""
    return (
        one.run,
        one.phase,
        one.step,
        tuple((fault.title, fault.state) for fault in one.faults),
        tuple((check.title, check.word) for check in one.checks),
        None if one.margin is None else round(one.margin * 4),
    )


def head(screen: Screen) -> list[str]:
    """The day above its timeline, without the run."""
    lines = [_title(screen), _now(screen)]
    lines += [row(one) for one in screen.agenda]
    lines += _people(screen)
    if screen.predictions:
        lines.append("predicted: " + ", ".join(f"{p.who} {p.believed} {p.confidence:.0%}" for p in screen.predictions))
    if screen.alerts:
        lines.append("alerts: " + ", ".join(screen.alerts))
    return [flat(line) for line in lines]


def row(one: Row) -> str:
    """One line of the agenda: planned and real times."""
    planned = moment(one.planned_at) if one.planned_at is not None else " " * 8
    real = moment(one.began_at) if one.began_at is not None else " " * 8
    name = f"{one.step + 1}. {one.what}" if one.step >= 0 else one.what
    end = f"  {one.headline or one.state}" if one.state not in {"", "waiting"} else ""
    return flat(f"{STATES.get(one.state, ' ')} {planned}  {real}  {name}{end}")


def _title(screen: Screen) -> str:
    severity = f", {screen.severity} if it were real" if screen.severity else ""
    left = ""
    if screen.hard_end_in_s is not None:
        late = screen.hard_end_in_s < 0
        left = f"  hard end {'passed' if late else f'in {_whole(screen.hard_end_in_s)}'}"
    return f"EXERCISE  {screen.title} on {screen.environment}{severity}  {moment(screen.now)} UTC{left}"


def _now(screen: Screen) -> str:
    return screen.ended or f"now: {screen.current}"


def _people(screen: Screen) -> list[str]:
    """The roll call and what is still open of checklist and approvals; nothing once the first step began."""
    if any(one.began_at is not None for one in screen.agenda):
        return []
    lines = ["here: " + ", ".join(_person(one) for one in screen.roll_call)]
    lines += [f"[{'x' if one.by else ' '}] {n}. {_item(one)}" for n, one in enumerate(screen.checklist, start=1)]
    return lines + [f"[{'x' if one.by else ' '}] approval of {one.what}" for one in screen.approvals]


def _person(one: Person) -> str:
    return f"{one.name} {one.state or '?'}"


def _item(one: Item) -> str:
    return f"{one.what} ({one.by})" if one.by else one.what


def _phase(one: Running) -> str:
    phase = PHASES.get(one.phase, one.phase) or "Under way"
    step = f" (step {one.step + 1} of {one.steps})" if one.step >= 0 else ""
    left = f", {_whole(one.left_s)} left" if one.left_s >= 1 else ""
    return f"{one.title}: {phase}{step}{left}"


def _fault(one: FaultShown) -> str:
    left = f", {_whole(one.left_s)} left" if one.left_s is not None else ""
    return f"{one.title} {one.state}{left}"


def _check(one: CheckShown) -> str:
    return f"{one.title} {one.word}{f' ({one.now})' if one.now else ''}"


def _margin(one: Running) -> str:
    return "" if one.margin is None else f"{one.margin:.0%} of the way to an abort"


def _whole(left: float) -> str:
    whole = max(0, round(left))
    return f"{whole} s" if whole < 100 else text.duration(whole)
