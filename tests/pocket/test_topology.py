"""Laws of the shop's table: what is made from it is in the repository, fits together, and is what the demo runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from chaos_runner import configure, files
from chaos_runner.pocket import shop, topology
from chaos_runner.pocket.cluster.machine import images
from tools import make_shop

ROOT = Path(make_shop.ROOT)
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
TEXTS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
TEXT_BY_NAME = {"type": "object", "additionalProperties": {"type": "string"}}
TIME = {"type": "string", "pattern": r"^\d+(ms|s|m)$"}


def closed(**properties: Any) -> Any:
    return {"type": "object", "additionalProperties": False, "properties": properties}


# The part of the Compose specification that the file uses; a key that is not here is a mistake, or belongs here first.
CONTAINER = closed(
    image={"type": "string", "pattern": r"^[a-z0-9./-]+:[A-Za-z0-9._-]+$"},
    build=closed(context={"type": "string"}),
    entrypoint=TEXTS,
    command=TEXTS,
    environment=TEXT_BY_NAME,
    ports={"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
    volumes={"type": "array", "items": {"type": "string", "pattern": r"^(\./[^:]*|[a-z]+):/[^:]+(:ro)?$"}},
    deploy=closed(replicas={"type": "integer", "minimum": 2}),
    depends_on={
        "type": "object",
        "additionalProperties": closed(condition={"enum": ["service_started", "service_healthy"]}),
    },
    healthcheck=closed(test=TEXTS, interval=TIME, timeout=TIME, retries={"type": "integer"}),
    profiles=TEXTS,
    working_dir={"type": "string"},
    user={"type": "string"},
)
FORM = {
    **closed(
        name={"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        services={"type": "object", "additionalProperties": {**CONTAINER, "required": ["image"]}},
        volumes={"type": "object", "additionalProperties": {"type": "object", "maxProperties": 0}},
    ),
    "required": ["services"],
}


def env_of(obj: Any) -> dict[str, str]:
    (container,) = obj["spec"]["template"]["spec"]["containers"]
    return {row["name"]: row["value"] for row in container["env"]}


def deployments(objects: list[Any]) -> dict[str, Any]:
    return {obj["metadata"]["name"]: obj for obj in objects if obj["kind"] == "Deployment"}


@pytest.mark.parametrize("name", make_shop.contents())
def test_what_is_made_from_the_table_is_in_the_repository(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == make_shop.contents()[name], "run: make shop"


def test_the_table_has_every_service_of_the_shop_after_those_that_it_calls() -> None:
    order = [part.name for part in topology.PARTS]

    assert sorted(order) == sorted(shop.SERVICES)
    for n, part in enumerate(topology.PARTS):
        assert set(part.calls.values()) <= set(order[:n]), part.name


def test_one_payments_pod_is_too_few_for_the_experiments_and_two_are_enough() -> None:
    capacity = float(topology.CAPACITY["CAPACITY"])
    check = yaml.safe_load((files.bundled() / "checks" / "shop.yaml").read_text())["checks"]["shoppers"]
    rate = float(check["with"]["rate"].removesuffix("/s"))

    assert capacity < rate * 0.9
    assert topology.BY_NAME["payments"].replicas * capacity > rate * 1.2


def test_the_compose_file_has_the_form_of_one() -> None:
    jsonschema.validate(COMPOSE, FORM)


def test_what_the_compose_file_mounts_and_waits_for_is_there() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"], volume
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            assert how["condition"] == "service_started" or "healthcheck" in SERVICES[other], name


def test_every_address_in_the_compose_file_leads_to_somebody_who_listens() -> None:
    listeners = {row["listen"].rpartition(":")[2]: row["upstream"] for row in _toxiproxy()}
    for row in _toxiproxy():
        assert row["upstream"].partition(":")[0] in SERVICES
    addresses = [value for one in SERVICES.values() for value in one.get("environment", {}).values() if "//" in value]
    assert len(addresses) >= 3
    for address in addresses:
        found = re.fullmatch(r"http://([a-z]+):(\d+)", address)
        assert found, address
        assert found[1] in SERVICES
        assert found[2] in listeners if found[1] == "toxiproxy" else found[2] == str(topology.PORT), address


def _toxiproxy() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = msgspec.json.decode((ROOT / make_shop.SHOP / "toxiproxy.json").read_bytes())
    return rows


def test_the_runner_of_the_compose_file_has_a_valid_configuration() -> None:
    environment = configure.read(ROOT / make_shop.SHOP / "chaos-runner.yaml").config.environments["compose"]

    assert environment.toxiproxy is not None
    assert environment.toxiproxy.url == "http://toxiproxy:8474"
    assert {"shop", "redis"} <= environment.services.keys()


def test_the_demo_runs_the_payments_of_the_manifests() -> None:
    ours = deployments(topology.in_pods("fragile", {"WARM_BEFORE": "1"}))["payments"]
    theirs = deployments(topology.manifests("fragile"))["payments"]

    assert env_of(ours) == env_of(theirs) | {"WARM_BEFORE": "1"}
    assert {**ours["spec"], "template": None} == {**theirs["spec"], "template": None}


def test_the_pocket_cluster_knows_every_image_of_the_shop() -> None:
    for name, deployment in deployments(topology.manifests("resilient")).items():
        argv = images.program(deployment["spec"]["template"])
        assert (argv is None) == (name == "toxiproxy")
        assert argv is None or argv[-2] == name


def test_no_manifest_says_a_service_that_nothing_is_behind() -> None:
    objects = topology.manifests("fragile")
    apps = {one["spec"]["template"]["metadata"]["labels"]["app"] for one in deployments(objects).values()}
    for obj in objects:
        if obj["kind"] == "Service":
            assert obj["spec"]["selector"]["app"] in apps
        if obj["kind"] == "PodDisruptionBudget":
            assert obj["spec"]["selector"]["matchLabels"]["app"] in apps
