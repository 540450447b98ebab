"""Who asks, and whether they may: tokens, groups, and roles that are objects like any other."""

from __future__ import annotations

import hmac
import math
import time
from collections.abc import Iterator

import msgspec

from chaos_runner.pocket.cluster import objects, refusal
from chaos_runner.pocket.cluster.api.routes import Place
from chaos_runner.pocket.cluster.kinds import BY_NAME, Kind
from chaos_runner.pocket.cluster.objects import Obj
from chaos_runner.pocket.cluster.store import Store

MASTERS = "system:masters"
OPEN_PATHS = ("/readyz", "/livez", "/healthz", "/version")
TOKENS_MAX = 10_000


class User(msgspec.Struct, frozen=True):
    """Who asks."""

    name: str
    groups: tuple[str, ...] = ("system:authenticated",)

    @property
    def master(self) -> bool:
        """Whether it may do everything."""
        return MASTERS in self.groups


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


class Deed(msgspec.Struct, frozen=True):
    """What somebody wants to do: a verb on a resource, or on a path that is none."""

    verb: str
    group: str = ""
    resource: str = ""  # `pods` or `pods/eviction`
    namespace: str = ""
    name: str = ""
    path: str = ""


class Grant(msgspec.Struct, frozen=True):
    """Why somebody may; empty words where they may not."""

    allowed: bool
    reason: str = ""


class Access:
    """The tokens of this cluster, and its roles."""

    def __init__(self, store: Store, tokens: dict[str, User]) -> None:
        self._store = store
        self._tokens = {token: (user, math.inf) for token, user in tokens.items()}

    def add_token(self, token: str, user: User, lives_s: float = math.inf) -> None:
        """Somebody else who may ask, for so long."""
        now = time.monotonic()
        self._tokens = {known: found for known, found in self._tokens.items() if found[1] > now}
        if len(self._tokens) >= TOKENS_MAX:
            raise refusal.bad_request(f"more than {TOKENS_MAX} tokens")
        self._tokens[token] = (user, now + lives_s)

    def name(self, headers: dict[str, str]) -> str:
        """Who asks, as far as that can be told."""
        try:
            return self.user(headers).name
        except refusal.Refusal:
            return ANONYMOUS.name

    def user(self, headers: dict[str, str]) -> User:
        """Who asks; anonymous without credentials. Raises Refusal for a token that is not known."""
        given = headers.get("authorization", "")
        if not given:
            return ANONYMOUS
        scheme, _, token = given.partition(" ")
        user, until = next(
            (found for known, found in self._tokens.items() if hmac.compare_digest(known.encode(), token.encode())),
            (ANONYMOUS, -math.inf),
        )
        if scheme.lower() != "bearer" or until < time.monotonic():
            raise refusal.unauthorized()
        return self._impersonated(user, headers)

    def _impersonated(self, user: User, headers: dict[str, str]) -> User:
        name = headers.get("impersonate-user")
        if name is None:
            return user
        if not self.grant(user, Deed("impersonate", resource="users", name=name)).allowed:
            why = f'User "{user.name}" cannot impersonate resource "users" in API group "" at the cluster scope'
            raise refusal.forbidden({"name": name, "kind": "users"}, f'users "{name}"', why)
        groups = tuple(part.strip() for part in headers.get("impersonate-group", "").split(",") if part.strip())
        return User(name, (*groups, "system:authenticated"))

    def demand(self, user: User, verb: str, place: Place) -> None:
        """Raises Refusal when the user may not do that there."""
        namespace = place.name if place.kind.name == "Namespace" else place.namespace
        deed = Deed(verb, place.kind.group, place.words, namespace, place.name)
        if self.grant(user, deed).allowed:
            return
        scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
        what = f'{place.kind.resource} "{place.name}"' if place.name else place.kind.resource
        why = f'User "{user.name}" cannot {verb} resource "{place.words}" in API group "{place.kind.group}" {scope}'
        raise refusal.forbidden(refusal.details(place.kind, place.name), what, why)

    def demand_path(self, user: User, verb: str, path: str) -> None:
        """The same for what is no resource: discovery is for all who are known, a few paths for everybody."""
        if path in OPEN_PATHS or user.master or (user is not ANONYMOUS and verb == "get"):
            return
        why = f'User "{user.name}" cannot {verb} path "{path}"'
        raise refusal.Refusal(403, "Forbidden", f"forbidden: {why}", {})

    def grant(self, user: User, deed: Deed) -> Grant:
        """Whether the user may, and by which binding."""
        if user.master:
            return Grant(allowed=True)
        for binding, rules in self._bound(user, deed.namespace):
            if any(_covers(rule, deed) for rule in rules):
                return Grant(allowed=True, reason=_because(binding, user))
        return Grant(allowed=False)

    def rules(self, user: User, namespace: str) -> list[Obj]:
        """All that the user may do in a namespace."""
        if user.master:
            return [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
        return [rule for _, rules in self._bound(user, namespace) for rule in rules]

    def _bound(self, user: User, namespace: str) -> Iterator[tuple[Obj, list[Obj]]]:
        """The bindings that name the user, with the rules of their roles."""
        scopes = [(BY_NAME["ClusterRoleBinding"], "")]
        scopes += [(BY_NAME["RoleBinding"], namespace)] if namespace else []
        for kind, where in scopes:
            for binding in self._store.all(kind, where):
                if any(_names(subject, user) for subject in binding.get("subjects") or ()):
                    yield {**binding, "kind": kind.name}, self._rules_of(binding, where)

    def _rules_of(self, binding: Obj, namespace: str) -> list[Obj]:
        kind: Kind = BY_NAME[binding["roleRef"]["kind"]]
        role = self._store.get(kind, objects.key(namespace if kind.namespaced else "", binding["roleRef"]["name"]))
        return list(role.get("rules") or ()) if role is not None else []


def service_account(namespace: str, name: str) -> User:
    """Who a pod's program, or the holder of a token for it, is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", groups)


def _names(subject: Obj, user: User) -> bool:
    if subject["kind"] == "Group":
        return subject["name"] in user.groups
    if subject["kind"] == "ServiceAccount":
        return user.name == f"system:serviceaccount:{subject.get('namespace', '')}:{subject['name']}"
    return bool(subject["name"] == user.name)


def _covers(rule: Obj, deed: Deed) -> bool:
    if not {"*", deed.verb} & set(rule.get("verbs") or ()):
        return False
    if deed.path:
        return any(_path_fits(path, deed.path) for path in rule.get("nonResourceURLs") or ())
    _, _, sub = deed.resource.partition("/")
    resources = set(rule.get("resources") or ())
    if not {"*", deed.resource, *([f"*/{sub}"] if sub else [])} & resources:
        return False
    names = rule.get("resourceNames")
    return bool({"*", deed.group} & set(rule.get("apiGroups") or ())) and (not names or deed.name in names)


def _path_fits(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def _because(binding: Obj, user: User) -> str:
    where = f"/{objects.namespace(binding)}" if objects.namespace(binding) else ""
    role = binding["roleRef"]
    return (
        f'RBAC: allowed by {binding["kind"]} "{objects.name(binding)}{where}" '
        f'of {role["kind"]} "{role["name"]}" to User "{user.name}"'
    )
