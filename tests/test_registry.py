"""Kinds come from files and entry points, which a test keeps equal; nothing is imported before it is asked for."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from chaos_runner import api, registry
from chaos_runner.registry import Broken, Kinds

GROUPS = {kinds.group: kinds for kinds in (registry.faults, registry.probes, registry.notifiers, registry.reports)}
PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["entry-points"]


@pytest.mark.parametrize("group", GROUPS)
def test_pyproject_names_exactly_the_files(group: str) -> None:
    kinds = GROUPS[group]
    assert sorted(PROJECT[group]) == list(kinds.names())
    for kind, value in PROJECT[group].items():
        point = importlib.metadata.EntryPoint(kind, value, group)
        assert point.load() is kinds[kind]


@pytest.mark.parametrize("group", ["chaos_runner.faults", "chaos_runner.probes"])
def test_every_kind_explains_itself_and_each_of_its_fields(group: str) -> None:
    for kind, found in GROUPS[group].items():
        assert found.kind == kind
        assert found.__doc__
        types = [found, found.selector] if group.endswith("faults") else [found]
        for type_ in types:
            assert type_.__struct_config__.frozen
            assert type_.__struct_config__.forbid_unknown_fields
            schema = msgspec.json.schema_components([type_], ref_template="{name}")[1][type_.__name__]
            for name, field in schema["properties"].items():
                assert "description" in str(field), f"{kind}.{name}"


def test_a_fault_s_ability_is_found_by_asking_for_it() -> None:
    able = {
        kind: {
            ability.__name__
            for ability in (api.Confirms, api.Fences, api.Leases, api.Scans, api.Replaces)
            if isinstance(cls, ability)
        }
        for kind, cls in registry.faults.items()
    }
    assert able == {
        "command": set(),
        "node_cordon": {"Confirms", "Fences", "Scans"},
        "node_drain": {"Confirms", "Fences", "Scans"},
        "noop": set(),
        "pod_evict": {"Confirms", "Replaces"},
        "pod_kill": {"Confirms", "Replaces"},
        "process_kill": {"Confirms", "Replaces"},
        "process_pause": {"Confirms"},
        "proxy_down": {"Confirms", "Leases", "Scans"},
        **{
            f"http_{what}": {"Confirms", "Fences", "Leases", "Scans"}
            for what in ("delay", "error", "malformed", "truncate")
        },
        "scale": {"Confirms", "Fences", "Scans"},
        "toxic": {"Confirms", "Fences", "Leases", "Scans"},
    }


def test_names_and_own_kinds_cost_neither_metadata_nor_a_client() -> None:
    code = (
        "import sys; from chaos_runner import registry; list(registry.faults.values()); list(registry.probes.values());"
        "print(*({'importlib.metadata', 'httpx2', 'asyncio'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.split() == []


def test_an_unknown_kind_is_a_key_error() -> None:
    assert "toxc" not in registry.faults
    with pytest.raises(KeyError):
        registry.faults["toxc"]
    assert registry.faults.get("toxc") is None


class Foreign:
    kind = "theirs"


def point(name: str, found: object, package: str = "acme") -> SimpleNamespace:
    def load() -> object:
        if isinstance(found, Exception):
            raise found
        return found

    return SimpleNamespace(name=name, value="acme.faults:X", dist=SimpleNamespace(name=package), load=load)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    points: list[SimpleNamespace] = []
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: points)
    return points


def test_a_kind_of_another_package_is_found_when_a_name_is_not_ours(installed: list[SimpleNamespace]) -> None:
    installed.append(point("theirs", Foreign))
    kinds: Kinds[type] = Kinds("chaos_runner.faults", "faults")
    assert "theirs" not in list(kinds)
    assert kinds["theirs"] is Foreign
    assert "theirs" in list(kinds)
    assert "theirs" in kinds.find_all()


def test_no_package_replaces_a_kind_of_ours_and_the_first_by_name_wins(installed: list[SimpleNamespace]) -> None:
    installed += [point("toxic", Foreign), point("theirs", Foreign), point("theirs", ImportError("zz"), "zz")]
    kinds: Kinds[type] = Kinds("chaos_runner.faults", "faults")
    assert kinds["toxic"] is registry.faults["toxic"]
    assert kinds["theirs"] is Foreign


@pytest.mark.parametrize("found", [ImportError("no libfoo"), SimpleNamespace(kind="other")])
def test_a_plug_in_that_cannot_be_used_is_named_with_its_package(
    found: object, installed: list[SimpleNamespace]
) -> None:
    installed.append(point("theirs", found))
    kinds: Kinds[type] = Kinds("chaos_runner.faults", "faults")
    with pytest.raises(Broken, match="'theirs' of the package acme"):
        kinds["theirs"]
