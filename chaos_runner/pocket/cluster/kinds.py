"""The kinds of objects that the cluster keeps: one row each; discovery, routes and rights come from here. Pure."""

from __future__ import annotations

import msgspec

READ = ("get", "list", "watch")
ALL = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CREATE = ("create",)
CHANGE = ("get", "patch", "update")


class Sub(msgspec.Struct, frozen=True):
    """A subresource, and the kind that it speaks."""

    name: str
    kind: str = ""  # the kind of what it belongs to
    group: str = ""
    version: str = ""
    verbs: tuple[str, ...] = CHANGE


STATUS = Sub("status")
SCALE = Sub("scale", "Scale", "autoscaling", "v1")


class Kind(msgspec.Struct, frozen=True):
    """One kind."""

    group: str
    version: str
    plural: str
    name: str
    short: tuple[str, ...] = ()
    namespaced: bool = True
    verbs: tuple[str, ...] = ALL
    subs: tuple[Sub, ...] = (STATUS,)
    categories: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """`v1` or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`pods` or `deployments.apps`: how errors and the store name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular(self) -> str:
        """`pod`"""
        return self.name.lower()

    def sub(self, name: str) -> Sub | None:
        """The subresource of that name."""
        return next((sub for sub in self.subs if sub.name == name), None)


NONE: tuple[Sub, ...] = ()
EVICTION = Sub("eviction", "Eviction", "policy", "v1", CREATE)
LOG = Sub("log", verbs=("get",))
TOKEN = Sub("token", "TokenRequest", "authentication.k8s.io", "v1", CREATE)
RBAC = "rbac.authorization.k8s.io"

KINDS = (
    Kind("", "v1", "configmaps", "ConfigMap", ("cm",), subs=NONE),
    Kind("", "v1", "events", "Event", ("ev",), subs=NONE),
    Kind("", "v1", "namespaces", "Namespace", ("ns",), namespaced=False),
    Kind("", "v1", "nodes", "Node", ("no",), namespaced=False),
    Kind("", "v1", "pods", "Pod", ("po",), subs=(STATUS, EVICTION, LOG), categories=("all",)),
    Kind("", "v1", "secrets", "Secret", subs=NONE),
    Kind("", "v1", "serviceaccounts", "ServiceAccount", ("sa",), subs=(TOKEN,)),
    Kind("", "v1", "services", "Service", ("svc",), categories=("all",)),
    Kind("apps", "v1", "daemonsets", "DaemonSet", ("ds",), categories=("all",)),
    Kind("apps", "v1", "deployments", "Deployment", ("deploy",), subs=(STATUS, SCALE), categories=("all",)),
    Kind("apps", "v1", "replicasets", "ReplicaSet", ("rs",), subs=(STATUS, SCALE), categories=("all",)),
    Kind("apps", "v1", "statefulsets", "StatefulSet", ("sts",), subs=(STATUS, SCALE), categories=("all",)),
    Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", ("hpa",), categories=("all",)),
    Kind("coordination.k8s.io", "v1", "leases", "Lease", subs=NONE),
    Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", subs=NONE),
    Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", ("pdb",)),
    Kind(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False, subs=NONE),
    Kind(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False, subs=NONE),
    Kind(RBAC, "v1", "rolebindings", "RoleBinding", subs=NONE),
    Kind(RBAC, "v1", "roles", "Role", subs=NONE),
    Kind(
        "authorization.k8s.io",
        "v1",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        namespaced=False,
        verbs=CREATE,
        subs=NONE,
    ),
    Kind(
        "authorization.k8s.io",
        "v1",
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
        namespaced=False,
        verbs=CREATE,
        subs=NONE,
    ),
    Kind(
        "authentication.k8s.io",
        "v1",
        "selfsubjectreviews",
        "SelfSubjectReview",
        namespaced=False,
        verbs=CREATE,
        subs=NONE,
    ),
)

BY_PLACE = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}
BY_NAME = {kind.name: kind for kind in KINDS}
GROUPS = tuple(dict.fromkeys(kind.group for kind in KINDS if kind.group))

PODS = BY_NAME["Pod"]
NODES = BY_NAME["Node"]
NAMESPACES = BY_NAME["Namespace"]
SERVICES = BY_NAME["Service"]
EVENTS = BY_NAME["Event"]
LEASES = BY_NAME["Lease"]
SERVICE_ACCOUNTS = BY_NAME["ServiceAccount"]
DEPLOYMENTS = BY_NAME["Deployment"]
REPLICASETS = BY_NAME["ReplicaSet"]
STATEFULSETS = BY_NAME["StatefulSet"]
DAEMONSETS = BY_NAME["DaemonSet"]
SLICES = BY_NAME["EndpointSlice"]
BUDGETS = BY_NAME["PodDisruptionBudget"]
REVIEWS = tuple(kind for kind in KINDS if kind.verbs == CREATE)


def version_of(group: str) -> str:
    """The one version of a group that is served."""
    return next(kind.version for kind in KINDS if kind.group == group)


def of_group(group: str) -> tuple[Kind, ...]:
    """The kinds of a group."""
    return tuple(kind for kind in KINDS if kind.group == group)
