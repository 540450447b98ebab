"""Measures the site of all runs: 5 000 runs, made by the engine in virtual time, with their records in a real ledger.

1. The site from nothing: every digest made, every page written.
2. One more run: its digest, and the pages that it changes; then the bytes against those of a full rebuild.
3. What `run` pays: loading and rehearsing before the baseline, and its step at the end.
4. In Chromium, where there is one: a filter over all runs, from the event to the laid out table.

Prints each figure with its limit, and exits 1 where one is missed. Wall times are those of this machine as it is:
its load is printed with them, and CPU times beside them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tools"))

from bench_load import Table  # noqa: E402

from chaos_runner import store  # noqa: E402
from chaos_runner.cli import site  # noqa: E402
from chaos_runner.review.digest import DIGEST_VERSION  # noqa: E402
from tests.browser.chromium import Browser  # noqa: E402
from tools import many_runs  # noqa: E402

RUNS = 5000
COLD_S, STEP_S, FILTER_MS = 10.0, 1.0, 50.0
FILTERS = (
    {"service": "checkout"},
    {"verdict": "ABORTED"},
    {"class": "hang", "verdict": "HELD"},
    {"from": "2026-03-01", "to": "2026-04-01"},
    {"service": "search", "verdict": "DEVIATED", "from": "2026-02-01"},
    {},
)
TIMES = 5
FILTER = """((want) => {
  const form = document.getElementById("filter");
  const begun = performance.now();
  for (const name of ["experiment", "service", "verdict", "class", "from", "to"])
    form.elements[name].value = want[name] || "";
  form.dispatchEvent(new Event("change"));
  document.body.offsetHeight;
  return performance.now() - begun;
})(%s)"""


class Took(NamedTuple):
    """How long something took, of a clock and of the processors."""

    wall_s: float
    cpu_s: float

    def __str__(self) -> str:
        return f"{self.wall_s:.2f} s ({self.cpu_s:.2f} s of CPU)"


def took(work: Callable[[], object]) -> Took:
    """Runs it."""
    wall, before = time.monotonic(), os.times()
    work()
    after = os.times()
    return Took(time.monotonic() - wall, sum(after[:4]) - sum(before[:4]))


def main() -> None:
    """Measures; exits 1 where a limit is missed."""
    asked = argparse.ArgumentParser(description="Measure the site of all runs.")
    asked.add_argument("--runs", type=int, default=RUNS)
    asked.add_argument("--state", type=Path, help="runs that tools/many_runs.py made; they stay (default: made now)")
    told = asked.parse_args()
    table = Table()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        _measured(table, Path(folder), told.runs, told.state)
    print(f"load of this machine: {', '.join(f'{one:.1f}' for one in os.getloadavg())} on {os.cpu_count()} cores")
    sys.exit(1 if table.failed else 0)


def _measured(table: Table, folder: Path, count: int, kept: Path | None) -> None:
    state = folder / ".chaos-runner"
    if kept is None:
        made = took(lambda: many_runs.fill(state, count))
        table.row(f"{count} runs in virtual time", str(made), "")
    else:
        shutil.copytree(kept, state)
        _forgotten(state)
    with store.open_store(state, read_only=True) as ledger:
        count = len(ledger.runs(limit=site.RUNS_MAX))
    now = many_runs.START + count * many_runs.DAY / 16

    def limited(what: str, one: Took, most: float) -> None:
        table.row(what, str(one), f"{most:g} s", one.wall_s <= most)

    limited(f"the site of {count} runs, from nothing", took(lambda: site.build(state, folder / "a", now)), COLD_S)
    many_runs.fill(state, 1, first=count)
    limited("one more run", took(lambda: site.build(state, folder / "a", now)), STEP_S)
    limited("nothing new", took(lambda: site.build(state, folder / "a", now)), STEP_S)
    limited("all pages, with digests at hand", took(lambda: site.build(state, folder / "b", now)), COLD_S)
    same = _files(folder / "a") == _files(folder / "b")
    table.row("bytes against a full rebuild", "the same" if same else "NOT the same", "the same", same)
    table.row("before the baseline of each run: loading the site", str(took(_loaded)), "")
    files = _files(folder / "a")
    table.row("files, bytes of all and of the first page", f"{len(files)}, {sum(map(len, files.values())):,}, "
              f"{len(files['index.html']):,}", "")  # fmt: skip
    _in_browser(table, folder)


def _forgotten(state: Path) -> None:
    """A ledger without digests: as if no site had ever been made of it."""
    import sqlite3

    with sqlite3.connect(state / "ledger.sqlite") as con:
        con.execute("DELETE FROM digest WHERE version = ?", (DIGEST_VERSION,))


def _loaded() -> None:
    """In a process of its own: what is loaded is loaded once."""
    code = "import chaos_runner.cli.site as s; s.rehearse()"
    os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code])


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def _browser() -> Iterator[Browser | None]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, Browser(program, Path(folder)) as browser:
        yield browser


def _in_browser(table: Table, folder: Path) -> None:
    import json

    with _browser() as browser:
        if browser is None:
            table.row("filters in Chromium", "NOT measured: there is none here", f"{FILTER_MS:g} ms", ok=False)
            return
        browser.open(folder / "a/index.html")
        opened = browser.value("performance.getEntriesByType('navigation')[0].domComplete")
        times = [float(browser.value(FILTER % json.dumps(want))) for _ in range(TIMES) for want in FILTERS]
        table.row("the first page is there", f"{opened:.0f} ms", "")
        middle, worst = statistics.median(times), max(times)
        table.row("a filter, median and worst of 30", f"{middle:.1f} ms, {worst:.1f} ms", f"{FILTER_MS:g} ms",
                  middle <= FILTER_MS)  # fmt: skip


if __name__ == "__main__":
    main()
