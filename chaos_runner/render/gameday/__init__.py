"""The report of a game day: a page, JSON for programs, and the draft of a postmortem. No IO but the template.

Foreign text reaches the page through the template's escaping or `svg.el`, the draft through `markdown.plain` and
`markdown.code`, and nowhere else. The same facts, records and samples give the same bytes.
"""

from __future__ import annotations

from chaos_runner.render.gameday import json, page, postmortem
from chaos_runner.render.gameday.told import Before, Told

__all__ = ["RENDERERS", "Before", "Told"]

RENDERERS = {"html": page.render, "json": json.render, "postmortem": postmortem.render}
