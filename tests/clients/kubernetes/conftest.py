"""Both event loops, and a small authority with certificates for tests of TLS."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Authority(NamedTuple):
    folder: Path

    def server(self, name: str = "server", *, clients: bool = False) -> ssl.SSLContext:
        """What a server shows; with `clients` it asks for a certificate of ours."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        if clients:
            context.load_verify_locations(self.folder / "ca.crt")
            context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def path(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Certificates of one authority: server (127.0.0.1), named (cluster.test), alice and bob; and another authority."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make certificates with")
    folder = tmp_path_factory.mktemp("authority")

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True, timeout=30)

    def root(name: str) -> None:
        subject = [
            "-subj",
            f"/CN={name}",
            "-days",
            "2",
            "-nodes",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ]
        run("req", "-x509", *subject, "-keyout", f"{name}.key", "-out", f"{name}.crt")

    def signed(name: str, san: str = "") -> None:
        subject = ["-subj", f"/O=testers/CN={name}", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        run("req", "-new", *subject, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / f"{name}.ext").write_text(f"subjectAltName={san}\n" if san else "extendedKeyUsage=clientAuth\n")
        authority = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
        run("x509", "-req", "-in", f"{name}.csr", *authority, "-extfile", f"{name}.ext", "-out", f"{name}.crt")

    root("ca")
    root("stranger")
    signed("server", "IP:127.0.0.1")
    signed("named", "DNS:cluster.test")
    signed("alice")
    signed("bob")
    return Authority(folder)
