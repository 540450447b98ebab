"""Writes go.mod and go.sum for other versions: python tools/kube/pin.py v1.34.4 v3.6.8, then build and test.

Kubernetes is built from its own module, which replaces its staging modules by folders; as a dependency they have to be
replaced by the versions that were published beside it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
HEAD = """\
// What the tests' real cluster is built from; go.sum pins every byte. Written by pin.py.
module chaos-runner/tools/kube

go {go}

godebug default=go{short}

require (
\tgo.etcd.io/etcd/server/v3 {etcd}
\tk8s.io/kubernetes {kubernetes}
)

replace (
{replaced}
)
"""


def go(*words: str) -> str:
    environ = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
    return subprocess.run(["go", *words], cwd=HERE, env=environ, check=True, capture_output=True, text=True).stdout


def main() -> None:
    kubernetes, etcd = sys.argv[1:]
    (HERE / "go.sum").unlink(missing_ok=True)
    (HERE / "go.mod").write_text("module chaos-runner/tools/kube\n")
    theirs = Path(json.loads(go("mod", "download", "-json", f"k8s.io/kubernetes@{kubernetes}"))["GoMod"]).read_text()
    staging = re.findall(r"^\s*(k8s\.io/\S+) => \./staging/", theirs, re.MULTILINE)
    version = re.search(r"^go (\S+)", theirs, re.MULTILINE)
    assert version is not None
    (HERE / "go.mod").write_text(
        HEAD.format(
            go=version[1],
            short=".".join(version[1].split(".")[:2]),
            etcd=etcd,
            kubernetes=kubernetes,
            replaced="\n".join(f"\t{name} => {name} v0.{kubernetes.removeprefix('v1.')}" for name in staging),
        )
    )
    from build import PACKAGES

    go("list", "-deps", *PACKAGES.values())
    print((HERE / "go.mod").read_text())


if __name__ == "__main__":
    main()
