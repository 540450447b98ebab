"""A cluster with a shop in it and the manifests of deploy/kubernetes: what they allow, and what was asked of it.

On the real one the requests are read from the API server's audit log, on the pocket cluster from its request log.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.kube import plane, pocket_ground, raw, real_ground
from tests.kube.contract.conftest import IMAGE
from tests.kube.ground import USERS, Ground

MANIFESTS = Path(__file__).resolve().parents[3] / "deploy" / "kubernetes"
SPACE = "shop"
POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""
VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete", "PUT": "update"}
_PATH = re.compile(r"/apis?/(?P<api>(?:[^/]+/)?v\d\w*)(?:/namespaces/(?P<space>[^/]+)(?=/))?/(?P<rest>[^?]+)")
Object = dict[str, Any]


class Right(NamedTuple):
    """One verb on one resource, in a namespace or (empty) in all of them."""

    verb: str
    group: str
    resource: str
    namespace: str


class AuditedPlane(plane.Plane):
    """A control plane whose API server writes down every request."""

    def start_api(self, name: str = "kube-apiserver", port: int = 0, *more: str) -> None:
        (self.folder / "audit.yaml").write_text(POLICY)
        log = ("--audit-policy-file=audit.yaml", "--audit-log-path=audit.log")
        super().start_api(name, port, *log, *more)


class Site:
    """The cluster, as a test of the manifests sees it."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.tokens = ground.tokens
        self.url = ground.url
        self.ca = ground.ca
        self.nodes = ("pocket-1", "pocket-2") if ground.kind == "pocket" else ("lab-1", "lab-2")

    def furnish(self) -> None:
        """Two nodes, a Deployment of two pods on the first and a StatefulSet of three on the second; the accounts."""
        if isinstance(self.ground, real_ground.RealGround):
            for name in self.nodes:
                _paper_node(self, name)
        raw.done(self, "POST", "/api/v1/namespaces", {"metadata": {"name": SPACE}})
        for one in documents("account.yaml"):
            self.apply(one)
        if self.ground.kind == "real":
            account = f"/api/v1/namespaces/{SPACE}/serviceaccounts/default"
            raw.wait_until(lambda: raw.ask(self, "GET", account).status == 200)
        self.make("deployments", "payments", 2, self.nodes[0])
        self.make("statefulsets", "db", 3, self.nodes[1], serviceName="db", podManagementPolicy="Parallel")
        for name in ("runner", "janitor"):
            self.tokens[name] = self.token(name)

    def make(self, plural: str, name: str, replicas: int, node: str, **more: Any) -> None:
        labels = {"app": name}
        spec = {"containers": [{"name": "c", "image": IMAGE}], "nodeName": node, "terminationGracePeriodSeconds": 1}
        template = {"metadata": {"labels": labels}, "spec": spec}
        body = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **more}
        path = f"/apis/apps/v1/namespaces/{SPACE}/{plural}"
        raw.done(self, "POST", path, {"metadata": {"name": name}, "spec": body})

    def token(self, account: str) -> str:
        """As the pod of this account would have it."""
        path = f"/api/v1/namespaces/chaos-runner/serviceaccounts/{account}/token"
        spec = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}}
        return str(raw.done(self, "POST", path, spec)["status"]["token"])

    def pods(self) -> list[Object]:
        return list(raw.done(self, "GET", f"/api/v1/namespaces/{SPACE}/pods")["items"])

    def uids(self) -> set[str]:
        return {pod["metadata"]["uid"] for pod in self.pods()}

    def settled(self, count: int = 5) -> None:
        """Returns once so many pods are there and all of them are ready; does the work of kubelets where none are."""

        def all_ready() -> bool:
            found = self.tended()
            return len(found) == count and all(_ready(pod) for pod in found)

        raw.wait_until(all_ready, 40)

    def tended(self) -> list[Object]:
        """The pods, as they were before the work of kubelets was done where none are."""
        found = self.pods()
        for pod in found:
            self._tended(pod)
        return found

    def _tended(self, pod: Object) -> None:
        if self.ground.kind == "pocket":
            return
        name = pod["metadata"]["name"]
        if "deletionTimestamp" in pod["metadata"]:
            raw.ask(self, "DELETE", f"/api/v1/namespaces/{SPACE}/pods/{name}", {"gracePeriodSeconds": 0})
        elif not _ready(pod):
            conditions = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady", "PodScheduled")]
            status = {"status": {"phase": "Running", "conditions": conditions}}
            path = f"/api/v1/namespaces/{SPACE}/pods/{name}/status"
            raw.ask(self, "PATCH", path, status, kind=raw.PATCHES["merge"])

    # --- manifests ----------------------------------------------------------------------------------------------------

    def apply(self, one: Object) -> None:
        """Makes the object, or puts it in the place of the one that is there."""
        if raw.ask(self, "POST", collection(one), one).status == 409:
            raw.done(self, "PUT", single(one), one)

    def remove(self, one: Object) -> None:
        raw.ask(self, "DELETE", single(one))

    @contextlib.contextmanager
    def applied(self, *files: str) -> Iterator[None]:
        """These manifests, and no other role, for as long as the block runs."""
        every = [one for file in files for one in documents(file)]
        for one in every:
            self.apply(one)
        for right, account in (granted for one in every for granted in grants(one, every)):
            self.effective(right, True, account)
        try:
            yield
        finally:
            for one in every:
                self.remove(one)

    def may(self, right: Right, user: str = "runner") -> bool:
        resource, _, sub = right.resource.partition("/")
        asked = {"verb": right.verb, "group": right.group, "resource": resource, "subresource": sub}
        spec = {"spec": {"resourceAttributes": {**asked, "namespace": right.namespace}}}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", **spec}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        return bool(raw.done(self, "POST", path, body, user=user)["status"]["allowed"])

    def effective(self, right: Right, allowed: bool, user: str = "runner") -> None:
        raw.wait_until(lambda: self.may(right, user) is allowed)

    # --- what was asked -----------------------------------------------------------------------------------------------

    def asked(self, account: str) -> list[tuple[Right, int]]:
        """All requests of this account so far, with the status of each answer."""
        user = f"system:serviceaccount:chaos-runner:{account}"
        return list(self._audited(user) if self.ground.kind == "real" else self._logged(user))

    def _audited(self, user: str) -> Iterator[tuple[Right, int]]:
        assert isinstance(self.ground, real_ground.RealGround)
        for line in (self.ground.plane.folder / "audit.log").read_text().splitlines():
            event = json.loads(line)
            about = event.get("objectRef", {})
            if event["user"]["username"] == user and "resource" in about:
                resource = "/".join(filter(None, (about["resource"], about.get("subresource", ""))))
                right = Right(event["verb"], about.get("apiGroup", ""), resource, about.get("namespace", ""))
                yield right, event["responseStatus"]["code"]

    def _logged(self, user: str) -> Iterator[tuple[Right, int]]:
        for asked in raw.done(self, "GET", "/chaos-runner/v1/pocket/requests"):
            if asked["user"] == user:
                yield _right(asked["method"], asked["path"]), asked["status"]


def _right(method: str, path: str) -> Right:
    parts = _PATH.fullmatch(path.partition("?")[0])
    assert parts is not None, path
    plural, name, sub, *_ = [*parts["rest"].split("/"), "", ""]
    space = name if plural == "namespaces" else parts["space"] or ""
    verb = VERBS.get(method) or ("get" if name else "list")
    return Right(verb, parts["api"].rpartition("/")[0], f"{plural}/{sub}" if sub else plural, space)


def _ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", ())
    going = "deletionTimestamp" in pod["metadata"]
    return not going and any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)


def _paper_node(site: Site, name: str) -> None:
    """A node that no kubelet stands behind, and that calls itself ready."""
    path = f"/api/v1/nodes/{name}"
    raw.done(site, "POST", "/api/v1/nodes", {"metadata": {"name": name}})
    condition = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    raw.merge(site, f"{path}/status", {"status": {"conditions": [condition]}})
    raw.wait_until(lambda: not raw.done(site, "GET", path)["spec"].get("taints"))


# --- manifests as data ------------------------------------------------------------------------------------------------


def documents(file: str) -> list[Object]:
    """The objects of one manifest."""
    return [one for one in yaml.safe_load_all((MANIFESTS / file).read_text()) if one]


PLURALS = {"NetworkPolicy": "networkpolicies", "ValidatingAdmissionPolicy": "validatingadmissionpolicies"}


def collection(one: Object) -> str:
    """Where objects such as this one are made."""
    version, space = one["apiVersion"], one["metadata"].get("namespace")
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    plural = PLURALS.get(one["kind"], one["kind"].lower() + "s")
    return f"{root}/namespaces/{space}/{plural}" if space else f"{root}/{plural}"


def single(one: Object) -> str:
    """Where this one is."""
    return f"{collection(one)}/{one['metadata']['name']}"


def rights(role: Object, others: Iterable[Object]) -> set[Right]:
    """What a role allows, where the bindings among the others bind it."""
    return {right for right, _ in grants(role, others)}


def grants(role: Object, others: Iterable[Object]) -> Iterator[tuple[Right, str]]:
    """The same, each with the account that is allowed it."""
    for binding in others:
        reference = binding.get("roleRef")
        if reference and (reference["kind"], reference["name"]) == (role["kind"], role["metadata"]["name"]):
            space = binding["metadata"].get("namespace", "")
            if role["metadata"].get("namespace", space) == space:
                accounts = [subject["name"] for subject in binding["subjects"]]
                yield from ((right, name) for rule in role["rules"] for right in _of(rule, space) for name in accounts)


def _of(rule: Object, space: str) -> Iterator[Right]:
    for verb in rule["verbs"]:
        for resource in rule["resources"]:
            yield Right(verb, rule["apiGroups"][0], resource, space)


def without(role: Object, right: Right) -> Object:
    """The role, with this one verb on this one resource taken out."""
    rules: list[Object] = []
    for rule in role["rules"]:
        if right.resource not in rule["resources"] or right.group not in rule["apiGroups"]:
            rules.append(rule)
            continue
        rest = [resource for resource in rule["resources"] if resource != right.resource]
        verbs = [verb for verb in rule["verbs"] if verb != right.verb]
        rules += [{**rule, "resources": rest}] if rest else []
        rules += [{**rule, "resources": [right.resource], "verbs": verbs}] if verbs else []
    return {**role, "rules": rules}


@contextlib.contextmanager
def pocket(folder: Path) -> Iterator[Site]:
    """On the pocket cluster."""
    with pocket_ground.started(folder) as ground:
        site = Site(ground)
        site.furnish()
        yield site


@contextlib.contextmanager
def real(folder: Path) -> Iterator[Site]:
    """On a real control plane."""
    programs = plane.build.built()
    assert programs is not None, "the programs are not built: make kube-build"
    running = AuditedPlane(folder, programs, USERS)
    try:
        running.start()
        site = Site(real_ground.RealGround(running))
        site.furnish()
        yield site
    finally:
        running.stop()
