"""Which console somebody gets: the full one on a terminal where Textual is installed, else plain lines."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

MISSING = "plain lines: for the full console, `pip install 'chaos-runner[console]'`"


def attach(state_dir: Path, day_id: str, who: str, *, lines: bool = False) -> int:
    """Shows a day and takes words for it, until it ends or somebody leaves; the exit code."""
    terminal = all(os.isatty(fd) for fd in (0, 1)) and os.environ.get("TERM", "dumb") != "dumb"
    if terminal and not lines:
        if has_textual():
            from chaos_runner.console import textual

            return textual.attach(state_dir, day_id, who)
        sys.stderr.write(f"{MISSING}\n")
    from chaos_runner.console import plain

    return plain.attach(state_dir, day_id, who)


def has_textual() -> bool:
    """Whether the full console is installed."""
    try:
        return importlib.util.find_spec("textual") is not None
    except ValueError:  # somebody took it out of this process
        return False
