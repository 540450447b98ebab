"""The units and the cron line say what systemd understands, and call what we have."""

from __future__ import annotations

import argparse
import configparser
import importlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from chaos_runner.cli.main import COMMANDS
from tests.docs.pages import ROOT

UNITS = sorted((ROOT / "deploy" / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
CRON = ROOT / "deploy" / "chaos-runner.cron"
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
    assert not args.ledger_lost
    assert (args.every is None) == (service["Type"] == "oneshot")


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
    assert len(text.splitlines()) < 45


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run([analyze, "verify", *UNITS], capture_output=True, text=True, timeout=60, check=False)

    said = [line for line in (done.stdout + done.stderr).splitlines() if "chaos-runner" in line]
    assert (done.returncode, said) == (0, [])
