"""The cluster of an environment: its kubeconfig read, one connection opened, its uid compared. Files and network."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from chaos_runner.api import Env, Refused
from chaos_runner.clients.kubernetes import connection, kubeconfig, lists, refusals
from chaos_runner.clients.kubernetes.connection import Cluster
from chaos_runner.clients.kubernetes.kubeconfig import Chosen, ServerEntry
from chaos_runner.clients.kubernetes.objects import Namespace
from chaos_runner.clients.kubernetes.users import User
from chaos_runner.environment import Cluster as Settings

SYSTEM = "kube-system"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


async def open_client(env: Env) -> Cluster:
    """The cluster of this environment, opened once and known to be the right one. Raises Refused or Doubt."""
    cluster: Cluster = await env.opened("kubernetes", _opener)
    return cluster


async def _opener(env: Env) -> contextlib.AbstractAsyncContextManager[Cluster]:
    settings = env.environment.cluster
    if settings is None:
        raise Refused(f"environment '{env.name}' has no `cluster:`")
    return _checked(env.name, settings)


@contextlib.asynccontextmanager
async def _checked(name: str, settings: Settings) -> AsyncIterator[Cluster]:
    async with connection.connect(chosen(settings), settings.exec_plugins) as cluster:
        await check(cluster, name, settings.uid)
        yield cluster


def chosen(settings: Settings, account: Path = ACCOUNT) -> Chosen:
    """Which server, as which user. Raises Refused."""
    if settings.kubeconfig == "pocket":
        raise Refused("the pocket cluster is not running; start it with: chaos-runner pocket up")
    if settings.kubeconfig == "in-cluster":
        return in_cluster(account)
    return kubeconfig.read(kubeconfig.paths(settings.kubeconfig), settings.context)


def in_cluster(account: Path = ACCOUNT) -> Chosen:
    """The service account of the pod that this runs in; its token is rotated, and read each time."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (account / "token").exists():
        raise Refused("this does not run in a pod with a service account: `kubeconfig: in-cluster` cannot be used")
    address = f"[{host}]" if ":" in host else host
    server = ServerEntry(server=f"https://{address}:{port}", certificate_authority=str(account / "ca.crt"))
    return Chosen("in-cluster", server, User(token_file=str(account / "token")))


async def check(cluster: Cluster, environment: str, uid: str) -> None:
    """Raises WrongCluster unless this is the cluster that the environment names."""
    try:
        found = (await lists.get(cluster, Namespace, None, SYSTEM)).metadata.uid
    except refusals.Forbidden as why:
        raise refusals.Forbidden(
            f"which cluster this is cannot be told: allow `get` of the namespace {SYSTEM} to this user ({why})"
        ) from None
    if not uid:
        raise refusals.WrongCluster(
            f"environment '{environment}' does not say which cluster it means; if it is the one at {cluster.url},"
            f" write under `cluster:`: `uid: {found}`"
        )
    if found != uid:
        raise refusals.WrongCluster(
            f"the cluster at {cluster.url} is not the one of environment '{environment}': its uid is {found}, not {uid}"
        )
