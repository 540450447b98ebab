"""The coverage page: service against failure class, with ages and arithmetic. No IO."""

from __future__ import annotations

from chaos_runner.render import text
from chaos_runner.render.html import paper
from chaos_runner.render.site.rows import word
from chaos_runner.review.coverage import GONE_AFTER_DAYS, RED_AFTER_DAYS, Cell, Coverage, Row

NAMES_MAX = 12


def page(coverage: Coverage, names: dict[str, str]) -> bytes:
    """The page."""
    return paper.printed(
        "site/coverage.html.j2",
        "site/site.js",
        "site/site.css",
        here="coverage.html",
        up="../",
        down="",
        today=coverage.today,
        classes=coverage.classes,
        rows=[(one.service, [_cell(cell, names) for cell in one.cells], arithmetic(one, coverage.classes))
              for one in coverage.rows],
        red_after=RED_AFTER_DAYS,
        gone_after=GONE_AFTER_DAYS,
    )  # fmt: skip


def _cell(cell: Cell | None, names: dict[str, str]) -> tuple[str, str, str, str, int | None]:
    """Its tone, its words, what stands below, where it leads, and its age in days for the script."""
    if cell is None:
        return "none", "never run", "", "", None
    runs = text.counted(cell.runs, "run")
    if cell.last is None:
        return "red", "never conclusive", runs, "", None
    below = f"{cell.held} of {cell.conclusive} HELD; {runs}; last {word(cell.last.word).label}"
    link = names.get(cell.last.experiment, "").rpartition("/")[2]
    return ("red" if cell.red else "fresh"), age(cell.days), below, link, cell.days


def age(days: int | None) -> str:
    """0 is today."""
    return "never" if days is None else "today" if days == 0 else text.counted(days, "day")


def arithmetic(row: Row, classes: tuple[str, ...]) -> list[str]:
    """How the figures of a service come about, in sentences."""
    tried, known, fresh = len(row.tried), len(row.known), len(row.fresh)
    said = [
        f"Coverage: {known} of {tried} tried failure classes {'has' if known == 1 else 'have'} a conclusive run, "
        f"{fresh} of them within {RED_AFTER_DAYS} days.",
    ]
    if row.oldest is not None and row.oldest.days is not None:
        said.append(f"Freshness: that of the oldest, {_name(row.oldest)}: {_fraction(row.oldest.days)}.")
    held, sure = sum(one.held for one in row.tried), sum(one.conclusive for one in row.tried)
    runs = sum(one.runs for one in row.tried)
    said.append(
        f"Outcomes: {held} of {sure} conclusive HELD; {runs - sure} of {text.counted(runs, 'run')} inconclusive, "
        "which counts neither as passed nor as failed. A run with faults of two classes counts for both."
    )
    missing = [name for name, cell in zip(classes, row.cells, strict=True) if cell is None]
    if missing:
        more = f" and {len(missing) - NAMES_MAX} more" if len(missing) > NAMES_MAX else ""
        said.append(f"Never run here, and not counted: {', '.join(missing[:NAMES_MAX])}{more}.")
    return said


def _name(cell: Cell) -> str:
    return f"{cell.failure}, {age(cell.days)}"


def _fraction(days: int) -> str:
    if days <= RED_AFTER_DAYS:
        return f"{days} of {RED_AFTER_DAYS} days, so 1"
    if days >= GONE_AFTER_DAYS:
        return f"{days} days are {GONE_AFTER_DAYS} or more, so 0"
    left, span = GONE_AFTER_DAYS - days, GONE_AFTER_DAYS - RED_AFTER_DAYS
    return f"({GONE_AFTER_DAYS} − {days}) / {span} = {left / span:.2f}"
