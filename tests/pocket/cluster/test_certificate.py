"""The pocket cluster's certificate, judged by programs that know the curve and the format better than we do."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from chaos_runner.pocket.cluster import certificate
from chaos_runner.pocket.cluster.certificate import G, N, P

# Twice the base point, from the curve's published test vectors.
TWICE = (
    0x7CF27B188D034F7E8A52380304B51AC3C08969E277F21B35A60B48FC47669978,
    0x07775510DB8ED040293D9AC69F7430DBBA7DADE63CE982299E04B79D227873D1,
)
TIMES = 20  # keys and signatures have zero bytes at their ends now and then


def test_the_curve_is_the_published_one() -> None:
    assert certificate._times(2, G) == TWICE
    assert certificate._times(N, G) is None
    assert certificate._times(N - 1, G) == (G[0], P - G[1])
    assert certificate._times(N + 2, G) == TWICE


def handshake(folder: Path, cert: str, key: str, name: str) -> str:
    """Both ends in memory, the client as strict as the newest Python's; which version of TLS they agree on."""
    (folder / "pair.pem").write_text(cert + key)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(folder / "pair.pem")  # refuses a key that is not the certificate's
    client_side = ssl.create_default_context(cadata=cert)
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(down, up, server_hostname=name)
    server = server_side.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client.version() or ""


def test_a_strict_client_that_trusts_it_takes_it_for_its_own_names_only(tmp_path: Path) -> None:
    for _ in range(TIMES):
        cert, key = certificate.made("127.0.0.1")
        assert handshake(tmp_path, cert, key, "127.0.0.1") == "TLSv1.3"
    assert handshake(tmp_path, cert, key, "localhost") == "TLSv1.3"
    for other in ("127.0.0.2", "example.com"):
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            handshake(tmp_path, cert, key, other)


def test_a_client_that_was_not_told_of_it_does_not_take_it(tmp_path: Path) -> None:
    (one, key), (other, _) = certificate.made(), certificate.made()
    (tmp_path / "pair.pem").write_text(one + key)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(tmp_path / "pair.pem")
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cadata=other).wrap_bio(down, up, server_hostname="127.0.0.1")
    server = server_side.wrap_bio(up, down, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    with pytest.raises(ssl.SSLCertVerificationError):
        client.do_handshake()


def test_openssl_finds_the_signature_and_the_key_right(tmp_path: Path) -> None:
    """A client does not look at the signature of what it was told to trust: this does."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    for _ in range(TIMES):
        cert, key = certificate.made()
        (tmp_path / "c.pem").write_text(cert)
        (tmp_path / "k.pem").write_text(key)
        verify = [openssl, "verify", "-x509_strict", "-check_ss_sig", "-CAfile", "c.pem", "c.pem"]
        for argv in (verify, [openssl, "ec", "-check", "-noout", "-in", "k.pem"]):
            done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
            assert done.returncode == 0, done.stderr


def test_no_two_clusters_share_a_key() -> None:
    assert len({certificate.made() for _ in range(3)}) == 3
