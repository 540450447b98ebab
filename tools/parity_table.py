"""Runs the parity suite on the embedded proxy and the real server, and writes docs/parity.md from what it found.

`make parity`. A law that did not run on the real server cannot be written down: it needs `make real`.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.proxy.toxi import REAL  # noqa: E402

SUITE = ROOT / "tests" / "proxy" / "parity"
PAGE = ROOT / "docs" / "parity.md"
LIMIT_S = 900
LAW = re.compile(r"^def test_([apmtd])(\d+)_(\w+)\(", re.MULTILINE)
SERVERS = ("embedded", "plain", "real")
AREAS = {
    "A": "The API",
    "P": "Proxies without toxics",
    "T": "Toxics",
    "M": "Metrics",
    "D": "Deviations: where the embedded proxy differs on purpose",
}


class Law(NamedTuple):
    """One test of the suite: its id, and its sentence as the test's name says it."""

    area: str
    number: int
    words: str

    @property
    def id(self) -> str:
        return f"{self.area}{self.number}"

    @property
    def sentence(self) -> str:
        return self.words.replace("_", " ")


def laws() -> list[Law]:
    """Every law of the suite, in the order of the page."""
    found = [LAW.findall(file.read_text("utf-8")) for file in sorted(SUITE.glob("test_*.py"))]
    every = [Law(area.upper(), int(number), words) for file in found for area, number, words in file]
    return sorted(every, key=lambda law: (list(AREAS).index(law.area), law.number, law.words))


def run() -> dict[tuple[str, str], set[str]]:
    """What became of each test on each server: the outcomes of all its cases."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", str(SUITE), "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        environment = os.environ | {"REQUIRE_REAL": "1"}
        subprocess.run([*command, "-o", "junit_family=xunit1"], cwd=ROOT, env=environment, timeout=LIMIT_S, check=False)
        cases = ET.parse(report).getroot().iter("testcase")
        return collected(cases)


def collected(cases: object) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for case in cases:  # type: ignore[attr-defined]
        (server,) = [one.get("value") for one in case.iter("property") if one.get("name") == "server"]
        bad = [one.tag for one in case if one.tag in ("failure", "error", "skipped")]
        name = case.get("name").partition("[")[0].removeprefix("test_")
        found.setdefault((name, server), set()).add(bad[0] if bad else "holds")
    return found


def word(outcomes: set[str] | None) -> str:
    """One word for all cases of a law on one server; the worst."""
    if outcomes is None:
        return "–"
    for bad in ("error", "failure", "skipped"):
        if bad in outcomes:
            return {"error": "**error**", "failure": "**fails**", "skipped": "not run"}[bad]
    return "holds"


def row(law: Law, found: dict[tuple[str, str], set[str]]) -> str:
    names = {name for name, _ in found if re.fullmatch(rf"{law.area.lower()}0*{law.number}_{law.words}", name)}
    name = names.pop() if names else ""
    return f"| {law.id} | {law.sentence} | " + " | ".join(word(found.get((name, at))) for at in SERVERS) + " |"


def real_version() -> str:
    """The server's own word is `git`, whatever it was built from; the folder it was built into says more."""
    known = re.fullmatch(r"toxiproxy-([\d.]+)", REAL.parent.name)
    return f"Toxiproxy {known[1]}" if known else "a Toxiproxy server of unknown version"


def measured() -> str:
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    versions = (
        f"chaos-runner {importlib.metadata.version('chaos-runner')}",
        f"Python {platform.python_version()}",
        f"uvloop {importlib.metadata.version('uvloop')}",
        real_version(),
        platform.system(),
    )
    return f"Measured {today} with {', '.join(versions)}."


INTRO = """\
# Parity with Toxiproxy

<!-- Written by tools/parity_table.py from a run of tests/proxy/parity: run `make parity` after a change there. -->

Each line is a test of `tests/proxy/parity/`, run on the embedded proxy with uvloop, on the embedded proxy with plain
asyncio, and on the real server. Where all three say *holds*, a client cannot tell them apart by it. Times hold within
25 ms and a tenth; a time that was missed is measured again, at most twice.

"""


def page(found: dict[tuple[str, str], set[str]]) -> str:
    parts = [INTRO, measured(), "\n"]
    for area, title in AREAS.items():
        parts.append(f"\n## {title}\n\n| id | law | with uvloop | with asyncio | Toxiproxy |\n|---|---|---|---|---|\n")
        parts += [row(law, found) + "\n" for law in laws() if law.area == area]
    return "".join(parts)


def main() -> int:
    found = run()
    PAGE.write_text(page(found), "utf-8")
    bad = sorted(f"{name} on {server}" for (name, server), outcomes in found.items() if outcomes != {"holds"})
    print(f"{PAGE.relative_to(ROOT)}: {len(laws())} laws, {len(bad)} that do not hold everywhere", *bad, sep="\n  ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
