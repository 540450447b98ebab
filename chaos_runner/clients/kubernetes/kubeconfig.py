"""Kubeconfig files: found, merged as kubectl merges them, and one context chosen. Reads files, never the network.

Of two files that name the same cluster, user or context the first wins, whole; paths in a file are relative to it.
What a file holds is secret: the values here show nothing of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from chaos_runner import load, spelling
from chaos_runner.api import Refused
from chaos_runner.clients.kubernetes.users import Hidden, Impersonation, User

DEFAULT = "~/.kube/config"
FILES_MAX = 32


class ServerEntry(Hidden, frozen=True, rename="kebab"):
    """An API server as a kubeconfig describes it; the address of a proxy may hold a password."""

    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""


class ContextEntry(msgspec.Struct, frozen=True):
    """Which user talks to which server."""

    cluster: str = ""
    user: str = ""
    namespace: str = ""


class Chosen(msgspec.Struct, frozen=True):
    """One context with everything it needs; all paths are absolute."""

    context: str
    server: ServerEntry
    user: User = User()
    impersonation: Impersonation = Impersonation()


class _Config(msgspec.Struct, frozen=True):
    clusters: dict[str, ServerEntry] = {}
    users: dict[str, User] = {}
    contexts: dict[str, ContextEntry] = {}
    current: str = ""


class _NamedServer(msgspec.Struct):
    name: str
    cluster: ServerEntry = ServerEntry()


class _NamedUser(msgspec.Struct):
    name: str
    user: User | None = None


class _NamedContext(msgspec.Struct):
    name: str
    context: ContextEntry = ContextEntry()


class _File(msgspec.Struct):
    clusters: list[_NamedServer] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None
    current: str = msgspec.field(name="current-context", default="")


def paths(reference: str, environ: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """The files that `file:A[:B...]` or `env:NAME` stands for; an unset variable stands for kubectl's own file."""
    kind, _, rest = reference.partition(":")
    listed = (os.environ if environ is None else environ).get(rest, "") if kind == "env" else rest
    found = [Path(part).expanduser() for part in (listed or DEFAULT).split(os.pathsep) if part]
    return tuple(dict.fromkeys(found))[:FILES_MAX]


def absolute(reference: str, folder: Path, environ: Mapping[str, str] | None = None) -> str:
    """The reference with every path absolute, those of a file from its folder: the same in any process."""
    base = folder if reference.startswith("file:") else Path.cwd()
    return "file:" + os.pathsep.join(str((base / path).absolute()) for path in paths(reference, environ))


def read(files: Iterable[Path], context: str = "") -> Chosen:
    """The context of these files, or their current one. Raises Refused with a sentence that names what is missing."""
    files = tuple(files)
    merged = _Config()
    there = [path for path in files if path.exists()]
    if not there:
        raise Refused(f"there is no kubeconfig at {' or '.join(map(str, files))}")
    for path in there:
        merged = _merge(merged, _config(path))
    return _choose(merged, context, " and ".join(map(str, there)))


def _config(path: Path) -> _Config:
    try:
        document = load.read(path)
        if document.problems:
            raise load.Invalid(document.problems)
        file = msgspec.convert(load.plain(document.root), _File)
    except load.Invalid as why:
        raise Refused(f"the kubeconfig cannot be used: {str(why).splitlines()[0]}") from None
    except msgspec.ValidationError as why:  # its words name a place and types, never a value
        raise Refused(f"the kubeconfig cannot be used: {path}: {why}") from None
    folder = path.absolute().parent
    return _Config(
        {name: _server(entry, folder) for name, entry in _unique(path, "cluster", file.clusters)},
        {name: (entry or User()).rooted(folder) for name, entry in _unique(path, "user", file.users)},
        dict(_unique(path, "context", file.contexts)),
        file.current,
    )


def _unique(path: Path, field: str, entries: list[Any] | None) -> list[tuple[str, Any]]:
    found = [(entry.name, getattr(entry, field)) for entry in entries or ()]
    names = [name for name, _ in found]
    for name in names:
        if names.count(name) > 1:
            raise Refused(f"the kubeconfig cannot be used: {path} names the {field} '{name}' more than once")
    return found


def _server(entry: ServerEntry, folder: Path) -> ServerEntry:
    if not entry.certificate_authority:
        return entry
    return msgspec.structs.replace(entry, certificate_authority=str(folder / entry.certificate_authority))


def _merge(first: _Config, second: _Config) -> _Config:
    return _Config(
        second.clusters | first.clusters,
        second.users | first.users,
        second.contexts | first.contexts,
        first.current or second.current,
    )


def _choose(config: _Config, asked: str, where: str) -> Chosen:
    name = asked or config.current
    if not name:
        raise Refused(f"{where} has no current context; write `context:` under `cluster:`")
    context = _named("context", name, config.contexts, where)
    server = _named("cluster", context.cluster, config.clusters, where)
    if not server.server:
        raise Refused(f"the cluster '{context.cluster}' in {where} has no `server:`")
    user = _named("user", context.user, config.users, where) if context.user else User()
    return Chosen(name, server, user, user.impersonation)


_T = TypeVar("_T")


def _named(what: str, name: str, entries: Mapping[str, _T], where: str) -> _T:
    if name not in entries:
        raise Refused(f"{where}: {spelling.unknown(what, name, entries)}")
    return entries[name]
