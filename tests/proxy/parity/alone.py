"""A server in a network of its own that has a loopback and nothing else: `any address` reaches nobody there."""

from __future__ import annotations

import fcntl
import json
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.proxy import toxi

LISTENS = ("", ":0", "0.0.0.0:0", "[::]:0")
LIMIT_S = 30
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def run(kind: str) -> dict[str, tuple[str, bool, bool]]:
    """For each listen text: what the server shows, and whether a client gets through over IPv4 and over IPv6."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network of its own: `unshare -rn` is not allowed here")
    command = [unshare, "-rn", sys.executable, "-m", "tests.proxy.parity.alone", kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False, cwd=toxi.ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def through(host: str, port: int, upstream: socket.socket) -> bool:
    with socket.create_connection((host, port), timeout=5) as client:
        server, _ = upstream.accept()
        with server:
            server.sendall(b"through")
            return toxi.read(client, 7) == b"through"


def look(api: toxi.Api) -> dict[str, tuple[str, bool, bool]]:
    found = {}
    with socket.create_server((toxi.LOOP, 0)) as upstream:
        upstream.settimeout(5)
        for listen in LISTENS:
            made = api.make(upstream=f"{toxi.LOOP}:{upstream.getsockname()[1]}", listen=listen)
            port = toxi.port_of(made)
            found[listen] = (made["listen"], through(toxi.LOOP, port, upstream), through("::1", port, upstream))
            api.clear()
    return found


def main(kind: str) -> None:
    loopback_up()
    with tempfile.TemporaryDirectory() as folder:
        start = toxi.start_real if kind == "real" else toxi.start_embedded
        api = start(Path(folder) / "log")
        try:
            json.dump(look(api), sys.stdout)
        finally:
            toxi.stop(api)


if __name__ == "__main__":
    main(sys.argv[1])
