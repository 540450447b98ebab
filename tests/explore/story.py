"""What was found, for people: one line for each event, numbered, and what is wrong at the end."""

from __future__ import annotations

from tests.explore.explorer import Found


def told(found: Found) -> str:
    """The shortest way to what is wrong, or a sentence that nothing is."""
    if not found.wrong:
        return f"{found.scene.title}: nothing is wrong in {found.states} states"
    lines = [f"{n:3}. {line}" for n, line in enumerate(found.story, start=1)]
    return "\n".join([f"{found.scene.title}:", *lines, f"  => {found.wrong}"])


def row(found: Found) -> str:
    """One line of a table."""
    left = f"{found.scene.deaths} deaths, {found.scene.late} held, {found.scene.lost} lost"
    pace = found.states / max(found.seconds, 1e-9)
    verdict = found.wrong or "0 violations"
    return f"{found.scene.title:<42} {left:<27} {found.states:>9,} {found.seconds:>7.1f} {pace:>9,.0f}  {verdict}"


HEAD = f"{'scene':<42} {'what may go wrong':<27} {'states':>9} {'cpu s':>7} {'states/s':>9}"
