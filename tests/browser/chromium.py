"""Chromium over its debugging pipe: no port, no client library, one page at a time."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import time
from pathlib import Path
from typing import Any, Self

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
ANSWER_S = 60.0


class Browser:
    """One Chromium with one page; `events` holds everything the page said."""

    def __init__(self, program: str, folder: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # the browser reads from descriptor 3 and writes to 4; copies from 100 up cannot be in the way of those
        ends = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 100) for one in (theirs_in, theirs_out)]
        actions = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in (0, 1, 2)]
        actions += [(os.POSIX_SPAWN_DUP2, end, n) for n, end in enumerate(ends, 3)]
        command = [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        self._pid = os.posix_spawn(program, command, os.environ, file_actions=actions)
        for one in (theirs_in, theirs_out, *ends):
            os.close(one)
        self._rest, self._count, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        try:
            target = self.ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Log", "Runtime", "Network"):
                self.ask(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGTERM)
        deadline = time.monotonic() + 10
        while os.waitpid(self._pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(self._pid, signal.SIGKILL)
            time.sleep(0.05)
        os.close(self._in)
        os.close(self._out)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one command."""
        self._count += 1
        wanted = self._count
        told: dict[str, Any] = {"id": wanted, "method": method, "params": params}
        if self._session:
            told["sessionId"] = self._session
        os.write(self._out, json.dumps(told).encode() + b"\0")
        deadline = time.monotonic() + ANSWER_S
        while True:
            message = self._next(deadline)
            if message.get("id") == wanted:
                assert "error" not in message, message
                return dict(message["result"])
            self.events.append(message)

    def open(self, page: Path) -> None:
        """Loads a file and waits until it is there."""
        self.events.clear()
        self.ask("Page.navigate", url=page.as_uri())
        deadline = time.monotonic() + ANSWER_S
        while not any(one.get("method") == "Page.loadEventFired" for one in self.events):
            self.events.append(self._next(deadline))

    def value(self, expression: str) -> Any:
        """What an expression is worth on the page."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def complaints(self) -> list[str]:
        """What the page logged, and every exception."""
        kinds = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [json.dumps(one["params"]) for one in self.events if one.get("method") in kinds]

    def requests(self) -> list[str]:
        """Every address the page asked for."""
        return [
            one["params"]["request"]["url"] for one in self.events if one.get("method") == "Network.requestWillBeSent"
        ]

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._in], [], [], max(0.0, left))
            chunk = os.read(self._in, 1 << 20) if ready else b""
            if not chunk:
                msg = "the browser did not answer" if not ready else "the browser ended"
                raise TimeoutError(msg)
            self._rest += chunk
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))
