"""One server, the doors to it, and programs that die on purpose; and what somebody who is none of ours sees then.

The observer reads the API with http.client, past the doors, and the ledger with sqlite3.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.crash import tracer
from tests.crash.relay import Relay
from tests.crash.tracer import Where
from tests.guardian.runner import RUN
from tests.proxy import toxi

ROOT = Path(__file__).parents[2]
MARK = f"cx.{RUN}.0.4102444800"
GONE = {"UNDONE", "WATCHING", "CLOSED"}  # what the ledger says of a fault that was read as gone
START_S, DEATH_S, SETTLE_S = 20.0, 25.0, 15.0
LOOK_S = 0.004
THEIRS = {"name": "theirs", "type": "latency", "stream": "upstream", "toxicity": 1, "attributes": {"latency": 1}}


class Ledger:
    """What a state folder's ledger says, read by SQLite alone."""

    def __init__(self, state: Path) -> None:
        self.path = state / "ledger.sqlite"
        self.damage = ""

    def ask(self, words: str) -> list[Any]:
        if not self.path.exists():
            return []
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=5)) as con:
                return con.execute(words).fetchall()
        except sqlite3.OperationalError:  # no table yet, or not one commit
            return []
        except sqlite3.DatabaseError as why:
            self.damage = str(why)
            return []

    def fault(self) -> str:
        """The state of the one fault; empty where there is none."""
        return next((state for (state,) in self.ask("SELECT state FROM fault")), "")

    def run(self) -> str:
        return next((state for (state,) in self.ask("SELECT state FROM run")), "")

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for (payload,) in self.ask("SELECT payload FROM record ORDER BY seq")]


class Slot:
    """A server with a proxy `p`, and two things of other people's: a toxic on it, and a proxy that is disabled."""

    def __init__(self, folder: Path, kind: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.kind = folder, kind
        start = toxi.start_real if kind == "real" else _embedded
        self.api = start(folder / "proxy.log")
        self.api.make("p")
        self.api.make("other", enabled=False)
        self.api("POST", "/proxies/p/toxics", THEIRS)
        self.relay = Relay(self.api.port, lambda: self.ledger.fault() not in {"", "CLOSED"})
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.program"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
        )  # fmt: skip
        self.before = self.others()
        self._points = 0
        self.fresh()

    def fresh(self, template: Path | None = None) -> None:
        """A state folder of its own, a server without us, an empty log."""
        assert self.relay.quiet(), "a request never came through"
        self._points += 1
        self.state = self.folder / f"state-{self._points}"
        shutil.rmtree(self.folder / f"state-{self._points - 2}", ignore_errors=True)
        if template is not None:
            shutil.copytree(template, self.state)
        else:
            self.state.mkdir(mode=0o700)
        self.ledger = Ledger(self.state)
        self.log = self.state / "said.log"
        for toxic in filter(_ours, self.proxy()["toxics"]):
            self.api("DELETE", f"/proxies/p/toxics/{toxic['name']}")
        self.api("DELETE", f"/chaos-runner/v1/leases/{RUN}")
        self.relay.forget()

    def start(self, what: str, *, beats: int = 3, lease_s: float = 0.0) -> int:
        """A child, stopped before its first step."""
        asked = {"what": what, "state": str(self.state), "log": str(self.log), "doors": self.relay.doors}
        pid: int = self._ask({**asked, "beats": beats, "lease_s": lease_s})["pid"]
        assert tracer.until(lambda: _state(pid) == "T", START_S)
        return pid

    def play(
        self, what: str, where: Where | None = None, *, trace: Path | None = None, limit_s: float = DEATH_S
    ) -> tuple[int, float]:
        """A child from its first step to its end: its exit code, and when it ended."""
        pid = self.start(what)
        options = where.options() if where else []
        out = trace or self.state / "trace"
        with tracer.attached(pid, options, out) if where or trace else contextlib.nullcontext():
            os.kill(pid, signal.SIGCONT)
            return self.ended(pid, limit_s)

    def ended(self, pid: int, limit_s: float = DEATH_S) -> tuple[int, float]:
        """Waits for its end; 99 for one that had to be killed by us."""
        with contextlib.closing(_Pid(pid)) as handle:
            well = handle.dead(limit_s)
            died = time.monotonic()
            if not well:
                handle.kill()
                handle.dead(5)
        codes: dict[str, int] = {}
        tracer.until(lambda: str(pid) in codes or codes.update(self._ask({"what": "reap"})["ended"]), 5)
        return codes.get(str(pid), -1) if well else 99, died

    def living(self) -> list[int]:
        """The children, and those who became orphans here."""
        return list(self._ask({"what": "reap"})["living"])

    def clear(self) -> None:
        """Kills what lives; each is a descendant of ours."""
        for pid in self.living():
            with contextlib.suppress(ProcessLookupError), contextlib.closing(_Pid(pid)) as handle:
                handle.kill()
                handle.dead(5)
        assert not self.living()

    def said(self) -> dict[str, Any]:
        """All that the child said on its lines."""
        told: dict[str, Any] = {}
        for line in self.log.read_text().splitlines() if self.log.exists() else ():
            for words in re.findall(r"\{[^{}]*\}", line):  # two on one line, where somebody died before its end
                with contextlib.suppress(json.JSONDecodeError):
                    told |= json.loads(words)
        return told

    def proxy(self) -> dict[str, Any]:
        """The proxy as somebody else sees it; empty where it is gone."""
        answer = self.api("GET", "/proxies/p")
        return answer.json if answer.status == 200 else {}

    def harm(self) -> bool:
        """Whether our fault is on the target."""
        return any(_ours(one) and one["type"] != "noop" for one in self.proxy().get("toxics", ()))

    def others(self) -> str:
        """Everything that is not ours."""
        seen = {name: dict(proxy) for name, proxy in self.api("GET", "/proxies").json.items()}
        for proxy in seen.values():
            proxy["toxics"] = [one for one in proxy["toxics"] if not _ours(one)]
        return json.dumps(seen, sort_keys=True)

    def lay(self) -> None:
        """The fault of a dead run, put on the target by hand."""
        self.api("PUT", f"/chaos-runner/v1/leases/{RUN}", {"ttl": 3600})
        toxic = {"name": MARK, "type": "latency", "stream": "downstream", "toxicity": 1}
        assert self.api("POST", "/proxies/p/toxics", toxic | {"attributes": {"latency": 50, "jitter": 0}}).status == 200

    def _ask(self, words: dict[str, Any]) -> dict[str, Any]:
        pipe, out = self._zygote.stdin, self._zygote.stdout
        assert pipe is not None
        assert out is not None
        pipe.write(json.dumps(words).encode() + b"\n")
        pipe.flush()
        assert select.select([out], [], [], START_S)[0], "no answer from the program"
        return json.loads(out.readline())

    def close(self) -> None:
        with contextlib.ExitStack() as stack:  # all of it, whatever goes wrong with one
            stack.callback(toxi.stop, self.api)
            stack.callback(self.relay.close)
            stack.callback(self._end)
            self.clear()

    def _end(self) -> None:
        for pipe in (self._zygote.stdin, self._zygote.stdout):
            assert pipe is not None
            pipe.close()
        self._zygote.wait(10)


def _ours(toxic: dict[str, Any]) -> bool:
    return str(toxic["name"]).startswith("cx.")


def _embedded(log: Path) -> toxi.Api:
    return toxi.start_embedded(log, env={"CHAOS_RUNNER_PROXY_TOKEN": ""})


class _Pid:
    """A process that cannot be mistaken for a later one."""

    def __init__(self, pid: int) -> None:
        self._fd = os.pidfd_open(pid)

    def dead(self, limit_s: float) -> bool:
        return bool(select.select([self._fd], [], [], limit_s)[0])

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, signal.SIGKILL)

    def close(self) -> None:
        os.close(self._fd)


def _state(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0].decode()
    return "X"
