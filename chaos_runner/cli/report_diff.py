"""`report diff A B`: two runs side by side."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.review.difference import Difference

FORMATS = ("html", "text", "json")


def run(args: argparse.Namespace, first: str, second: str) -> int:
    """Writes the difference: a page, or on stdout as text or JSON. Raises Usage."""
    from chaos_runner.cli import report
    from chaos_runner.render import site

    state = common.state_dir(args)
    runs = [report.found(prefix, state) for prefix in (first, second)]
    found = _difference(state, *runs)
    kind = args.format or "text"
    content = {"html": site.as_html, "json": site.as_json, "text": _text}[kind](found)
    if args.out is None and kind == "html":
        args.out = args.reports / f"diff-{runs[0]}-{runs[1]}.html"
    if args.out is None or str(args.out) == "-":
        sys.stdout.buffer.write(content)
        return 0
    common.written(args.out, content)
    print(args.out)
    return 0


def _text(found: Difference) -> bytes:
    from chaos_runner.render import site

    return site.as_text(found).encode()


def _difference(state: Path, first: str, second: str) -> Difference:
    from chaos_runner import store
    from chaos_runner.history import fold
    from chaos_runner.render import digested
    from chaos_runner.review import difference

    sides = []
    with store.open_store(state, read_only=True) as ledger:
        for run in (first, second):
            entries = ledger.records(run)
            folded = fold(entries)
            sides.append((folded, digested.of(folded, entries, ledger.samples(run))))
    return difference.between(*sides)
