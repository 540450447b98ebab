"""All trials in a process of their own, four at a time, beside the tests of everything else: they mostly wait.

`python -m tests.demo.beside FOLDER < cases`; the cases and what came of each are pickles, one a line. The process ends
with whoever holds its stdin, and its worlds with it.
"""

from __future__ import annotations

import base64
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.demo import cases, trial

AT_ONCE = 4
ROOT = Path(__file__).resolve().parents[2]


class Trials:
    """The trials under way; `seen` waits for one."""

    def __init__(self, asked: Iterable[cases.Case], folder: Path) -> None:
        self._coming: dict[cases.Case, Future[trial.Seen]] = {case: Future() for case in sorted(asked)}
        argv = [sys.executable, "-m", "tests.demo.beside", str(folder)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        assert self._process.stdin is not None
        self._process.stdin.write(_line(list(self._coming)))
        self._process.stdin.flush()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def seen(self, case: cases.Case) -> trial.Seen:
        """What came of it. Raises what it raised."""
        return self._coming[case].result()

    def close(self) -> None:
        """Ends what is still under way."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is self._process.stdout:
                self._reader.join()
            if pipe is not None:
                pipe.close()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            case, seen = _value(line)
            if isinstance(seen, BaseException):
                self._coming[case].set_exception(seen)
            else:
                self._coming[case].set_result(seen)
        for coming in self._coming.values():
            if not coming.done():
                coming.set_exception(RuntimeError("the process of the trials ended before this one"))


def main() -> None:
    """Tries what stdin says, and says what came of it."""
    folder, asked = Path(sys.argv[1]), _value(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    told = threading.Lock()

    def one(n: int, case: cases.Case) -> None:
        here = folder / f"{n:02d}-{case}"
        here.mkdir()
        seen: Any
        try:
            seen = cases.go(case, here)
        except Exception as why:
            seen = RuntimeError(f"{case}: {type(why).__name__}: {why}")
        with told:
            sys.stdout.buffer.write(_line((case, seen)))
            sys.stdout.buffer.flush()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(len(asked)), asked))


def _end_with_stdin() -> None:
    while os.read(0, 1024):  # not sys.stdin: a thread that waits in there cannot be left at the end
        pass
    os._exit(1)  # worlds end with the process that holds them


def _line(value: object) -> bytes:
    return base64.b64encode(pickle.dumps(value)) + b"\n"


def _value(line: bytes) -> Any:
    return pickle.loads(base64.b64decode(line))


if __name__ == "__main__":
    main()
