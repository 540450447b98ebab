"""Debian's containerd, runc, network plugins and busybox, fetched by name and unpacked into the cache: not installed.

What is unpacked starts no service and changes nothing outside its folder. The versions are Debian's own; its archive
signs them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import build

PACKAGES = ("containerd", "runc", "containernetworking-plugins", "busybox-static")
PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "busybox")
PLACES = ("usr/bin", "usr/sbin", "bin", "sbin")  # where releases of Debian have them
TRIES = 3
FETCH_S = 300


def folder() -> Path:
    """Where these packages are, or will be."""
    return build.cache() / f"containers-{hashlib.sha256(' '.join((*PACKAGES, *PROGRAMS)).encode()).hexdigest()[:12]}"


def unpacked() -> Path | None:
    """The folder with all programs, where they were fetched, or where KUBE_CONTAINERS says that they are."""
    found = Path(os.environ.get("KUBE_CONTAINERS") or folder())
    return found if all((found / "programs" / name).exists() for name in PROGRAMS) else None


def fetch() -> Path:
    """Fetches and unpacks what is missing."""
    build.cache().mkdir(parents=True, exist_ok=True)
    with (build.cache() / "kube-parts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        there = unpacked()
        if there is not None:
            return there
        scratch = folder().with_suffix(".fetching")
        shutil.rmtree(scratch, ignore_errors=True)
        (scratch / "packages").mkdir(parents=True)
        _download(scratch / "packages")
        for package in sorted((scratch / "packages").glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", str(package), str(scratch / "root")], check=True, timeout=FETCH_S)
        _gather(scratch / "root")
        shutil.rmtree(folder(), ignore_errors=True)
        (scratch / "root").rename(folder())
        shutil.rmtree(scratch)
    print(f"fetched {', '.join(PACKAGES)}: {folder()}", flush=True)
    return folder()


def _gather(root: Path) -> None:
    (root / "programs").mkdir()
    for name in PROGRAMS:
        found = [place for place in PLACES if (root / place / name).exists()]
        if not found:
            raise SystemExit(f"{name} is not in {', '.join(PACKAGES)}")
        (root / "programs" / name).symlink_to(Path("..", found[0], name))


def _download(into: Path) -> None:
    into.chmod(0o755)
    for turn in range(TRIES):
        argv = ["apt-get", "download", "-qq", *PACKAGES]
        done = subprocess.run(argv, cwd=into, capture_output=True, text=True, check=False, timeout=FETCH_S)
        if done.returncode == 0:
            return
        time.sleep(5 * turn)
        if os.geteuid() == 0:  # the list of packages may be missing, or older than what the archive still has
            subprocess.run(["apt-get", "update", "-qq"], check=False, timeout=FETCH_S)
    raise SystemExit(f"{', '.join(PACKAGES)} cannot be fetched:\n{done.stderr[-2000:]}")


if __name__ == "__main__":
    print(fetch())
