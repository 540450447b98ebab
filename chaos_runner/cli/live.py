"""What a person sees while a run goes on: one plain line a record, in the words of the report."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from chaos_runner.conduct import View
from chaos_runner.plan import Plan
from chaos_runner.records import Entry
from chaos_runner.render.words import sentence


@contextlib.contextmanager
def viewing(plan: Plan, *, events: str | None, quiet: bool, redraw: bool) -> Iterator[View]:
    """A view for this run; `events` is a file for NDJSON, `-` for stdout."""
    _ = plan, redraw
    with _events(events) as sink:

        def entry(entry: Entry) -> None:
            if sink is not None:
                sink.write(msgspec.json.encode(entry) + b"\n")
                sink.flush()
            if not quiet:
                moment = time.strftime("%H:%M:%S", time.localtime(entry.at))
                print(f"{moment} {entry.t:7.1f}s  {sentence(entry)}", file=sys.stderr, flush=True)

        def tell(text: str) -> None:
            print(text, file=sys.stderr, flush=True)

        yield View(entry=entry, status=lambda _status: None, tell=tell)


@contextlib.contextmanager
def _events(where: str | None) -> Iterator[IO[bytes] | Any]:
    if where is None:
        yield None
    elif where == "-":
        yield sys.stdout.buffer
    else:
        with Path(where).open("wb") as file:
            yield file
