"""Prints the fields of a fault, a probe, a file or a part of one, in the words of the types themselves.

chaos-runner explain                     every fault, probe, notifier and file kind
chaos-runner explain toxic               a fault, a probe or a notifier
chaos-runner explain experiment.abort    a part of a file
"""

from __future__ import annotations

import argparse
from typing import Any

from chaos_runner.cli import common


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `explain`."""
    parser.add_argument("name", nargs="?", metavar="KIND|PATH", help="default: list them all")
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """Prints it; 2 for a name that nobody knows."""
    if args.name is None:
        return _list(args)
    text = explained(args.name)
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "name": args.name, "text": text})
    else:
        print("\n".join(_wrapped(line) for line in text.splitlines()))
    return 0


def _wrapped(line: str) -> str:
    """A long line broken under its second column."""
    import re
    import shutil
    import textwrap

    column = re.match(r" *\S+  +", line)
    indent = " " * len(column[0]) if column else "  "
    width = min(120, max(60, shutil.get_terminal_size((120, 24)).columns))
    return textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def explained(name: str) -> str:
    """What a kind or a path is made of. Raises Usage naming the nearest."""
    from chaos_runner import configure, files
    from chaos_runner.cli import schema
    from chaos_runner.cli.trouble import Usage
    from chaos_runner.load import explain

    try:
        text = explain.explain(name, types=schema.types(), kinds=files.kinds(), parsed=configure.parsers())
    except LookupError as why:
        raise Usage(str(why.args[0])) from None
    probes = files.kinds()["probe"]
    return text + (f"\n\nmetrics of the probe:\n{_metric_lines(name)}" if name in probes else "")


def metrics(kind: str) -> dict[str, Any]:
    """Metric -> what it is, for every way the probe can be used."""
    from chaos_runner import registry
    from chaos_runner.cli import blank

    cls = registry.probes[kind]
    ways = [blank.of(cls), *(blank.of(cls, **{key: 60.0}) for key in ("rate", "range") if blank.has(cls, key))]
    return {metric.name: metric for way in ways for metric in way.metrics()}


def _metric_lines(kind: str) -> str:
    known = metrics(kind)
    width = max(len(name) for name in known)
    return "\n".join(f"  {name:<{width}}  {one.doc}" for name, one in known.items())


def listing() -> dict[str, dict[str, str]]:
    """Sort -> kind -> its first sentence."""
    from chaos_runner import files
    from chaos_runner.cli import schema
    from chaos_runner.load.schema import summary

    kinds: dict[str, Any] = {f"{sort}s": known for sort, known in files.kinds().items()}
    found = {sort: {name: summary(known[name]) for name in known} for sort, known in kinds.items()}
    return found | {"files": {name: summary(type_) for name, type_ in schema.types().items()}}


def _list(args: argparse.Namespace) -> int:
    from chaos_runner import registry

    registry.faults.find_all()
    registry.probes.find_all()
    registry.notifiers.find_all()
    known = listing()
    if args.output == "json":
        common.write_json({"schemaVersion": 1, **known})
        return 0
    width = max(len(name) for names in known.values() for name in names)
    for sort, names in known.items():
        print(f"{sort}:")
        for name, said in names.items():
            print(f"  {name:<{width}}  {said.split('. ')[0].rstrip('.')}")
    print("\nnext: chaos-runner explain NAME, or a part of a file: chaos-runner explain experiment.abort")
    return 0
