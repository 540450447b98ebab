"""The command line in a folder with one experiment on the shop's cluster."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.kube.deploy.conftest import kubeconfig
from tests.kube.deploy.site import Site

LIMIT_S = 150
EXPERIMENT = """\
kind: experiment/v1
name: e
hypothesis: it stays up
steady_state:
  up: {{probe: tcp, with: {{address: "127.0.0.1:{port}"}}, expect: [success >= 50%], interval: 500ms}}
baseline: 10s
blast_radius: {{at_once: 50, in_total: 50, max_duration: 2m}}
method:
  - {{fault: {fault}, target: {target}, with: {fields}, for: {hold}}}
recovery: {{within: 30s}}
"""
CONFIG = """\
kind: config/v1
environments:
  lab:
    cluster: {{kubeconfig: "file:{path}", uid: {uid}}}
    ceilings: {{at_once: 50, in_total: 50}}
"""


class Desk:
    """A folder, and the command line in it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    def write(self, fault: str, target: str, fields: str = "{}", hold: str = "10s") -> None:
        text = EXPERIMENT.format(port=self.port, fault=fault, target=target, fields=fields, hold=hold)
        (self.folder / "e.yaml").write_text(text)

    def start(self, *words: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "chaos_runner", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, cwd=self.folder, stdout=pipe, stderr=subprocess.STDOUT, text=True)

    def call(self, *words: str) -> tuple[int, str]:
        with self.start(*words) as process:
            try:
                said, _ = process.communicate(timeout=LIMIT_S)
            finally:
                process.kill()
        return process.returncode, said


@contextlib.contextmanager
def desk(site: Site, account: str, folder: Path) -> Iterator[Desk]:
    """For the length of a block, with something beside that is always up: the system under test."""
    path = kubeconfig(site, account, folder)
    (folder / "chaos-runner.yaml").write_text(CONFIG.format(path=path, uid=site.ground.uid))
    with socket.create_server(("127.0.0.1", 0), backlog=2000) as listener:
        yield Desk(folder, listener.getsockname()[1])


def dismiss(said: str) -> None:
    """Ends the run's guardian, which watches for a minute more what may land late."""
    found = re.search(r"Guardian ready \(pid (\d+)\)", said)
    assert found is not None, said
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(found[1]), signal.SIGKILL)
