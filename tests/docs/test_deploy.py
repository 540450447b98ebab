"""The units and the cron line say what systemd understands, and call what we have."""

from __future__ import annotations

import argparse
import configparser
import importlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from chaos_runner import configure, files, planning
from chaos_runner.cli.main import COMMANDS
from tests.docs.pages import ROOT

UNITS = sorted((ROOT / "deploy" / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
JANITORS = [unit for unit in SERVICES if "schedule" not in unit.stem and "serve" not in unit.stem]
CRON = ROOT / "deploy" / "chaos-runner.cron"
KUBERNETES = ROOT / "deploy" / "kubernetes"
GUIDE = ROOT / "docs" / "guides" / "run-in-a-cluster.md"
CLOSED_OFF = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "PrivateTmp": "yes",
    "ReadWritePaths": "/var/lib/chaos-runner",
    "CapabilityBoundingSet": "",
}


def read(unit: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    return parser


def accepted(words: list[str]) -> argparse.Namespace:
    assert words[0] == "chaos-runner"
    assert words[1] in COMMANDS
    parser = argparse.ArgumentParser(exit_on_error=False)
    importlib.import_module(f"chaos_runner.cli.{words[1]}").options(parser)
    return parser.parse_args(words[2:])


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_a_unit_calls_what_we_have_and_writes_only_its_state(unit: Path) -> None:
    service = read(unit)["Service"]
    env, *words = shlex.split(service["ExecStart"])
    args = accepted(words)

    assert env == "/usr/bin/env"
    assert str(args.state) == service["ReadWritePaths"]
    assert {name: service.get(name) for name in CLOSED_OFF} == CLOSED_OFF


@pytest.mark.parametrize("unit", JANITORS, ids=lambda unit: unit.stem)
def test_a_janitor_takes_nobody_s_word_and_stays_only_where_it_says_so(unit: Path) -> None:
    service = read(unit)["Service"]
    args = accepted(shlex.split(service["ExecStart"])[1:])

    assert not args.ledger_lost
    assert (args.every is None) == (service["Type"] == "oneshot")


def test_stopping_the_daemon_stops_no_run() -> None:
    service = read(ROOT / "deploy" / "systemd" / "chaos-runner-schedule.service")["Service"]
    args = accepted(shlex.split(service["ExecStart"])[1:])

    assert (service["KillMode"], service["SendSIGKILL"], args.on_stop) == ("process", "no", "finish")
    assert (service["Type"], args.verb) == ("notify", "run")
    assert str(args.reports).startswith(service["ReadWritePaths"])


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_only_the_boot_unit_waits_for_the_network(unit: Path) -> None:
    waits = "network-online.target" in read(unit)["Unit"].get("After", "")

    assert waits == ("boot" in unit.stem)


def test_the_timer_is_for_a_service_that_is_there() -> None:
    (timer,) = (unit for unit in UNITS if unit.suffix == ".timer")

    assert timer.with_suffix(".service") in SERVICES
    assert read(timer)["Timer"]["OnUnitInactiveSec"] == "30s"


def test_the_cron_lines_call_what_we_have() -> None:
    lines = [
        line
        for line in CRON.read_text().splitlines()
        if line and not line.startswith("#") and "=" not in line.split()[0]
    ]
    assert len(lines) == 2
    for line in lines:
        found = re.fullmatch(r"(?:@reboot|(?:\S+ ){4}\S+) +chaos-runner +(.*)", line)
        assert found, line
        assert not accepted(shlex.split(found[1])).ledger_lost


def test_every_file_is_in_the_guide_which_is_one_screen() -> None:
    text = (ROOT / "deploy" / "README.md").read_text()

    assert [unit.name for unit in (*UNITS, CRON) if f"/{unit.name})" not in text.replace("(", "/")] == []
    assert len(text.splitlines()) < 50


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run([analyze, "verify", *UNITS], capture_output=True, text=True, timeout=60, check=False)

    said = [line for line in (done.stdout + done.stderr).splitlines() if "chaos-runner" in line]
    assert (done.returncode, said) == (0, [])


# --- in a cluster -----------------------------------------------------------------------------------------------------


def objects(file: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((KUBERNETES / file).read_text()) if one]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """The Job's and the janitor's pods."""
    for one in (*objects("run.yaml"), *objects("janitor.yaml")):
        job = {"Job": one.get("spec"), "CronJob": one.get("spec", {}).get("jobTemplate", {}).get("spec")}
        if one["kind"] in job:
            spec = job[one["kind"]]
            assert spec is not None
            yield one["kind"], spec["template"]["spec"]


def allowed(rules: list[dict[str, Any]]) -> str:
    """As the guide writes it: resources by name, each with its verbs."""
    verbs: dict[str, set[str]] = {}
    for rule in rules:
        for resource in rule["resources"]:
            verbs.setdefault(resource, set()).update(rule["verbs"])
    return "; ".join(sorted(f"{resource}: {', '.join(sorted(mine))}" for resource, mine in verbs.items()))


@pytest.mark.parametrize("kind", ["pod_kill", "pod_evict", "node_cordon", "node_drain", "scale"])
def test_the_guide_names_the_very_rights_of_the_manifest(kind: str) -> None:
    (row,) = [line for line in GUIDE.read_text().splitlines() if line.startswith(f"| `{kind}` |")]
    _, manifest, target, everywhere, elsewhere = [cell.strip() for cell in row.strip("|").split("|")]
    every = objects(re.sub(r".*/(.+)\)", r"\1", manifest))
    roles = {(one["kind"], one["metadata"]["name"]): one["rules"] for one in every if one["kind"].endswith("Role")}

    found = {"shop": "", "": "", "default": ""}
    for binding in (one for one in every if "roleRef" in one):
        space = binding["metadata"].get("namespace", "")
        found[space] = allowed(roles.pop((binding["roleRef"]["kind"], binding["roleRef"]["name"])))
    assert roles == {}
    told = {"shop": target, "": everywhere, "default": elsewhere.removeprefix("default: ")}
    if kind == "node_drain":
        told["shop"] = told["shop"].removeprefix("those of `pod_evict`, in the namespace of every pod that goes")
    assert told == found


def test_every_manifest_is_in_the_guide() -> None:
    text = GUIDE.read_text()
    assert [path.name for path in KUBERNETES.iterdir() if path.name not in text] == []


def test_pods_run_what_we_have_as_nobody_special_and_write_only_their_volume() -> None:
    found = dict(pods())
    assert set(found) == {"Job", "CronJob"}
    for spec in found.values():
        (container,) = spec["containers"]
        args = accepted(["chaos-runner", *container["args"]])
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        assert args.state.parent == Path("/var/lib/chaos-runner")
        assert [path for path, mount in mounts.items() if not mount.get("readOnly")] == [
            "/var/lib/chaos-runner",
            "/tmp",
        ]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
        }  # fmt: skip
        assert spec["restartPolicy"] == "Never"
        assert spec["hostname"]


def test_volumes_are_held_by_one_pod_at_a_time() -> None:
    claims = [one for file in ("run.yaml", "janitor.yaml") for one in objects(file) if one["kind"].endswith("Claim")]
    assert [one["spec"]["accessModes"] for one in claims] == [["ReadWriteOncePod"]] * 2


def test_the_experiment_of_the_job_is_one_and_its_environment_is_what_the_guide_asks_for(tmp_path: Path) -> None:
    (config,) = [one["data"] for one in objects("run.yaml") if one["kind"] == "ConfigMap"]
    for name, text in config.items():
        (tmp_path / name).write_text(text)
    (named,) = re.findall(r"max_duration` \+ (\d) min", GUIDE.read_text())

    experiment = files.read_experiment(tmp_path / "experiment.yaml").value
    environment = configure.read(tmp_path / "chaos-runner.yaml").config.environments["here"]
    assert msgspec.to_builtins(environment.require) == {"layer": "runner"}
    assert environment.cluster is not None
    assert environment.cluster.kubeconfig == "in-cluster"
    assert experiment.blast_radius.max_duration <= environment.ceilings.max_duration
    assert float(named) * 60 == planning.JANITOR_S


def test_the_image_is_built_from_what_the_package_needs_and_runs_as_nobody_special() -> None:
    stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")
    last = stages[-1].splitlines()
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]

    assert len(stages) == 3
    assert "USER 65532:65532" in last
    assert last.index("USER 65532:65532") < last.index('ENTRYPOINT ["chaos-runner"]')
    assert not any(word in line for line in last for word in ("ARG ", "SECRET", "TOKEN", "PASSWORD"))
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
    assert all((ROOT / name).exists() for name in kept)
    needed = {"chaos_runner", "experiments", "scenarios", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"}
    assert set(kept) == needed
