"""Throws hostile and random files at the loader and says whether it held.

    python tools/fuzz_load.py --count 20000 --seed 1

The promise: no traceback, no crash, no file that takes longer than 2 s, no process that needs more than 300 MB.
Inputs are run in child processes under a memory limit; the same seed gives the same inputs.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chaos_runner import load
from chaos_runner.config import Config
from chaos_runner.model import Experiment
from tests.load import kit

SECONDS_MAX = 2.0
BYTES_MAX = 300 * 1024 * 1024
BATCH = 500
_BATCH_SECONDS = 600
_MIB = 1024 * 1024


def hostile() -> list[bytes]:
    """Inputs that are each made to break something."""
    good = kit.GOOD.encode()
    nested = [
        opener * times
        for opener in (b"[", b"{", b"- ", b"? ", b"[{", b"{a: ", b"!!a ", b"&a ")
        for times in (64, 65, 50_000)
    ]
    deep = [b"\n".join(b" " * n + b"a:" for n in range(depth)) for depth in (63, 65, 1200)]
    bombs = [
        b"a: &a [x,x]\n" + b"".join(b"%c: &%c [*%c,*%c]\n" % (n + 1, n + 1, n, n) for n in range(97, 121)),
        b"a: &a {k: 1}\n" + b"".join(b"b%d: {<<: *a}\n" % n for n in range(1000)),
        b"!!python/object/apply:os.system ['echo hit']",
        b"%TAG ! tag:evil,2000:\n---\n!x y",
        b"%YAML 9.9\n---\na",
        b"---\n" * 200_000,
        b"a\n---\n" * 100_000,
    ]
    wide = [
        b"- \n" * 300_000,
        b"[" + b"[]," * 300_000 + b"]",
        b"[" + b"a," * 500_000 + b"]",
        b"".join(b"k%d: 1\n" % n for n in range(24_000)),
        b"".join(b"k%d: 1\n" % n for n in range(90_000)),
        b"same: 1\n" * 24_000,
        b"{" + b"a: 1, " * 24_000 + b"}",
        good + b"".join(b"hypothesi%d: 1\n" % n for n in range(20_000)),
        good.replace(b"forbid: [DataLoss]", b"forbid: [" + b"1," * 20_000 + b"]"),
        good.replace(b"[success >= 99%, p95 <= 1s]", b"[" + b"x" * 400 + b" = 1," * 2000 + b"]"),
        good.replace(b"  - pause: 10s", b"  - {puase: 1}\n" * 10_000),
        good.replace(b"  - pause: 10s", b"  - {fault: toxc, with: {a: 1}}\n" * 8_000),
        good.replace(b"type: latency", b"type: " + b"latenc" * 10_000),
        good.replace(b"name: checkout", b"name: " + b"a-" * 30_000),
    ]
    long = [
        b"a" * _MIB,
        b"a" * (_MIB + 1),
        b"a: '" + b"x" * 70_000,
        b'a: "' + b"\\u0041" * 150_000 + b'"',
        b'a: "' + b"\\\n" * 300_000 + b'"',
        b"a: |\n" + b" x\n" * 300_000,
        b"a: >\n" + b"\n" * (_MIB - 10),
        b"#" * (_MIB - 1),
        b"\n" * _MIB,
        b" " * _MIB,
        b"\t" * 100_000,
        b"\r" * _MIB,
        b"a: " + b"9" * 60_000,
        b"a: 0x" + b"f" * 60_000,
        b"a: 1e" + b"9" * 60_000,
        b"a: -." + b"1" * 60_000,
        b"? " + b"k" * 60_000 + b"\n: v",
        b"&" + b"a" * 100_000 + b" x",
        b"*" + b"a" * 100_000,
        b"!<" + b"a" * 100_000 + b"> x",
        b"a: " + b"- " * 300_000,
        b"a: " + b"b: " * 300_000,
        b"'" * _MIB,
        b'"' * _MIB,
        b"|" * _MIB,
        b"%" * _MIB,
        b": " * 500_000,
        b"]" * _MIB,
        b"a b\n" * 250_000,
    ]
    encodings = [
        good.decode().encode("utf-16"),
        good.decode().encode("utf-32"),
        good.decode().encode("utf-8-sig"),
        b"\xff" * 1000,
        b"a: \xed\xa0\x80",
        b"a: \xc0\xaf",
        b"a: \xf4\x90\x80\x80",
        b"\x00",
        b"a: \x1b]0;x\x07",
        "a: \u202e\u2066".encode(),
        b'"\\ud800"',
        b'"\\x00\\a\\e"',
        b"",
        b"\xef\xbb\xbf",
        b"\n",
        b"~",
        b"...",
        b"-",
        b"?",
        b":",
        b"- -",
        b"{}",
        b"[]",
        b"kind: experiment/v1",
        b"kind: config/v1",
        b"kind: [experiment/v1]",
        b"kind: *x",
    ]
    uses = [
        b"kind: watch/v1\nsteady_state: {a: {use: %s}}" % use
        for use in (
            b"/etc/passwd#a",
            b"../../../etc/passwd#a",
            b"x#y",
            b"'#'",
            b"a#b#c",
            b"~/x#y",
            b"'\\x\\y#z'",
            b"[1]",
            b"/dev/zero#a",
        )
    ]
    uses.append(
        b"kind: watch/v1\nsteady_state:\n" + b"".join(b"  a%d: {use: f%d.yaml#x}\n" % (n, n) for n in range(8000))
    )
    return nested + deep + bombs + wide + long + encodings + uses


_BITS = [
    *(
        "kind: experiment/v1\n",
        "method:\n",
        "- ",
        "  ",
        "\n",
        ": ",
        ", ",
        "[",
        "]",
        "{",
        "}",
        "'",
        '"',
        "|",
        ">",
        "#",
        "&a ",
        "*a ",
        "!!str ",
    ),
    *(
        "---\n",
        "...\n",
        "? ",
        "<<: ",
        "\t",
        "\r\n",
        "with: ",
        "fault: toxic\n",
        "probe: http\n",
        "expect: ",
        "p95 <= 1s",
        "30s",
        "99%",
        "20/s",
    ),
    *(
        "steady_state: ",
        "use: ",
        "~",
        "null",
        "true",
        "no",
        "010",
        "0x1F",
        ".nan",
        "-.inf",
        "1e999",
        "é",
        "𝒳",
        "\u00a0",
        "name",
        "pause: 10s\n",
    ),
]


def soup(rng: random.Random) -> bytes:
    """YAML's own bits in any order."""
    return "".join(rng.choice(_BITS) for _ in range(rng.randrange(1, 200))).encode()


def noise(rng: random.Random) -> bytes:
    """Any bytes."""
    return rng.randbytes(rng.randrange(400))


def damaged(rng: random.Random) -> bytes:
    """A good file with a few bytes, lines or pieces lost, doubled, moved or replaced."""
    data = bytearray(kit.GOOD.encode())
    for _ in range(rng.randrange(1, 6)):
        start = rng.randrange(len(data))
        end = min(len(data), start + rng.choice((1, 1, 2, 8, 40, 400)))
        piece = rng.choice((b"", bytes(data[start:end]) * 2, rng.randbytes(2), rng.choice(_BITS).encode(), soup(rng)))
        data[start:end] = piece
    return bytes(data) or b"x"


def random_input(rng: random.Random) -> bytes:
    """One random file."""
    makers: tuple[Callable[[random.Random], bytes], ...] = (soup, damaged, damaged, damaged, noise)
    return rng.choice(makers)(rng)


def inputs(seed: int, first: int, count: int) -> list[bytes]:
    """The files numbered `first` to `first + count`: the hostile ones, then random ones."""
    known = hostile()
    return [
        known[n] if n < len(known) else random_input(random.Random(f"{seed}/{n}")) for n in range(first, first + count)
    ]


def attempt(path: Path) -> str:
    """What the loader says to a file: valid, or invalid. Everything that prints problems is tried as well."""
    try:
        load.load(path, Experiment, Config, kit.Watch, kinds=kit.KINDS, parsers=kit.PARSERS)  # type: ignore[arg-type]
    except load.Invalid as invalid:
        assert invalid.problems
        text = invalid.text() + load.to_github(invalid.problems)
        assert not any(char in text for char in "\x00\x07\x1b\x7f\u202e"), "a control character reached the terminal"
        json.loads(load.to_json(invalid.problems))
        return "invalid"
    return "valid"


def child(seed: int, first: int, count: int) -> None:
    """Runs some inputs under limits; one JSON line before and one after each."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES_MAX, BYTES_MAX))
    signal.signal(signal.SIGPROF, _too_slow)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        for n, content in enumerate(inputs(seed, first, count), first):
            path.write_bytes(content)
            print(json.dumps({"begin": n}), flush=True)
            print(json.dumps({"n": n, **_measured(path)}), flush=True)
    print(json.dumps({"peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}), flush=True)


def _too_slow(*_: Any) -> None:
    raise TimeoutError


def _measured(path: Path) -> dict[str, Any]:
    signal.setitimer(signal.ITIMER_PROF, SECONDS_MAX * 3)
    began, used = time.monotonic(), time.process_time()
    try:
        said = attempt(path)
    except BaseException:  # the tool's whole point: whatever comes out is a finding
        said = traceback.format_exc(limit=-6)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return {"said": said, "wall_s": time.monotonic() - began, "cpu_s": time.process_time() - used}


def batch(seed: int, first: int, count: int) -> tuple[list[dict[str, Any]], list[str]]:
    """The lines of one child, and what went wrong with it."""
    argv = [sys.executable, __file__, "--child", "--seed", str(seed), "--first", str(first), "--count", str(count)]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=_BATCH_SECONDS, check=False)
        code, out, err = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as late:
        code, out, err = -1, late.stdout or b"", b"no end"
    lines = [json.loads(line) for line in out.splitlines() if line.endswith(b"}")]
    failures = [
        f"input {line['n']}: {line['said']}" for line in lines if line.get("said") not in (None, "valid", "invalid")
    ]
    # Somebody else may have had the processor: a hang is one of our own time.
    failures += [f"input {line['n']}: {line['cpu_s']:.1f} s" for line in lines if line.get("cpu_s", 0) > SECONDS_MAX]
    if code:
        last = max((line["begin"] for line in lines if "begin" in line), default=first)
        failures.append(f"input {last}: the process ended with {code}: {err.decode(errors='replace')[-500:]}")
    return lines, failures


def main() -> int:
    """Runs all batches and prints what came of it; 1 when the promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.seed, asked.first, asked.count)
        return 0
    return report(asked.seed, asked.first, asked.count)


def report(seed: int, first: int, count: int) -> int:
    """All batches, one after another."""
    said: Counter[str] = Counter()
    failures: list[str] = []
    slowest, peak = (0.0, -1), 0
    for start in range(first, first + count, BATCH):
        lines, wrong = batch(seed, start, min(BATCH, first + count - start))
        failures += wrong
        said.update(line["said"] for line in lines if line.get("said") in ("valid", "invalid"))
        slowest = max([slowest, *((line["cpu_s"], line["n"]) for line in lines if "cpu_s" in line)])
        peak = max([peak, *(line["peak_kib"] for line in lines if "peak_kib" in line)])
    print(f"{count} inputs, seed {seed}: {said['valid']} valid, {said['invalid']} invalid, {len(failures)} failed")
    print(
        f"slowest {slowest[0]:.2f} s (input {slowest[1]}), most memory {peak / 1024:.0f} MB (limit {BYTES_MAX // _MIB})"
    )
    print("\n".join(failures[:20]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
