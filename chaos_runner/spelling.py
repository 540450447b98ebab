"""Words that are none of those that are known: what was probably meant, or else what there is. No IO."""

from __future__ import annotations

from collections.abc import Iterable

_WORD_MAX = 80
_SHOWN_MAX = 60
_NAMES_MAX = 20


def nearest(word: str, names: Iterable[str]) -> str:
    """The name that was probably meant, whatever its case; an empty string where none is near."""
    if len(word) > _WORD_MAX:
        return ""
    import difflib  # here: a file without mistakes does not pay for it

    by_lower = {name.lower(): name for name in names}
    found = difflib.get_close_matches(word.lower(), list(by_lower), 1, 0.6)
    return by_lower[found[0]] if found else ""


def unknown(noun: str, word: str, names: Iterable[str]) -> str:
    """A sentence about a word that is none of the names."""
    return f"unknown {noun} {shown(word)}; {hint(word, names)}"


def hint(word: str, names: Iterable[str]) -> str:
    """The second half of such a sentence."""
    names = list(names)
    near = nearest(word, names)
    return f"did you mean '{near}'?" if near else f"known: {listed(names, 'and')}" if names else "none is known here"


def listed(names: Iterable[object], last: str = "or") -> str:
    """`a, b or c`; many names are cut."""
    words = [str(name) for name in names]
    if len(words) > _NAMES_MAX:
        return ", ".join(words[:_NAMES_MAX]) + f" and {len(words) - _NAMES_MAX} more"
    return f" {last} ".join(part for part in (", ".join(words[:-1]), words[-1] if words else "") if part)


def shown(value: object) -> str:
    """A value as a reader would quote it."""
    return f"'{cut(str(value))}'"


def cut(text: str, limit: int = _SHOWN_MAX) -> str:
    """The text, cut to what a reader needs to recognise it."""
    return text if len(text) <= limit else text[: limit - 3] + "..."
