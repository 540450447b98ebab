"""`report index`: the static site of all runs."""

from __future__ import annotations

import argparse

from chaos_runner.cli import common


def run(args: argparse.Namespace) -> int:
    """Writes what has changed since the last time; prints where the site begins."""
    from chaos_runner.cli import site
    from chaos_runner.cli.trouble import Usage

    try:
        built = site.build(common.state_dir(args), args.reports)
    except OSError as why:
        msg = f"{why.filename or args.reports} cannot be written: {(why.strerror or str(why)).lower()}"
        raise Usage(msg) from None
    print(built.first)
    lost = f"; {built.unreadable} cannot be read, and are listed as that" if built.unreadable else ""
    common.tell(f"{built.runs} runs ({built.digested} new){lost}; {built.written} of {built.pages} pages were written")
    return 0
