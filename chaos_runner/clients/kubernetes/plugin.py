"""Credentials from a program that the kubeconfig names and the operator has allowed. Processes, never the network."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import msgspec

from chaos_runner.api import Doubt, Refused
from chaos_runner.clients import commands
from chaos_runner.clients.kubernetes import tls
from chaos_runner.clients.kubernetes.kubeconfig import ServerEntry
from chaos_runner.clients.kubernetes.users import Hidden, Plugin

PLUGIN_S = 20.0
VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


class Issued(Hidden, frozen=True, rename="camel"):
    """What a plugin handed out."""

    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime | None = None

    def left_s(self) -> float:
        """How long it is good for; for ever where the plugin named no end."""
        if self.expiration_timestamp is None:
            return float("inf")
        ends = self.expiration_timestamp
        return ((ends if ends.tzinfo else ends.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()


class _Credential(Hidden, frozen=True, rename="camel"):
    kind: str
    api_version: str
    status: Issued | None = None


def program(plugin: Plugin, allowed: Collection[str]) -> str:
    """The absolute path of the plugin's program. Raises Refused unless the operator allowed exactly this one."""
    if plugin.command not in allowed:
        named = f"exec_plugins: [{plugin.command}]"
        raise Refused(f"the kubeconfig logs in through the program '{plugin.command}'; to allow it: `{named}`")
    if plugin.api_version not in VERSIONS:
        raise Refused(f"the plugin '{plugin.command}' speaks {plugin.api_version or 'no version'}; known: {VERSIONS}")
    if plugin.interactive_mode == "Always":
        raise Refused(f"the plugin '{plugin.command}' wants to ask questions, and nobody is there to answer")
    found = shutil.which(plugin.command)
    if found is None:
        hint = f": {plugin.install_hint.strip()}" if plugin.install_hint.strip() else ""
        raise Refused(f"the plugin '{plugin.command}' is not installed{hint}")
    return os.path.abspath(found)  # noqa: PTH100 - a link must stay one: some programs go by their name


async def ask(plugin: Plugin, allowed: Collection[str], server: ServerEntry) -> Issued:
    """Runs it once. Raises Refused or Doubt with its last words, never with what it handed out."""
    argv = (program(plugin, allowed), *(plugin.args or ()))
    # Unlike a command it gets our variables: where a cloud's credentials are, only its own program knows.
    variables = dict(os.environ) | {variable.name: variable.value for variable in plugin.env or ()}
    result = await commands.run_within(argv, variables | {"KUBERNETES_EXEC_INFO": _info(plugin, server)}, PLUGIN_S)
    if result.exit != 0:
        words = result.stderr.strip().splitlines()
        raise Doubt(f"the plugin '{plugin.command}' ended with {result.exit}: {(words or ['no words'])[-1][:200]}")
    return _issued(plugin, result)


def _issued(plugin: Plugin, result: commands.Result) -> Issued:
    try:
        credential = msgspec.json.decode(result.stdout, type=_Credential)
    except msgspec.DecodeError:
        raise Refused(f"the plugin '{plugin.command}' did not answer with an ExecCredential") from None
    issued = credential.status
    if credential.kind != "ExecCredential" or credential.api_version != plugin.api_version or issued is None:
        raise Refused(f"the plugin '{plugin.command}' answered with another kind, version, or no status")
    if not issued.token and not (issued.client_certificate_data and issued.client_key_data):
        raise Refused(f"the plugin '{plugin.command}' handed out neither a token nor a certificate with its key")
    return issued


def _info(plugin: Plugin, server: ServerEntry) -> str:
    spec: dict[str, Any] = {"interactive": False}
    if plugin.provide_cluster_info:
        authority = tls.pem("certificate-authority", server.certificate_authority_data, server.certificate_authority)
        spec["cluster"] = {
            "server": server.server,
            "tls-server-name": server.tls_server_name,
            "insecure-skip-tls-verify": server.insecure_skip_tls_verify,
            "certificate-authority-data": base64.b64encode(authority).decode(),
            "proxy-url": server.proxy_url,
        }
    asked = {"kind": "ExecCredential", "apiVersion": plugin.api_version, "spec": spec}
    return msgspec.json.encode(asked).decode()
