"""Elements as text: the one place where foreign words become markup of a picture. No IO."""

from __future__ import annotations

from html import escape

from chaos_runner.render import text


def el(name: str, attributes: dict[str, object] | None = None, *children: str) -> str:
    """One element; attribute values are escaped, children are markup already (see `words`)."""
    told = "".join(f' {key}="{escape(text.clean(plain(value)))}"' for key, value in (attributes or {}).items())
    return f"<{name}{told}>{''.join(children)}</{name}>" if children else f"<{name}{told}/>"


WORDS_MAX = 1000


def words(foreign: object) -> str:
    """Foreign text as markup, cut to what a picture may hold."""
    return escape(text.bounded(foreign, WORDS_MAX))


def plain(value: object) -> str:
    """A coordinate with one decimal at most."""
    if not isinstance(value, float):
        return str(value)
    short = f"{value:.1f}"
    return "0" if short == "-0.0" else short.removesuffix(".0")
