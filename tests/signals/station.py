"""A demo shop that is watched: its world, a real Prometheus that scrapes it every second, a real Alertmanager.

The rules are those in deploy/monitoring, with three more that no one should have: one broken, two that always fire.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from chaos_runner.pocket import world
from tests.demo import observer
from tests.proxy import toxi

MONITORING = Path(__file__).resolve().parents[2] / "deploy" / "monitoring"
PROMETHEUS = shutil.which("prometheus")
ALERTMANAGER = shutil.which("prometheus-alertmanager")
BROKEN = {
    "alert": "CatalogSlow",  # `result` is misspelt: nobody will ever hear of it
    "expr": 'sum(rate(shop_link_calls_total{link="catalog",resutl="timeout"}[10s])) > 0',
}
STUCK = {"alert": "StuckOn", "expr": "vector(1)", "labels": {"severity": "noise"}}
READY_S = 30.0
RUN_WITHIN_S = 150.0


def missing() -> str:
    """What is not installed, as a reason to skip."""
    lacking = [name for name, at in (("prometheus", PROMETHEUS), ("prometheus-alertmanager", ALERTMANAGER)) if not at]
    return f"no {' and no '.join(lacking)}: `make real` installs both" if lacking else ""


class Server:
    """One server that can be stopped and started again over its own files."""

    def __init__(self, name: str, argv: list[str], port: int, ready: str, folder: Path) -> None:
        self.name, self.argv, self.port, self.ready = name, argv, port, ready
        self.url = f"http://{toxi.LOOP}:{port}"
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.argv, stdout=log, stderr=log, cwd=self.log.parent)
        toxi.wait_until(self._is_ready, READY_S)

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        with contextlib.suppress(OSError), urllib.request.urlopen(self.url + self.ready, timeout=2) as answer:
            return bool(answer.status == 200)
        return False

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)

    def get(self, path: str, **query: str) -> Any:
        url = f"{self.url}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.loads(answer.read())

    def post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            self.url + path, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read())


class Station:
    """Everything that stands around the runs of this suite."""

    def __init__(self, folder: Path, shop: world.World, prometheus: Server, alertmanager: Server) -> None:
        self.folder, self.shop, self.prometheus, self.alertmanager = folder, shop, prometheus, alertmanager

    def value(self, query: str) -> list[Any]:
        return list(self.prometheus.get("/api/v1/query", query=query)["data"]["result"])

    def alerts(self) -> list[str]:
        return [one["labels"]["alertname"] for one in self.alertmanager.get("/api/v2/alerts")]

    def harmed(self) -> list[str]:
        return observer.harm(self.shop.toxiproxy)

    def place(self, name: str, **changes: Any) -> Path:
        """A folder of its own with the configuration and the experiment of deploy/monitoring, made shorter."""
        folder = self.folder / name
        folder.mkdir()
        config = yaml.safe_load((MONITORING / "chaos-runner.yaml").read_text())
        demo = config["environments"]["demo-resilient"]
        demo["toxiproxy"] = {"url": self.shop.toxiproxy}
        demo["services"] = dict(self.shop.services)
        demo["prometheus"]["url"] = self.prometheus.url
        demo["alertmanager"]["url"] = self.alertmanager.url
        demo["ceilings"] = {"runs_at_once": 5}
        demo |= changes.pop("environment", {})
        (folder / "chaos-runner.yaml").write_text(yaml.safe_dump(config))
        experiment = yaml.safe_load((MONITORING / "slow-payments-is-noticed.yaml").read_text())
        experiment["steady_state"]["shoppers"]["with"]["rate"] = "50/s"
        experiment |= {"name": name, "baseline": "8s"} | changes
        (folder / "experiment.yaml").write_text(yaml.safe_dump(experiment))
        return folder

    def start(self, folder: Path, command: str = "run") -> subprocess.Popen[str]:
        argv = [
            sys.executable,
            "-P",
            "-m",
            "chaos_runner",
            command,
            str(folder / "experiment.yaml"),
            "-e",
            "demo-resilient",
        ]
        argv += ["--state", str(folder / "state"), "-o", "json"]
        return subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=world.environment()
        )

    def run(self, folder: Path, command: str = "run") -> tuple[int, dict[str, Any], str]:
        return ended(self.start(folder, command))


def ended(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    """The exit code, the answer and what was said."""
    try:
        out, said = process.communicate(timeout=RUN_WITHIN_S)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)
    return process.returncode, json.loads(out) if out.strip().startswith("{") else {}, said


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Station]:
    """The shop, its Prometheus and its Alertmanager, ready and scraped, with shoppers in it."""
    with world.start_world("resilient") as shop, contextlib.ExitStack() as stack:
        manager, prometheus = _alertmanager(folder), toxi.free_port()
        server = _prometheus(folder, prometheus, manager.port, shop)
        for one in (manager, server):
            stack.callback(one.stop)
            one.start()
        stack.enter_context(_shoppers(shop.shop))
        station = Station(folder, shop, server, manager)
        toxi.wait_until(lambda: bool(station.value("sum(rate(shop_orders_total[10s])) > 1")), READY_S)
        toxi.wait_until(lambda: {"Watchdog", "StuckOn"} <= set(station.alerts()), READY_S)
        yield station


def _alertmanager(folder: Path) -> Server:
    assert ALERTMANAGER is not None
    port = toxi.free_port()
    argv = [ALERTMANAGER, f"--config.file={MONITORING / 'alertmanager.yml'}", f"--storage.path={folder / 'am'}"]
    argv += [f"--web.listen-address={toxi.LOOP}:{port}", "--cluster.listen-address="]
    return Server("alertmanager", argv, port, "/-/ready", folder)


def _prometheus(folder: Path, port: int, manager: int, shop: world.World) -> Server:
    assert PROMETHEUS is not None
    rules = yaml.safe_load((MONITORING / "shop.rules.yml").read_text())
    rules["groups"][0]["rules"] += [BROKEN, STUCK]
    (folder / "shop.rules.yml").write_text(yaml.safe_dump(rules))
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"{toxi.LOOP}:{manager}"]
    targets = [shop.services["checkout"].removeprefix("http://")]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = targets
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    argv = [PROMETHEUS, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    argv += [f"--web.listen-address={toxi.LOOP}:{port}", "--rules.alert.resend-delay=2s"]
    return Server("prometheus", argv, port, "/-/ready", folder)


@contextlib.contextmanager
def _shoppers(url: str) -> Iterator[None]:
    """A few orders a second, so that rates are never nothing divided by nothing."""
    over = threading.Event()

    def shop() -> None:
        while not over.wait(0.2):
            request = urllib.request.Request(url + "/checkout", data=b"{}", method="POST")
            with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=3) as answer:
                answer.read()

    thread = threading.Thread(target=shop)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


def wait(holds: Any, limit_s: float = 30.0) -> None:
    """Waits until it holds."""
    toxi.wait_until(holds, limit_s)


def now() -> float:
    return time.time()
