"""`python -m chaos_runner.worker [asyncio]`: a load worker on stdin and stdout. uvloop where it is installed."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable

from chaos_runner.worker.session import Session


def main(argv: list[str]) -> None:
    """Runs one load and ends the process."""
    name, new_loop = _loop("asyncio" if argv == ["asyncio"] else "uvloop")
    gc.freeze()  # what is imported stays: a collection during the load has little to look at
    with asyncio.Runner(loop_factory=new_loop) as runner:
        code, why = runner.run(_run(name))
        if why:
            sys.stderr.write(why + "\n")
            sys.stderr.flush()
        # Leaving in the ordinary way would wait for name lookups that hang in threads.
        os._exit(code)


async def _run(loop_name: str) -> tuple[int, str]:
    return await Session(sys.stdin.fileno(), sys.stdout.fileno(), loop_name).over


def _loop(wanted: str) -> tuple[str, Callable[[], asyncio.AbstractEventLoop]]:
    if wanted == "uvloop":
        try:
            import uvloop
        except ImportError:
            pass
        else:
            return "uvloop", uvloop.new_event_loop
    return "asyncio", asyncio.new_event_loop


if __name__ == "__main__":
    main(sys.argv[1:])
