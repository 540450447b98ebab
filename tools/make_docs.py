"""Writes what the documentation takes from the program itself: schemas, fault and probe tables, commands, exit codes.

`--check` writes nothing and exits 1 when a file is not what it should be.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from chaos_runner.cli import completion, explain, trouble, writing
from chaos_runner.cli.main import COMMANDS

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOTE = "<!-- Written by tools/make_docs.py from the program itself: change the words there, then run `make docs`. -->\n"
UNITS = """\
Values carry units: durations `30s`, `400ms`, `2m`; rates `20/s`; shares `25%`; sizes `64KiB`; bandwidths `64KB/s`.
A bare number where a unit is needed is an error that says so.
"""
CODES = {
    0: ("HELD", "the hypothesis held; every other command: done"),
    1: ("DEVIATED", "the hypothesis did not hold"),
    2: ("usage or file", "the command or a file is wrong; every problem is printed with its place"),
    3: ("nothing learned", "refused, not steady, UNKNOWN, or nothing to tell; nothing was harmed or everything undone"),
    4: ("ABORTED", "stopped early by a criterion, blindness, a lever, a person or the deadline; everything undone"),
    5: ("NOT_REVERTED", "something is left on a target; `chaos-runner recover` is the next command"),
    70: ("our bug", "an error in chaos-runner; everything it did was undone first"),
    130: ("Ctrl-C", "a command other than `run` was interrupted"),
    141: ("SIGPIPE", "the reader of the output went away"),
}


def contents() -> dict[str, str]:
    """Path below docs/ -> what it should hold."""
    schemas = {f"schema/{kind}.json": writing.schema_text(kind) for kind in writing.KINDS}
    return schemas | {
        "faults.md": _kinds("Faults", "fault", _FAULTS),
        "probes.md": _kinds("Probes", "probe", _PROBES),
        "commands.md": _commands(),
        "exit-codes.md": _codes(),
    }


_FAULTS = """\
A fault is harm that knows how to undo itself. `with:` takes the fields below, `target:` says which targets.
"""
_PROBES = """\
A probe reads something and never changes it. `with:` takes the fields below; `expect:` takes clauses over its metrics,
such as `success >= 99%` or `p95 <= 800ms`.
"""


def _kinds(title: str, group: str, words: str) -> str:
    from chaos_runner import registry

    known = {"fault": registry.faults, "probe": registry.probes}[group]
    parts = [f"# {title}\n", NOTE, words, UNITS, *(_kind(kind, known[kind], group) for kind in known.names())]
    return "\n".join(parts)


def _kind(kind: str, cls: type, group: str) -> str:
    section = next(part for part in _sections(explain.explained(kind)) if part.startswith(f"{group} {kind}:"))
    return f"## {kind}\n\n{inspect.cleandoc(cls.__doc__ or '')}\n\n{_tables(section)}"


def _sections(text: str) -> list[str]:
    """One section for each group that has the kind: a fault and a probe may share a name."""
    found: list[str] = []
    for line in text.splitlines():
        if line.startswith(("fault ", "probe ")):
            found.append(line)
        elif found:
            found[-1] += f"\n{line}"
    return found


def _tables(section: str) -> str:
    lines = section.splitlines()[1:]
    out = []
    head = "with"
    rows: list[tuple[str, str]] = []
    for line in [*lines, "end:"]:
        if line.endswith(":") and not line.startswith(" "):
            out += _table(head, rows)
            head, rows = line.rstrip(":"), []
        elif line.strip() and line.strip() != "no fields":
            name, _, said = line.strip().partition("  ")
            rows.append((name, said.strip()))
    return "\n".join(out)


def _table(head: str, rows: list[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    cells = [f"| `{name}` | {said.replace('|', chr(92) + '|')} |" for name, said in rows]
    return [f"| {head} | what it is |", "|---|---|", *cells, ""]


def _commands() -> str:
    parts = ["# Commands\n", NOTE, "Every command explains itself: `chaos-runner COMMAND --help`.\n"]
    for name, said in COMMANDS.items():
        shown = [flag for flag in completion.flags(name) if "--help" not in flag.names]
        rows = [(_usage(flag), flag.help or "which of these") for flag in shown]
        parts.append("\n".join([f"## {name}", "", f"{said[0].upper()}{said[1:]}.", "", *_table("argument", rows)]))
    return "\n".join(parts)


def _usage(flag: completion.Flag) -> str:
    names = ", ".join(flag.names)
    value = "|".join(flag.choices) if flag.choices else flag.value
    return f"{names} {value}".strip().replace("|", "\\|") if flag.value or not flag.names else names


def _codes() -> str:
    rows = [f"| {code} | {name} | {said} |" for code, (name, said) in CODES.items()]
    return "\n".join(
        ["# Exit codes\n", NOTE, "They are API.\n", "| code | word | meaning |", "|---|---|---|", *rows, ""]
    )


def main(argv: list[str]) -> int:
    """Writes or checks; the exit status."""
    stale = []
    for name, text in contents().items():
        path = DOCS / name
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    for name in stale:
        print(f"{'stale' if '--check' in argv else 'wrote'} docs/{name}")
    return 1 if stale and "--check" in argv else 0


assert {trouble.USAGE, trouble.NOTHING_LEARNED, trouble.BUG} <= CODES.keys()

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
