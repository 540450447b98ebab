"""Questions about oneself: what may I do, who am I; and tokens for service accounts."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from chaos_runner.pocket.cluster import kinds, refusal
from chaos_runner.pocket.cluster.api import access
from chaos_runner.pocket.cluster.api.access import Access, Deed, User
from chaos_runner.pocket.cluster.api.routes import Place
from chaos_runner.pocket.cluster.kinds import Kind
from chaos_runner.pocket.cluster.objects import Obj, at
from chaos_runner.pocket.cluster.store import Store

TOKEN_LIVES_S = 3600


class Reviews:
    """The kinds that are only asked, never kept."""

    def __init__(self, store: Store, rights: Access) -> None:
        self._store = store
        self._rights = rights

    def answer(self, kind: Kind, user: User, given: Obj) -> Obj:
        """The review with its status. Raises Refusal."""
        if kind.name == "SelfSubjectAccessReview":
            status = self._may(user, given)
        elif kind.name == "SelfSubjectRulesReview":
            rules = self._rights.rules(user, at(given, "spec", "namespace", default="default"))
            status = {"resourceRules": rules, "nonResourceRules": [], "incomplete": False}
        else:
            status = {"userInfo": {"username": user.name, "groups": list(user.groups)}}
        whole = {"kind": kind.name, "apiVersion": kind.api_version, "metadata": {}, **given}
        return {**whole, "status": status}

    def token(self, place: Place, given: Obj) -> Obj:
        """A TokenRequest with a fresh token for the service account. Raises Refusal."""
        if self._store.get(kinds.SERVICE_ACCOUNTS, place.key) is None:
            raise refusal.not_found(kinds.SERVICE_ACCOUNTS, place.name)
        token = secrets.token_urlsafe(24)
        self._rights.add_token(token, access.service_account(place.namespace, place.name), TOKEN_LIVES_S)
        ends = datetime.now(UTC) + timedelta(seconds=TOKEN_LIVES_S)
        status = {"token": token, "expirationTimestamp": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
        metadata = {"name": place.name, "namespace": place.namespace}
        about = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": metadata}
        return {**about, "spec": given.get("spec") or {}, "status": status}

    def _may(self, user: User, given: Obj) -> Obj:
        grant = self._rights.grant(user, _deed(given))
        return {"allowed": grant.allowed, **({"reason": grant.reason} if grant.reason else {})}


def _deed(given: Obj) -> Deed:
    about, path = at(given, "spec", "resourceAttributes"), at(given, "spec", "nonResourceAttributes")
    if path:
        return Deed(path.get("verb", ""), path=path.get("path", ""))
    if not about:
        why = "Invalid value: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        kind = kinds.BY_NAME["SelfSubjectAccessReview"]
        raise refusal.invalid(kind, "", "spec.resourceAttributes", why)
    resource = "/".join(filter(None, [about.get("resource", ""), about.get("subresource", "")]))
    return Deed(
        about.get("verb", ""), about.get("group", ""), resource, about.get("namespace", ""), about.get("name", "")
    )
