"""Writes an image without a registry: one layer with busybox, as an OCI archive that containerd imports."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

NAME = "localhost/busybox:1"
LINKS = ("sh", "sleep", "httpd", "cat", "echo", "kill", "mkdir")
OCI = "application/vnd.oci.image"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write(busybox: Path, archive: Path) -> None:
    """Writes the archive of an image whose command is to sleep."""
    blobs: dict[str, bytes] = {}

    def blob(data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": f"{OCI}.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    layer = blob(_layer(busybox.read_bytes()), "layer.v1.tar")
    machine = {"architecture": ARCHITECTURES[platform.machine()], "os": "linux"}
    command = {"Env": ["PATH=/bin"], "Cmd": ["/bin/sleep", "1000000"]}
    config = {**machine, "config": command, "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
    settings = blob(json.dumps(config).encode(), "config.v1+json")
    manifest = {"schemaVersion": 2, "config": settings, "layers": [layer]}
    first = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    first |= {"platform": machine, "annotations": {"io.containerd.image.name": NAME}}
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [first]}).encode()
    blobs["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    with tarfile.open(archive, "w") as file:
        for name, data in blobs.items():
            _add(file, name, data)


def _layer(busybox: bytes) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as file:
        for name in ("bin", "tmp", "etc", "proc", "sys", "dev"):
            made = tarfile.TarInfo(name)
            made.type, made.mode = tarfile.DIRTYPE, 0o755
            file.addfile(made)
        _add(file, "bin/busybox", busybox, 0o755)
        for name in LINKS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            file.addfile(link)
    return written.getvalue()


def _add(file: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    made = tarfile.TarInfo(name)
    made.size, made.mode = len(data), mode
    file.addfile(made, io.BytesIO(data))
