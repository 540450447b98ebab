"""The operator's configuration: finds chaos-runner.yaml, picks the environment, resolves what `embedded` and
secrets stand for. Reads files and environment variables, never the network.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from chaos_runner import load, registry, spelling
from chaos_runner.config import Config
from chaos_runner.environment import AlwaysOn, Ceilings, Cluster, Environment, ProcessRef, Slo, Toxiproxy
from chaos_runner.model import Pick
from chaos_runner.plan import Refusal

DEMO = "demo"
_DEMO_ENVIRONMENT = Environment(
    toxiproxy=Toxiproxy(url="embedded"), cluster=Cluster(kubeconfig="pocket"), ceilings=Ceilings(at_once=2, in_total=4)
)
BUILT_IN = Config(kind="config/v1", environments={DEMO: _DEMO_ENVIRONMENT, "demo-resilient": _DEMO_ENVIRONMENT})
SECRET_BYTES_MAX = 65536


class Configuration(msgspec.Struct, frozen=True):
    """The configuration in force; `path` is None for the built-in one."""

    config: Config
    path: Path | None

    @property
    def names(self) -> tuple[str, ...]:
        """The environments, in the order of the file."""
        return tuple(self.config.environments)


def read(path: Path | None) -> Configuration:
    """The configuration of this file, or the built-in one. Raises load.Invalid."""
    if path is None:
        return Configuration(BUILT_IN, None)
    return Configuration(_with_slos(load.load(path, Config, kinds=kinds(), parsers=parsers()), path), path)


def _with_slos(loaded: load.Loaded[Config], path: Path) -> Config:
    """With every SLO as its OpenSLO file says it, so that a plan holds all it goes by. Raises load.Invalid."""
    config = loaded.value
    if not any(one.openslo for environment in config.environments.values() for one in environment.slos.values()):
        return config
    found = {}
    for name, environment in config.environments.items():
        slos = {
            key: _slo(one, path, loaded, ("environments", name, "slos", key, "openslo"))
            for key, one in environment.slos.items()
        }
        found[name] = msgspec.structs.replace(environment, slos=slos)
    return msgspec.structs.replace(config, environments=found)


def _slo(one: Slo, path: Path, loaded: load.Loaded[Config], where: tuple[str, ...]) -> Slo:
    if not one.openslo:
        return one
    from chaos_runner import openslo

    file, _, inside = one.openslo.partition("#")
    try:
        said = openslo.read(path.parent / file, inside)
    except openslo.Unreadable as why:
        line, col = loaded.position(where)
        found = load.Problem(loaded.document.file, line, col, ".".join(where), str(why))
        raise load.Invalid([found], {loaded.document.file: loaded.document.text}) from None
    return msgspec.structs.replace(said, service=one.service or said.service)


def kinds() -> dict[str, Any]:
    """Every kind that this file may name, imported when named."""
    return {"notifier": registry.notifiers}


def parsers() -> Mapping[type, Any]:
    """How scalars become the Structs that stand for them in YAML."""
    from chaos_runner import slo
    from chaos_runner.environment import Burn
    from chaos_runner.expect import Clause, clause
    from chaos_runner.model import Confirmation
    from chaos_runner.schedule import written

    own: dict[Any, Any] = {
        Clause: clause,
        Toxiproxy: _toxiproxy,
        Cluster: _cluster,
        AlwaysOn: _always_on,
        Burn: slo.burn_as_written,
        Pick: pick,
        Confirmation: confirmation,
    }
    return {**own, **written.PARSERS}


def _toxiproxy(text: object) -> Toxiproxy:
    if text != "embedded":
        msg = f"{text!r:.60} is neither `embedded` nor a mapping such as {{url: http://localhost:8474}}"
        raise ValueError(msg)
    return Toxiproxy(url="embedded")


def _cluster(text: object) -> Cluster:
    if text != "pocket":
        msg = (
            f"{text!r:.60} is neither `pocket` nor a mapping such as {{kubeconfig: file:~/.kube/config, context: stg}}"
        )
        raise ValueError(msg)
    return Cluster(kubeconfig="pocket")


def _always_on(text: object) -> AlwaysOn:
    if not isinstance(text, str) or not text.strip():
        msg = f"{text!r:.60} is neither an alert's name, such as Watchdog, nor a mapping such as {{alert: Watchdog}}"
        raise ValueError(msg)
    return AlwaysOn(alert=text)


def pick(value: object) -> Pick:
    """`2` or `25%`. Raises ValueError."""
    from chaos_runner.expect import quantity

    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10_000:
        return Pick(number=value)
    if isinstance(value, str) and value.strip().endswith("%"):
        share = quantity("percent", value)
        if 0 < share <= 1:
            return Pick(share=share)
    msg = f"{value!r:.60} is neither a number of targets nor a share such as 25%"
    raise ValueError(msg)


def confirmation(value: object) -> Any:
    """`read-back`, or "CHECK METRIC rises|falls >= VALUE". Raises ValueError."""
    from chaos_runner.expect import quantity, unit_of
    from chaos_runner.model import Confirmation

    words = value.split() if isinstance(value, str) else []
    if words == ["read-back"]:
        return Confirmation(text="read-back")
    if len(words) == 5 and words[2] in {"rises", "falls"} and words[3] == ">=":
        unit = unit_of(words[4])
        by = quantity(unit, words[4]) if unit else _number(words[4])
        direction: Any = words[2]
        return Confirmation(text=" ".join(words), check=words[0], metric=words[1], direction=direction, by=by)
    msg = f"{value!r:.80} is not a confirmation; write `read-back` or one such as 'ping p50 rises >= 200ms'"
    raise ValueError(msg)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        msg = f"'{text}' is not a value; write one such as 200ms"
        raise ValueError(msg) from None


def choose(configuration: Configuration, asked: str | None) -> str:
    """The environment to use. Raises Refusal naming the nearest, or asking which of several."""
    names = configuration.names
    if asked is None:
        if len(names) == 1 or configuration.path is None:
            return names[0]
        msg = f"not started: which environment? There are {', '.join(names)}; say -e NAME"
        raise Refusal(msg)
    if asked not in names:
        msg = f"not started: {spelling.unknown('environment', asked, names)}"
        raise Refusal(msg)
    return asked


def connect(configuration: Configuration, name: str, state_dir: Path) -> Environment:
    """The environment with `embedded` replaced by the demo world's addresses. Raises Refusal naming `demo up`."""
    environment = configuration.config.environments[name]
    configured = environment.cluster
    if environment.cluster is not None:
        folder = configuration.path.parent if configuration.path else Path.cwd()
        environment = msgspec.structs.replace(environment, cluster=_found(environment.cluster, folder, state_dir))
    if environment.toxiproxy is None or environment.toxiproxy.url != "embedded":
        return environment
    world = _world(name, state_dir)
    return msgspec.structs.replace(
        environment,
        cluster=_of_world(world, configured) or environment.cluster,
        toxiproxy=Toxiproxy(url=world["toxiproxy"]["url"]),
        services={**world["services"], **environment.services},
        processes={**_processes(world), **environment.processes},
    )


def _found(cluster: Cluster, folder: Path, state_dir: Path) -> Cluster:
    """With absolute paths, so that whoever undoes reads the same; `pocket` as the pocket cluster that runs here."""
    from chaos_runner.clients.kubernetes import kubeconfig

    if cluster.kubeconfig == "in-cluster":
        return cluster
    if cluster.kubeconfig != "pocket":
        return msgspec.structs.replace(cluster, kubeconfig=kubeconfig.absolute(cluster.kubeconfig, folder))
    return _pocket(state_dir) or cluster  # a run that needs none must not fail for it; the client says what to do


def _pocket(state_dir: Path) -> Cluster | None:
    try:
        with (state_dir / "pocket.json").open("rb") as file:
            there = msgspec.json.decode(file.read(SECRET_BYTES_MAX), type=_Pocket)
    except (OSError, msgspec.DecodeError):
        return None
    return Cluster(kubeconfig=f"file:{there.kubeconfig}", context=there.context, uid=there.uid)


def _of_world(world: Mapping[str, Any], configured: Cluster | None) -> Cluster | None:
    """Where the environment says `pocket`, the demo world's own cluster, if it has one."""
    pocket = configured is not None and configured.kubeconfig == "pocket"
    return Cluster(**world["cluster"]) if pocket and world["cluster"] else None


class _Pocket(msgspec.Struct, frozen=True):
    kubeconfig: str
    context: str
    uid: str


def _world(name: str, state_dir: Path) -> dict[str, Any]:
    from chaos_runner.pocket import demo

    worlds = (demo.read(state_dir) or {}).get("worlds", {})
    world: dict[str, Any] | None = worlds.get(name) or worlds.get(DEMO)
    if world is None:
        msg = f"not started: the demo is not running here ({state_dir}); start it with: chaos-runner demo up"
        raise Refusal(msg)
    return world


def _processes(world: Mapping[str, Any]) -> dict[str, ProcessRef]:
    return {
        name: ProcessRef(pid=process["pid"], start_time=process["start_time"])
        for name, process in world["processes"].items()
    }


def secrets(references: set[str]) -> dict[str, str]:
    """The values behind `env:NAME` and `file:PATH`. Raises Refusal naming the reference, never its value."""
    return {reference: _secret(reference) for reference in sorted(references)}


def references(value: object) -> set[str]:
    """Every secret reference inside plain JSON values. A kubeconfig is none: its client reads it, and what it names."""
    if isinstance(value, dict):
        return set().union(*(references(inner) for key, inner in value.items() if key != "kubeconfig"))
    if isinstance(value, list | tuple):
        return set().union(*(references(inner) for inner in value))
    return {value} if isinstance(value, str) and value.startswith(("env:", "file:")) else set()


def _secret(reference: str) -> str:
    kind, _, name = reference.partition(":")
    if kind == "env":
        if name not in os.environ:
            msg = f"not started: the secret {reference} is not set in the environment"
            raise Refusal(msg)
        return os.environ[name]
    try:
        with Path(name).expanduser().open(encoding="utf-8") as file:
            return file.read(SECRET_BYTES_MAX).strip()
    except (OSError, UnicodeDecodeError) as why:
        msg = f"not started: the secret {reference} cannot be read: {getattr(why, 'strerror', None) or 'not UTF-8'}"
        raise Refusal(msg) from None
