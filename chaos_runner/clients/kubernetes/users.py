"""Who talks to an API server, as a kubeconfig says it. No IO. Nothing here shows what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec


class Hidden(msgspec.Struct, frozen=True):
    """A value that shows which of its fields are set, and never what they hold."""

    def __repr__(self) -> str:
        """Its fields that are set, each as `***`."""
        return f"{type(self).__name__}({', '.join(f'{name}=***' for name in self._set())})"

    def __rich_repr__(self) -> Iterator[tuple[str, str]]:  # type: ignore[override]
        """The same for pretty printers."""
        return ((name, "***") for name in self._set())

    def _set(self) -> list[str]:
        return [name for name in self.__struct_fields__ if getattr(self, name)]


class Variable(Hidden, frozen=True):
    """A variable for a credential plugin."""

    name: str
    value: str = ""


class Plugin(Hidden, frozen=True, rename="camel"):
    """A program that hands out credentials."""

    command: str
    api_version: str = ""
    args: tuple[str, ...] | None = None
    env: tuple[Variable, ...] | None = None
    install_hint: str = ""
    interactive_mode: str = "IfAvailable"
    provide_cluster_info: bool = False


class Impersonation(msgspec.Struct, frozen=True):
    """Whom a user acts as."""

    user: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class User(Hidden, frozen=True, rename="kebab"):
    """A user of a kubeconfig."""

    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(name="tokenFile", default="")
    as_: str = msgspec.field(name="as", default="")
    as_uid: str = ""
    as_groups: tuple[str, ...] | None = None
    as_user_extra: dict[str, tuple[str, ...]] | None = None
    exec_: Plugin | None = msgspec.field(name="exec", default=None)
    auth_provider: dict[str, Any] | None = None
    username: str = ""
    password: str = ""

    def rooted(self, folder: Path) -> User:
        """With its paths absolute, from the folder of the file that names it."""
        fields = ("client_certificate", "client_key", "token_file")
        changed: dict[str, Any] = {name: str(folder / value) for name in fields if (value := getattr(self, name))}
        if self.exec_ is not None and "/" in self.exec_.command:
            changed["exec_"] = msgspec.structs.replace(self.exec_, command=str(folder / self.exec_.command))
        return msgspec.structs.replace(self, **changed)

    @property
    def impersonation(self) -> Impersonation:
        """Whom it acts as."""
        return Impersonation(self.as_, self.as_uid, self.as_groups or (), self.as_user_extra or {})

    @property
    def problem(self) -> str:
        """Why nobody can log in like this, as a sentence; empty when somebody can."""
        if self.auth_provider is not None:
            return "`auth-provider` was removed from Kubernetes; use an `exec:` plugin or a token"
        if self.username or self.password:
            return "user names with passwords were removed from Kubernetes; use a certificate or a token"
        certificate = self.client_certificate or self.client_certificate_data
        if bool(certificate) != bool(self.client_key or self.client_key_data):
            return "a client certificate and its key belong together; one of them is missing"
        return ""
