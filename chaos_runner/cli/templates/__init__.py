"""The files that `init` and `new` write, as texts with `{{words}}` to fill in. Reads package files only.

A file of `classes/` is one failure class: what happens, a hypothesis, and the step of the method.
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

_HOME = Path(__file__).parent
_HOLE = re.compile(r"\{\{(\w+)\}\}")


def classes() -> dict[str, str]:
    """Failure class -> what happens, in a sentence."""
    return {path.stem: _parts(path.stem)[0] for path in sorted((_HOME / "classes").glob("*.yaml"))}


def filled(text: str, words: dict[str, str]) -> str:
    """A text with its holes filled. A hole without a word is our bug: KeyError."""
    return _HOLE.sub(lambda hole: words[hole[1]], text)


def read(name: str) -> str:
    """A template as it is."""
    return (_HOME / name).read_text("utf-8")


def experiment(failure: str, words: dict[str, str]) -> str:
    """A whole experiment of one failure class. `words`: modeline, name, service, target, owner, steady_state."""
    summary, hypothesis, step = _parts(failure)
    happens = summary[0].lower() + summary[1:].rstrip(".")
    said = textwrap.fill(filled(hypothesis, words), 98, subsequent_indent="  ", break_on_hyphens=False)
    known = {**words, "title": f"{words['service']} lives on when {happens}", "hypothesis": said}
    return filled(read("head.yaml") + step + read("tail.yaml"), known)


def scenario(name: str, modeline: str, steps: list[tuple[str, str]]) -> str:
    """A whole game day of these experiments, each with its file and what people see of it."""
    lines = "".join(filled(read("scenario_step.yaml"), {"file": quoted(file), "step": step}) for file, step in steps)
    items = "".join(f"    - {{at: {20 + 25 * n}m, what: {step}}}\n" for n, (_, step) in enumerate(steps))
    after = 20 + 25 * len(steps)
    words = {"name": name, "modeline": modeline, "steps": lines, "items": items.rstrip("\n")}
    words |= {"after": f"{after}m", "end": f"{after + 30}m", "hard_end": f"{after + 45}m"}
    return filled(read("scenario.yaml"), words)


def quoted(text: str) -> str:
    """The text as YAML takes it whatever is in it."""
    return text if re.fullmatch(r"[A-Za-z0-9._/-]+", text) else json.dumps(text)


def _parts(failure: str) -> tuple[str, str, str]:
    summary, hypothesis, step = read(f"classes/{failure}.yaml").split("\n", 2)
    return summary.removeprefix("# "), hypothesis.removeprefix("# "), step
