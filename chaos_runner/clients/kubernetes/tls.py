"""How a connection to an API server is secured. Reads files, never the network; keys never touch a disk of ours."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from pathlib import Path
from typing import Any

from chaos_runner.api import Refused
from chaos_runner.clients.kubernetes.kubeconfig import ServerEntry

PEM_BYTES_MAX = 1 << 20


class _Context(ssl.SSLContext):
    """Checks the server's certificate against another name than the address, where one was given.

    Every connection is made through `wrap_bio`, also one through a proxy, where the HTTP client has no setting for it.
    """

    server_name = ""

    def wrap_bio(
        self, incoming: Any, outgoing: Any, server_side: bool = False, server_hostname: Any = None, session: Any = None
    ) -> Any:
        return super().wrap_bio(incoming, outgoing, server_side, self.server_name or server_hostname, session)


def context_of(server: ServerEntry) -> ssl.SSLContext:
    """Trusts what the kubeconfig names, or else what this machine trusts. Raises Refused."""
    # Not `create_default_context`: its strict mode refuses the authorities of clusters that are in use.
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = server.tls_server_name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if server.insecure_skip_tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    authority = pem("certificate-authority", server.certificate_authority_data, server.certificate_authority)
    try:
        if authority:
            context.load_verify_locations(cadata=authority.decode("ascii"))
        else:
            context.load_default_certs()
    except (ssl.SSLError, ValueError) as why:
        raise Refused(f"the kubeconfig's certificate-authority is no certificate: {_reason(why)}") from None
    return context


def pem(what: str, inline: str, file: str) -> bytes:
    """What a kubeconfig holds in base64, or else in a file; empty where it holds neither. Raises Refused."""
    if inline:
        try:
            return base64.b64decode("".join(inline.split()), validate=True)
        except binascii.Error:
            raise Refused(f"the kubeconfig's {what}-data is not base64") from None
    return content(what, file) if file else b""


def content(what: str, file: str) -> bytes:
    """The bytes of a small file. Raises Refused naming it."""
    try:
        with Path(file).open("rb") as opened:
            return opened.read(PEM_BYTES_MAX)
    except OSError as why:
        raise Refused(f"the {what} {file} cannot be read: {why.strerror}") from None


def present(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Shows this certificate on every connection from now on. Raises Refused."""
    # OpenSSL wants a file: this one is memory only, and gone with its descriptor.
    descriptor = os.memfd_create("client-certificate")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(certificate.rstrip() + b"\n" + key)
        # A password, so that a locked key is an error instead of a question on the terminal.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
    except (ssl.SSLError, ValueError, OSError) as why:
        raise Refused(f"the client certificate and its key cannot be used: {_reason(why)}") from None
    finally:
        os.close(descriptor)


def _reason(why: Exception) -> str:
    return getattr(why, "reason", None) or type(why).__name__
