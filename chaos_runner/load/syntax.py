"""Sentences for the parser's errors: what an author did, not what the parser looked for. No IO."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import yaml

_QUOTE = "put the text in quotes"
_SENTENCES = {
    "mapping values are not allowed in this context": (
        f"a ':' is not expected here; check the indentation, or {_QUOTE} if the ':' belongs to it"
    ),
    "did not find expected key": "this line does not fit the mapping around it; check the indentation and the quotes",
    "did not find expected '-' indicator": "this line does not fit the list around it; check the indentation",
    "did not find expected ',' or ']'": "the list that starts here with [ has no ] where one is needed",
    "did not find expected ',' or '}'": "the mapping that starts here with { has no } where one is needed",
    "found unexpected end of stream": "the quoted text that starts here has no closing quote",
    "found unexpected document indicator": "the quoted text that starts here has no closing quote",
    "could not find expected ':'": "a key starts here, but no ':' follows it on the same line",
    "did not find expected node content": "a value is needed here",
    "found unknown escape character": "an unknown escape in double quotes; use single quotes, or write \\\\",
    "did not find expected hexdecimal number": "an incomplete escape in double quotes",
    "found invalid Unicode character escape code": "an escape in double quotes names no character",
    "did not find expected comment or line break": "after | or > the text starts on the next line",
    "found incompatible YAML document": "directives (%YAML, %TAG) are not allowed; remove them",
    "block sequence entries are not allowed in this context": "a list item '-' is not expected here; start a new line",
    "did not find expected alphabetic or numeric character": f"& and * start anchors and aliases; {_QUOTE}",
}
# Where the author can see the mistake is where the construct began, not where the parser gave up.
_FROM_THE_START = (
    "did not find expected ',' or",
    "found unexpected end of stream",
    "found unexpected document indicator",
    "could not find expected ':'",
)


def explained(error: yaml.YAMLError, text: str) -> tuple[int, int, str]:
    """Line, column and a sentence."""
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read")
    mark = getattr(error, "problem_mark", None)
    if problem.startswith(_FROM_THE_START):
        mark = getattr(error, "context_mark", None) or mark
    if mark is None:
        return 1, 1, f"not YAML: {problem}"
    line, col = _inside(text, mark.line, mark.column)
    return line + 1, col + 1, _sentence(problem, _char(text, line, col))


def _sentence(problem: str, char: str) -> str:
    if "cannot start any token" in problem:
        if char == "\t":
            return "a tab cannot indent; use spaces"
        return f"text cannot start with {char!r} here; put it in quotes" if char else "a token cannot start here"
    return _SENTENCES.get(problem, f"not YAML: {problem}")


def _inside(text: str, line: int, col: int) -> tuple[int, int]:
    """The place, or the end of the last line that has text when the parser gave up behind it."""
    lines = re.split(r"\r\n|\r|\n", text)
    if line < len(lines) and (line < len(lines) - 1 or lines[line]):
        return line, min(col, len(lines[line]))
    while len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    return len(lines) - 1, len(lines[-1])


def _char(text: str, line: int, col: int) -> str:
    lines = re.split(r"\r\n|\r|\n", text)
    return lines[line][col : col + 1] if line < len(lines) else ""
