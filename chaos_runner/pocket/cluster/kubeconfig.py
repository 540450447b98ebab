"""The file that tells kubectl, and us, where the cluster is. It is JSON, which is YAML too, and private."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec

from chaos_runner.pocket import world

CONTEXT = "pocket"


def text(url: str, ca: str, token: str, user: str = "pocket-admin") -> bytes:
    """The kubeconfig of one user."""
    cluster = {"server": url, "certificate-authority-data": base64.b64encode(ca.encode()).decode()}
    value = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user, "namespace": "default"}}],
        "current-context": CONTEXT,
    }
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def write(path: Path, url: str, ca: str, token: str) -> None:
    """Writes it so that only its owner can read it."""
    world.write_private(path, text(url, ca, token))
