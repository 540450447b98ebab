"""Builds a real cluster's programs by name and keeps only these: about four minutes once, nothing after that.

They lie in the user's cache, under a name made of go.mod, go.sum and Go's version. What the build itself needs
(three gigabytes of sources and objects) is put beside them and removed again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
}
BUILD_S = 3600  # one of them, on a machine that others use, too
TRIES = 3
PARALLEL_MAX = 4  # compilers at once; each wants up to a gigabyte


def cache() -> Path:
    """Where real parts are kept for all checkouts of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chaos-runner" / "real"


def folder() -> Path:
    """Where the programs of these versions are, or will be."""
    names = ("go.mod", "go.sum")
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in names) + _go_version().encode())
    return cache() / f"kube-{digest.hexdigest()[:12]}"


def built() -> Path | None:
    """The folder with all programs, where they were built, or where KUBE_PROGRAMS says that they are."""
    if given := os.environ.get("KUBE_PROGRAMS"):
        return Path(given)
    if shutil.which("go") is None:
        return None
    found = folder()
    return found if all((found / name).exists() for name in PACKAGES) else None


def version() -> str:
    """The version of Kubernetes that go.mod names."""
    found = re.search(r"^\tk8s\.io/kubernetes (v\S+)", (HERE / "go.mod").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def build() -> Path:
    """Builds what is missing and says how long it took; one that was cut off goes on where it was."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "kube-build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # somebody else's build is waited for, and then used
        there = built()
        if there is not None:
            return there
        began = time.monotonic()
        scratch = folder().with_suffix(".building")
        programs = scratch / "programs"
        programs.mkdir(parents=True, exist_ok=True)
        for name, package in PACKAGES.items():
            _build_one(name, package, programs / name, scratch)
        shutil.rmtree(folder(), ignore_errors=True)
        programs.rename(folder())
        shutil.rmtree(scratch)
    print(f"built Kubernetes {version()} in {time.monotonic() - began:.0f} s: {folder()}", flush=True)
    return folder()


def _build_one(name: str, package: str, output: Path, scratch: Path) -> None:
    print(f"building {name} of Kubernetes {version()}", flush=True)
    major, minor = version().removeprefix("v").split(".")[:2]
    at = "k8s.io/component-base/version"
    # Without a version the servers call themselves v0.0.0 and refuse some of each other's messages.
    stamped = f"-X {at}.gitVersion={version()} -X {at}.gitMajor={major} -X {at}.gitMinor={minor}"
    environ = os.environ | {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
        "GOCACHE": str(scratch / "objects"),
        "GOMODCACHE": str(scratch / "sources"),
    }
    argv = [
        "go",
        "build",
        f"-p={min(os.cpu_count() or 1, PARALLEL_MAX)}",
        "-trimpath",
        "-ldflags",
        f"-s -w {stamped}",
        "-o",
        str(output),
        package,
    ]
    for turn in range(TRIES):  # a download fails now and then; what was fetched and compiled before is kept
        time.sleep(10 * turn)
        with (scratch / f"{name}.log").open("wb") as log:
            done = subprocess.run(argv, cwd=HERE, env=environ, stdout=log, stderr=log, check=False, timeout=BUILD_S)
        if done.returncode == 0:
            return
    said = (scratch / f"{name}.log").read_text(errors="replace")
    raise SystemExit(f"{name} cannot be built:\n{said[-3000:]}")


def _go_version() -> str:
    argv = ["go", "env", "GOVERSION"]
    environ = os.environ | {"GOTOOLCHAIN": "local"}
    return subprocess.run(argv, cwd=HERE, env=environ, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    import parts

    print(build())
    if os.geteuid() == 0:  # only root can have nodes of containers
        print(parts.fetch())
