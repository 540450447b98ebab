"""Who wants to know before a run is told of those that begin, and of no others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos_runner.store import levers
from tests.cli import kit
from tests.cli.conftest import Call
from tests.notify.test_webhook import Hook, hook

CONFIG = """\
kind: config/v1
environments: {local: {}}
notify: [{webhook: "env:HOOK", on: [before]}]
"""


def given(home: Path, there: Hook, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiment whose steady state nobody can measure: it begins, and injects nothing."""
    monkeypatch.setenv("HOOK", there.url)
    (home / "chaos-runner.yaml").write_text(CONFIG)
    file = home / "e.yaml"
    file.write_text(kit.EXPERIMENT.format(port=9, file=home / "mark"))
    return file


def test_a_run_that_begins_is_announced_under_its_own_id(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hook(202) as there:
        said = call("run", given(home, there, monkeypatch), "--no-report", "-o", "json")

    [body] = there.bodies
    assert said.code == 3
    assert body["type"] == "io.chaos-runner.run.announced"
    assert body["data"]["halt"] == f"chaos-runner halt --run {body['data']['run']}"
    assert body["data"]["run"] in call("history").out
    assert "noop/thing" in json.dumps(body["data"]["targets"])


def test_a_run_that_is_refused_is_announced_to_nobody(call: Call, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "state").mkdir(mode=0o700)
    levers.pull(home / "state", "global", "ada", "not now")
    with hook(202) as there:
        said = call("run", given(home, there, monkeypatch), "--no-report")

    assert said.code == 3
    assert there.bodies == []
