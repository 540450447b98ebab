"""The first process of a node: puts the node's own /run and /var in place and waits. All others end with it.

python first.py OWN PROGRAMS CONTAINERS; it runs in namespaces of its own, so that nothing of this is seen outside.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path


def main() -> None:
    own, programs, containers = (Path(word) for word in sys.argv[1:])
    for source, name in ((programs, "kube"), (containers, "containers")):
        (own / "run" / name).mkdir(exist_ok=True)
        _mount("--bind", source, own / "run" / name)
    _mount("--rbind", own / "run", Path("/run"))
    _mount("--bind", own / "var", Path("/var"))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who comes to be its child is reaped by the system
    Path("/var/node/begun").touch()
    while True:
        signal.pause()


def _mount(kind: str, source: Path, target: Path) -> None:
    subprocess.run(["mount", kind, str(source), str(target)], check=True)


if __name__ == "__main__":
    main()
