"""Writes what is made from the table of the demo shop: docker-compose.yml, and its manifests under deploy/shop.

`--check` writes nothing and exits 1 when a file is not what it should be.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import yaml

from chaos_runner.pocket import topology
from chaos_runner.pocket.topology import API_PORT, BY_NAME, EDGE, PARTS, PORT, Part

ROOT = Path(__file__).resolve().parent.parent
SHOP = "deploy/shop"
MODE = "fragile"
NOTE = (
    "# Written by tools/make_shop.py from chaos_runner/pocket/topology.py: change the table there, then `make shop`.\n"
)
COMPOSE = """\
# The demo shop, Toxiproxy, Redis and Prometheus as containers, and the runner beside them:
#
#   docker compose up --build --wait
#   docker compose run --rm runner run experiments/slow-payments.yaml -e compose
#   docker compose down --volumes
#
# Its form is checked by tests/pocket/test_topology.py; it was written where no Docker was, and has not been run there.
# SHOP_MODE=resilient gives the other shop.
"""
MANIFESTS = """\
# The demo shop for a cluster of your own: build the image from the Dockerfile, tag it chaos-runner-shop:1, then
# kubectl apply -f deploy/shop/shop.yaml. For the other shop: kubectl -n shop set env deployment --all MODE=resilient
"""
CONFIG = """\
# The operator's file for docker-compose.yml; the runner there has it as /srv/chaos-runner/chaos-runner.yaml.
"""
REDIS, REDIS_PORT, REDIS_LISTENER = "redis:7.4-alpine", 6379, 21003
PROMETHEUS = "prom/prometheus:v2.53.0"
READY = "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"
Obj = dict[str, Any]


def contents() -> dict[str, str]:
    """Each file, and what it should say."""
    return {
        "docker-compose.yml": NOTE + COMPOSE + _yaml(compose()),
        f"{SHOP}/shop.yaml": NOTE + MANIFESTS + "---\n".join(_yaml(one) for one in topology.manifests(MODE)),
        f"{SHOP}/toxiproxy.json": _json(topology.proxies({"redis": (REDIS_LISTENER, f"redis:{REDIS_PORT}")})),
        f"{SHOP}/prometheus.yml": NOTE + _yaml(_prometheus()),
        f"{SHOP}/chaos-runner.yaml": NOTE + CONFIG + _yaml(_config()),
    }


def compose() -> Obj:
    """The Compose file."""
    return {
        "name": "chaos-runner-shop",
        "services": {
            **{part.name: _container(part) for part in PARTS},
            "toxiproxy": {
                "image": topology.TOXIPROXY,
                "command": ["-host=0.0.0.0", "-config=/config/toxiproxy.json"],
                "ports": [f"127.0.0.1:{API_PORT}:{API_PORT}"],
                "volumes": [f"./{SHOP}/toxiproxy.json:/config/toxiproxy.json:ro"],
            },
            "redis": {"image": REDIS, "command": ["redis-server", "--save", "", "--appendonly", "no"]},
            "prometheus": {
                "image": PROMETHEUS,
                "ports": ["127.0.0.1:9090:9090"],
                "volumes": [f"./{SHOP}/prometheus.yml:/etc/prometheus/prometheus.yml:ro"],
            },
            "runner": _runner(),
        },
        "volumes": {"state": {}},
    }


def _container(part: Part) -> Obj:
    env = topology.environment(part, MODE, "toxiproxy") | {"MODE": f"${{SHOP_MODE:-{MODE}}}"}
    return {
        "image": topology.IMAGE,
        "build": {"context": "."},
        "entrypoint": list(topology.PROGRAM),
        "command": [part.name],
        "environment": env,
        **({"ports": [f"127.0.0.1:9000:{PORT}"]} if part.name == EDGE else {}),
        **({"deploy": {"replicas": part.replicas}} if part.replicas > 1 else {}),
        **({"depends_on": needed} if (needed := _needed(part)) else {}),
        "healthcheck": {"test": ["CMD", "python", "-c", READY], "interval": "2s", "timeout": "3s", "retries": 30},
    }


def _needed(part: Part) -> Obj:
    called = [BY_NAME[name] for name in part.calls.values()]
    before = {"toxiproxy": {"condition": "service_started"}} if any(one.listener for one in called) else {}
    return before | {one.name: {"condition": "service_healthy"} for one in called}


def _runner() -> Obj:
    return {
        "image": topology.IMAGE,
        "profiles": ["run"],
        "entrypoint": ["chaos-runner"],
        "command": ["doctor", "-e", "compose"],
        "working_dir": "/srv/chaos-runner",
        "environment": {"CHAOS_RUNNER_STATE": "/var/lib/chaos-runner/state"},
        "user": "0:0",  # the folder of reports belongs to whoever checked this out
        "volumes": [
            f"./{SHOP}/chaos-runner.yaml:/srv/chaos-runner/chaos-runner.yaml:ro",
            "./experiments:/srv/chaos-runner/experiments:ro",
            "./reports:/srv/chaos-runner/reports",
            "state:/var/lib/chaos-runner",
        ],
        "depends_on": {EDGE: {"condition": "service_healthy"}},
    }


def _prometheus() -> Obj:
    jobs = [
        {"job_name": part.name, "dns_sd_configs": [{"names": [part.name], "type": "A", "port": PORT}]} for part in PARTS
    ]
    return {"global": {"scrape_interval": "2s"}, "scrape_configs": jobs}


def _config() -> Obj:
    services = {part.name: f"http://{part.name}:{PORT}" for part in PARTS if part.name != EDGE}
    seen = {f"{part.name}-proxied": topology.address(part, "toxiproxy") for part in topology.PROXIED}
    environment = {
        "toxiproxy": {"url": f"http://toxiproxy:{API_PORT}"},
        "services": {
            "shop": f"http://{EDGE}:{PORT}", **services, **seen, "redis": f"toxiproxy:{REDIS_LISTENER}"
        },
        "ceilings": {"at_once": 2, "in_total": 4},
    }  # fmt: skip
    return {"kind": "config/v1", "environments": {"compose": environment}}


def _yaml(value: Obj) -> str:
    text: str = yaml.dump(value, Dumper=_Plain, sort_keys=False, width=110)
    return text


class _Plain(yaml.SafeDumper):
    """Writes out what occurs twice: a manifest is easier to change without references."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        return True


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def main(argv: list[str] | None = None) -> int:
    """1 where `--check` finds a file that is not what it should be."""
    check = "--check" in (sys.argv[1:] if argv is None else argv)
    stale = [name for name, text in contents().items() if not _same(ROOT / name, text)]
    for name in stale:
        print(f"{'stale' if check else 'wrote'}  {name}")
        if not check:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(contents()[name], encoding="utf-8")
    return 1 if check and stale else 0


def _same(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
