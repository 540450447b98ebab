"""Turns an exception into words and an exit code. A user's mistake never shows a traceback; our bug always does."""

from __future__ import annotations

import sys
import traceback

from chaos_runner.cli.main import BUG, NOTHING_LEARNED, USAGE
from chaos_runner.load import Invalid
from chaos_runner.plan import Refusal
from chaos_runner.pocket.demo import DemoError
from chaos_runner.pocket.world import WorldError
from chaos_runner.registry import Broken
from chaos_runner.store import StoreError


class Usage(Exception):
    """The command was not called as it should be; a sentence."""


def tell(error: Exception) -> int:
    """Prints the error to stderr; its exit code."""
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        inner = error.exceptions[0]
        return tell(inner) if isinstance(inner, Exception) else BUG
    if isinstance(error, Invalid):
        print(error.text(), file=sys.stderr)
        return USAGE
    if isinstance(error, Usage):
        print(f"chaos-runner: {error}", file=sys.stderr)
        return USAGE
    if isinstance(error, Broken):
        print(f"chaos-runner: {error}; mend or remove that package", file=sys.stderr)
        return USAGE
    if isinstance(error, Refusal | StoreError | DemoError | WorldError):
        print(str(error), file=sys.stderr)
        return NOTHING_LEARNED
    traceback.print_exception(error)
    print("chaos-runner: this is a bug in chaos-runner; everything it did was undone first", file=sys.stderr)
    return BUG
