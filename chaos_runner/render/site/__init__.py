"""A static site of all runs: works from a folder, without network, without scripts. No IO but the templates.

`pages` says what the site consists of. Each page has a key over all that it is made of, so that a writer can leave
out what has not changed; the same input gives the same bytes, however the site came to be what it is.
"""

from __future__ import annotations

from chaos_runner.render.site.book import FOLDER, Page, Site, pages
from chaos_runner.render.site.comparing import as_html, as_json, as_text

__all__ = ["FOLDER", "Page", "Site", "as_html", "as_json", "as_text", "pages"]
