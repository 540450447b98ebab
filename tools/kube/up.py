"""Starts the real control plane for people, or stops it: python tools/kube/up.py up|down. Leaves nothing behind.

Its folder holds a kubeconfig for each user; the programs run on loopback until `down`, or until the machine ends.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import build  # noqa: E402 - the path above is how it is found

from tests.kube import plane, real_ground  # noqa: E402
from tests.kube.ground import USERS  # noqa: E402

FOLDER = build.cache() / "kube-running"
STOP_S = 20.0


def up() -> None:
    build.build()
    try:
        FOLDER.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        sys.exit(f"it runs already, or was not stopped: make kube-down ({FOLDER})")
    began = time.monotonic()
    running = plane.Plane(FOLDER, build.folder(), USERS)
    try:
        running.start()
        ground = real_ground.RealGround(running)
    except BaseException:
        running.stop()
        shutil.rmtree(FOLDER)
        raise
    processes = {name: [process.pid, _started(process.pid)] for name, process in running.processes.items()}
    (FOLDER / "processes.json").write_text(json.dumps(processes))
    files = {user: str(running.kubeconfig(user)) for user in USERS}
    print(f"Kubernetes {build.version()} is ready after {time.monotonic() - began:.1f} s at {running.url}")
    print(f"cluster: {{kubeconfig: 'file:{files['plain']}', uid: {ground.uid}}}")
    print(f"kubectl --kubeconfig {files['admin']} get nodes")


def down() -> None:
    if not FOLDER.exists():
        print("it does not run")
        return
    file = FOLDER / "processes.json"
    processes = json.loads(file.read_text()) if file.exists() else {}
    for name, (pid, started) in reversed(processes.items()):
        _end(name, pid, started)
    shutil.rmtree(FOLDER)
    print("stopped")


def _end(name: str, pid: int, started: int) -> None:
    ends = time.monotonic() + STOP_S
    for number in (signal.SIGTERM, signal.SIGKILL):
        while _started(pid) == started:
            os.kill(pid, number)
            time.sleep(0.1)
            if time.monotonic() > ends:
                ends += STOP_S
                break
    if _started(pid) == started:
        sys.exit(f"{name} ({pid}) does not end")


def _started(pid: int) -> int:
    """When it was started, so that nobody else's process under its number is ended; 0 where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])


if __name__ == "__main__":
    {"up": up, "down": down}[sys.argv[1]]()
