"""What is wrong with a file, where, and what was meant: one value a mistake, and the three ways to print it. No IO."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from chaos_runner.load.nodes import Node, Path
from chaos_runner.spelling import cut

SHOWN_MAX = 100
WIDTH_MAX = 160
_UNSEEN = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
_ODD_KEY = r"""[\s.\[\]"']|^$"""


class Problem(msgspec.Struct, frozen=True, order=True):
    """One mistake. Line and column count from 1; line 0 means the file as a whole."""

    file: str
    line: int
    col: int
    path: str
    message: str

    def __str__(self) -> str:
        """`file:line:col: path: message`, on one line."""
        place = f"{self.file}:{self.line}:{self.col}" if self.line else self.file
        return visible(": ".join(part for part in (place, self.path, self.message) if part))


class Invalid(Exception):
    """A file that cannot be used, with every problem in it; `sources` holds the texts to show lines from."""

    def __init__(self, problems: Iterable[Problem], sources: Mapping[str, str] | None = None) -> None:
        self.problems = tuple(problems)
        self.sources = dict(sources or {})
        super().__init__("\n".join(str(problem) for problem in self.problems[:SHOWN_MAX]))

    def text(self) -> str:
        """What a terminal shows."""
        return render(self.problems, self.sources)


def at(node: Node, path: Path, message: str) -> Problem:
    """A problem of this node."""
    return Problem(node.file, node.line, node.col, path_text(path), message)


def path_text(path: Path) -> str:
    """`method[0].with.type`; keys that would be misread are quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.search(_ODD_KEY, step):
            text += f'["{cut(step)}"]'
        else:
            text += f".{cut(step)}" if text else cut(step)
    return text


def visible(text: str) -> str:
    """The text with everything a terminal would obey written as an escape."""
    return re.sub(
        _UNSEEN,
        lambda found: f"\\x{ord(found[0]):02x}" if ord(found[0]) < 256 else f"\\u{ord(found[0]):04x}",
        text,
    )


def render(problems: Sequence[Problem], sources: Mapping[str, str] | None = None) -> str:
    """Each problem on a line, with its source line and a caret under the place."""
    lines: dict[str, list[str]] = {}
    blocks = []
    for problem in problems[:SHOWN_MAX]:
        source = (sources or {}).get(problem.file)
        if source is not None and problem.file not in lines:
            lines[problem.file] = source_lines(source)
        blocks.append(str(problem) + _excerpt(problem, lines.get(problem.file, [])))
    if len(problems) > SHOWN_MAX:
        blocks.append(f"and {len(problems) - SHOWN_MAX} more")
    return "\n".join(blocks)


def source_lines(source: str) -> list[str]:
    """The lines as YAML counts them."""
    return re.split(r"\r\n|\r|\n", source)


def _excerpt(problem: Problem, lines: list[str]) -> str:
    if not 1 <= problem.line <= len(lines):
        return ""
    line, caret = _window(lines[problem.line - 1], problem.col - 1)
    gutter = f"{problem.line:>5} | "
    return f"\n{gutter}{line}\n{' ' * (len(gutter) - 2)}| {' ' * caret}^"


def _window(line: str, at_col: int) -> tuple[str, int]:
    """A part of the line around the column, safe to print, and the caret's place in it."""
    start = max(0, at_col - WIDTH_MAX * 2 // 3) if len(line) > WIDTH_MAX else 0
    end = start + WIDTH_MAX
    before = visible(line[start:at_col].replace("\t", " "))
    after = visible(line[at_col:end].replace("\t", " "))
    left, right = ("..." if start else ""), ("..." if end < len(line) else "")
    return left + before + after + right, len(left + before)


def to_json(problems: Sequence[Problem]) -> str:
    """A JSON array with one object a problem, all of them, in ASCII: a file name may hold bytes that are no text."""
    import json

    return json.dumps([msgspec.structs.asdict(problem) for problem in problems])


def to_github(problems: Sequence[Problem]) -> str:
    """Workflow commands that put each problem beside its line in a pull request."""
    lines = [_annotation(problem) for problem in problems[:SHOWN_MAX]]
    if len(problems) > SHOWN_MAX:
        lines.append(f"::error ::and {len(problems) - SHOWN_MAX} more")
    return "\n".join(lines)


def _annotation(problem: Problem) -> str:
    place = f",line={problem.line},col={problem.col}" if problem.line else ""
    message = ": ".join(part for part in (problem.path, problem.message) if part)
    return f"::error file={_escaped(problem.file, ':,')}{place}::{_escaped(message)}"


def _escaped(text: str, more: str = "") -> str:
    text = visible(text.replace("\n", " "))
    return "".join(f"%{ord(char):02X}" if char in "%\r\n" + more else char for char in text)
