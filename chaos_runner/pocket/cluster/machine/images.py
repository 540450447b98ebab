"""Which images are programs of this package, and what such a program is told. All others are synthetic pods."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from chaos_runner.pocket import world
from chaos_runner.pocket.cluster import objects
from chaos_runner.pocket.cluster.machine.messages import Check
from chaos_runner.pocket.cluster.objects import Obj, at

SERVICES = ("gateway", "checkout", "payments", "catalog")
SHOP = "chaos-runner-shop"
KEPT = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "PYTHONPATH")
REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
URL = re.compile(r"^(https?://)([a-z0-9-]+)(?:\.([a-z0-9-]+)(?:\.svc[a-z0-9.-]*)?)?(:\d+)?(/.*)?$")
FIRST_ASK_S = 1.0


def program(pod: Obj) -> tuple[str, ...] | None:
    """The command line behind the pod's first container; None for an image that is not known here."""
    container = at(pod, "spec", "containers")[0]
    repository = container["image"].partition("@")[0].rpartition("/")[2].partition(":")[0]
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    service = repository.removeprefix(f"{SHOP}-") if repository != SHOP else next(iter(words[-1:]), "")
    if not repository.startswith(SHOP) or service not in SERVICES:
        return None
    return (sys.executable, "-P", "-m", "chaos_runner.pocket.shop", service, "--until-eof")


def port_of(pod: Obj) -> int:
    """The port that the first container listens on."""
    ports = at(pod, "spec", "containers")[0].get("ports") or ()
    return int(ports[0]["containerPort"]) if ports else 8080


def environment(pod: Obj, address: str, services: Iterable[Obj]) -> dict[str, str]:
    """What the program finds in its environment.

    As in a cluster: the addresses of Services that are there already, and `$(NAME)` in values. Instead of a DNS, the
    name of such a Service as the host of a URL is replaced by its address.
    """
    known = list(services)
    env = _of_services(pod, known)
    hosts = {(objects.namespace(one), objects.name(one)): at(one, "spec", "clusterIP") for one in known}
    for row in at(pod, "spec", "containers")[0].get("env") or ():
        text = REFERENCE.sub(lambda found: env.get(found[1], found[0]), str(row.get("value", "")))
        env[row["name"]] = _resolved(text, objects.namespace(pod), hosts)
    ours = {name: value for name, value in world.environment().items() if name in KEPT}
    return {**env, **ours, "LISTEN": f"{address}:{port_of(pod)}", "HOSTNAME": objects.name(pod)}


def check_of(pod: Obj) -> Check:
    """How its readiness is asked for: its own probe, or /readyz where it has none."""
    probe = at(pod, "spec", "containers")[0].get("readinessProbe") or {}
    request = probe.get("httpGet") or {}
    port = request.get("port", port_of(pod))
    return Check(
        port=_number(pod, port),
        path=request.get("path", "/readyz"),
        delay_s=float(probe.get("initialDelaySeconds", 0)),
        every_s=float(probe.get("periodSeconds", FIRST_ASK_S)),
        timeout_s=float(probe.get("timeoutSeconds", 1)),
        failures=int(probe.get("failureThreshold", 3)),
        successes=int(probe.get("successThreshold", 1)),
    )


def _number(pod: Obj, port: int | str) -> int:
    if isinstance(port, int) or port.isdecimal():
        return int(port)
    ports = at(pod, "spec", "containers")[0].get("ports") or ()
    return int(next((one["containerPort"] for one in ports if one.get("name") == port), port_of(pod)))


def _of_services(pod: Obj, services: list[Obj]) -> dict[str, str]:
    env: dict[str, str] = {}
    for service in services:
        address, ports = at(service, "spec", "clusterIP"), at(service, "spec", "ports") or ()
        if objects.namespace(service) == objects.namespace(pod) and address not in (None, "None") and ports:
            name = objects.name(service).upper().replace("-", "_")
            env[f"{name}_SERVICE_HOST"] = address
            env[f"{name}_SERVICE_PORT"] = str(ports[0]["port"])
    return env


def _resolved(text: str, namespace: str, hosts: dict[tuple[str, str], str | None]) -> str:
    found = URL.match(text)
    address = hosts.get((found[3] or namespace, found[2])) if found else None
    if found is None or address in (None, "None"):
        return text
    return f"{found[1]}{address}{found[4] or ''}{found[5] or ''}"
