"""One experiment on one shop of its own: a world, a state folder, the command line, and what was seen of it all.

Used by these tests and by tools/soak_demo.py; asks nothing of pytest.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec

from chaos_runner import conduct
from chaos_runner.history import Run
from chaos_runner.pocket import demo, world
from tests.demo import observer

ENVIRONMENTS = {mode: name for name, mode in demo.WORLDS.items()}
RUN_WITHIN_S = 180.0
SETTLED_WITHIN_S = 40.0  # payments as pods charge sixty orders a second
GONE_WITHIN_S = 3.0


Beside = Callable[[world.World], contextlib.AbstractContextManager[None]]


class Payments(NamedTuple):
    """The processes of payments: how many there were, at the least and in the end, and how many of them are new."""

    before: int
    least: int
    after: int
    new: int


class Seen(NamedTuple):
    """What came of it. `left` are sentences about things that should not be there any more.

    `again` says why it is the second of two trials.
    """

    headline: str
    code: int
    why: str
    said: str
    run: Run | None
    harmed_s: float
    processes: int
    orders: dict[str, int]
    payments: Payments
    left: tuple[str, ...]
    took_s: float
    again: str = ""

    def affected(self) -> float:
        """Streams that the proxies' counters call affected, over all faults; for a refusing proxy those before it."""
        figures = [evidence.figures for evidence in self.run.evidence] if self.run else []
        return sum(figure.get("affected", figure.get("connections", 0.0)) for figure in figures)

    def proofs(self) -> list[str]:
        """How the effect of each fault was shown."""
        return [f"{fault.confirmed_how}: {fault.evidence}" for fault in self.run.faults.values()] if self.run else []


def short_copy(file: Path, folder: Path, seconds: dict[str, str]) -> Path:
    """A copy of a bundled file, with its shared checks, where `baseline` and `for` are shorter; nothing else is."""
    copy = folder / file.name
    shutil.copytree(file.parent / "checks", folder / "checks", dirs_exist_ok=True)
    text = file.read_text(encoding="utf-8")
    for key, value in seconds.items():
        text, changed = re.subn(rf"(?m)^( *{key}: ).*$", rf"\g<1>{value}", text)
        assert changed, f"{file.name} says nothing about {key}"
    copy.write_text(text, encoding="utf-8")
    return copy


def without_fault(file: Path, folder: Path, seconds: dict[str, str] | None = None) -> Path:
    """The same experiment with the fault taken out of the file."""
    copy = short_copy(file, folder, seconds or {})
    text, changed = re.subn(r"(?ms)^method:\n.*?(?=^\S)", "method: []\n\n", copy.read_text(encoding="utf-8"))
    assert changed == 1
    text = re.sub(r"(?m)^ *keep_available:.*\n", "", text)  # refused where no fault could be judged by it
    copy.write_text(text, encoding="utf-8")
    return copy


def go(file: Path, mode: str, folder: Path, beside: Beside | None = None, *, pods: bool = False) -> Seen:
    """Runs the file on a fresh shop of this mode and looks at everything; the world is gone when this returns."""
    began = time.monotonic()
    with World(mode, _cluster(folder) if pods else None) as fresh:
        seen = on(fresh.shop, file, folder, beside)
    return seen._replace(left=seen.left + fresh.left, took_s=time.monotonic() - began)


class World:
    """A shop of this mode; once it has ended, `left` says what of it has not."""

    def __init__(self, mode: str, cluster: Path | None = None) -> None:
        self.shop = world.start_world(mode, cluster=cluster)
        self.left: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shop = self.shop
        proxies = observer.get(shop.toxiproxy, "/proxies").values()
        # Services of a cluster have addresses of their own, and their ports in common with those of other clusters.
        ours = [url for url in (shop.toxiproxy, *shop.services.values()) if "//127.0.0.1:" in url]
        ports = {observer.port_of(url) for url in (*ours, *(proxy["listen"] for proxy in proxies))}
        whole = observer.family(shop.info.pid)
        shop.close()
        left = [f"process {pid} of the world" for pid, _ in _still(whole)]
        left += [f"a listener on port {port}" for port in sorted(ports & observer.listeners())]
        self.left = tuple(left)


def on(shop: world.World, file: Path, folder: Path, beside: Beside | None = None) -> Seen:
    """Runs the file on this shop, and looks at everything; the world goes on. Orders are those since then."""
    began, before = time.monotonic(), _settled(shop)
    name(shop, folder / "state")
    with beside(shop) if beside else contextlib.nullcontext():
        code, answer, said, watch = _run(file, shop, folder)
    after = _settled(shop)
    left = [*observer.harm(shop.toxiproxy), *observer.open_rows(folder / "state")]
    left += [f"process {pid} of the run" for pid, _ in _still(watch.family)]
    whole, payments = observer.family(shop.info.pid), observer.payments(shop.info.pid)
    left += [f"process {pid} of the world is frozen" for pid, _ in whole if observer.stat(pid)[0] == "T"]
    return Seen(
        headline=answer.get("headline", "NOT_STARTED"),
        code=code,
        why=answer.get("outcome", {}).get("why", ""),
        said=f"{said}\n{_guardian_said(folder)}".strip(),
        run=conduct.past(answer["run"], folder / "state") if "run" in answer else None,
        harmed_s=watch.harmed_s,
        processes=len(watch.family),
        orders={what: count - before[what] for what, count in after.items()} | {"waiting": after["waiting"]},
        payments=Payments(len(watch.payments), watch.payments_least, len(payments), len(payments - watch.payments)),
        left=tuple(left),
        took_s=time.monotonic() - began,
    )


def _cluster(folder: Path) -> Path:
    home = folder / "cluster"
    home.mkdir(mode=0o700)
    return home


def _guardian_said(folder: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8") for log in (folder / "state").glob("guardian-*.log"))


def name(shop: world.World, state: Path) -> None:
    """Writes the file by which the command line finds the demo's worlds."""
    state.mkdir(mode=0o700)
    found = demo.DemoState(demo.VERSION, {ENVIRONMENTS[shop.info.mode]: shop.info})
    world.write_private(state / demo.FILE, msgspec.json.encode(found))


def _run(file: Path, shop: world.World, folder: Path) -> tuple[int, dict[str, Any], str, observer.Watch]:
    argv = [sys.executable, "-P", "-m", "chaos_runner", "run", str(file), "-e", ENVIRONMENTS[shop.info.mode]]
    argv += ["--state", str(folder / "state"), "--reports", str(folder / "reports"), "-o", "json"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=world.environment(), cwd=folder
    ) as runner:
        watch = observer.Watch(shop.toxiproxy, shop.info.pid, runner.pid)
        with watch.watching():
            try:
                out, said = runner.communicate(timeout=RUN_WITHIN_S)
            except BaseException:
                runner.terminate()  # it undoes first
                raise
    return runner.returncode, json.loads(out) if out.strip() else {}, said, watch


def _settled(shop: world.World) -> dict[str, int]:
    """The shop's orders once none waits any more, or the time for that is over."""
    orders: dict[str, int] = {}

    def done() -> bool:
        orders.update(observer.get(shop.services["checkout"], "/orders"))
        return not orders["waiting"]

    observer.until(done, SETTLED_WITHIN_S)
    return orders


def _still(processes: set[observer.Process]) -> list[observer.Process]:
    def living() -> list[observer.Process]:
        return [process for process in processes if observer.lives(process)]

    observer.until(lambda: not living(), GONE_WITHIN_S)
    return living()
