"""The HTML report: one file, no network, works without JavaScript, on paper, in light and dark. No IO but the template.

Foreign text reaches the page through the template's escaping or `svg.el`, and nowhere else; a strict content policy
with hashes stands behind both.
"""

from __future__ import annotations

from chaos_runner.history import Run
from chaos_runner.records import Entry, Sample
from chaos_runner.render.html import page

__all__ = ["render"]


def render(run: Run, entries: list[Entry], samples: list[Sample], earlier: Run | None = None) -> bytes:
    """The report of one run as a page; compared with an earlier one where there is one."""
    return page.render(run, entries, samples, earlier)
