"""Pods are reached where they are, Services send to ready pods only, and the whole shop runs behind them."""

from __future__ import annotations

import http.client
import json
import socket
import time
from typing import Any

import pytest

from tests.pocket.cluster.kit import (
    DEPLOYMENTS,
    PODS,
    PORT,
    Client,
    answer,
    name,
    namespace,
    ready,
    shop,
    until,
)

pytestmark = pytest.mark.world


def test_a_service_balances_over_ready_pods_for_each_connection(cluster: Client) -> None:
    ns = namespace(cluster, "service")
    cluster.make(DEPLOYMENTS.format(ns), shop("payments", 2))
    spec = {"selector": {"app": "payments"}, "ports": [{"port": 80, "targetPort": PORT}]}
    service = cluster.make(f"/api/v1/namespaces/{ns}/services", {"metadata": {"name": "payments"}, "spec": spec})
    address = service["spec"]["clusterIP"]
    assert address.startswith("127.78.")
    pods = until(lambda: found if len(found := ready(cluster, ns)) == 2 else None)
    until(lambda: _behind(cluster, ns) == 2)
    until(lambda: all(_served(pod) for pod in pods if answer(address, 80, "/charges")[0] == 200))

    cluster.ask("DELETE", f"{PODS.format(ns)}/{name(pods[0])}", {"gracePeriodSeconds": 1})
    cluster.ask(
        "PATCH", f"{DEPLOYMENTS.format(ns)}/payments", {"spec": {"replicas": 0}}, "application/merge-patch+json"
    )
    until(lambda: _behind(cluster, ns) == 0)
    with pytest.raises(OSError):
        for _ in until(lambda: range(20)):
            answer(address, 80, "/charges")
            time.sleep(0.1)


def _behind(cluster: Client, ns: str) -> int:
    slices = cluster.items(f"/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices")
    return sum(1 for one in slices for end in one["endpoints"] if end["conditions"]["ready"])


def _served(pod: Any) -> bool:
    connection = http.client.HTTPConnection(pod["status"]["podIP"], PORT, timeout=5)
    try:
        connection.request("GET", "/metrics")
        return 'path="/charges"' in connection.getresponse().read().decode()
    finally:
        connection.close()


def test_the_shop_runs_behind_its_services(cluster: Client) -> None:
    ns = namespace(cluster, "shop")
    needs = {
        "payments": {},
        "catalog": {},
        "checkout": {"PAYMENTS_URL": "http://payments"},
        "gateway": {"CHECKOUT_URL": "http://checkout.shop.svc:80", "CATALOG_URL": "http://$(CATALOG_SERVICE_HOST):80"},
    }
    for service, env in needs.items():
        spec = {"selector": {"app": service}, "ports": [{"port": 80, "targetPort": PORT}]}
        cluster.make(f"/api/v1/namespaces/{ns}/services", {"metadata": {"name": service}, "spec": spec})
        wanted = shop(service, 1)
        rows = [{"name": name, "value": value} for name, value in {"MODE": "resilient", **env}.items()]
        wanted["spec"]["template"]["spec"]["containers"][0]["env"] = rows
        cluster.make(DEPLOYMENTS.format(ns), wanted)
    until(lambda: _behind(cluster, ns) == 4)
    address = cluster.get(f"/api/v1/namespaces/{ns}/services/gateway")["spec"]["clusterIP"]

    until(lambda: _reached(address))
    assert answer(address, 80, "/catalog")[0] == 200


def _listens(address: str) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((address, PORT)) == 0


def _reached(address: str) -> bool:
    connection = http.client.HTTPConnection(address, 80, timeout=5)
    try:
        connection.request("POST", "/checkout")
        reply = connection.getresponse()
        return reply.status == 200 and json.loads(reply.read())["status"] == "paid"
    except OSError:
        return False
    finally:
        connection.close()


def test_a_pod_is_ready_after_its_warm_up_and_not_before(cluster: Client) -> None:
    ns = namespace(cluster, "warm")
    wanted = shop("catalog", 1)
    probe = {"httpGet": {"path": "/readyz", "port": PORT}, "initialDelaySeconds": 3}
    spec = {"selector": {"app": "catalog"}, "ports": [{"port": 80, "targetPort": PORT}]}
    service = cluster.make(f"/api/v1/namespaces/{ns}/services", {"metadata": {"name": "catalog"}, "spec": spec})
    wanted["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = probe
    cluster.make(DEPLOYMENTS.format(ns), wanted)
    until(lambda: [pod for pod in cluster.items(PODS.format(ns)) if pod["status"]["phase"] == "Running"])
    began = time.monotonic()
    until(lambda: _listens(cluster.items(PODS.format(ns))[0]["status"]["podIP"]))

    assert not ready(cluster, ns)
    with pytest.raises(OSError):  # a Service sends nobody to a pod that is not ready
        answer(service["spec"]["clusterIP"], 80, "/products")
    until(lambda: ready(cluster, ns))
    assert time.monotonic() - began > 2
