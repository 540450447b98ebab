"""The operator's file: found upwards, chosen by name, its secrets resolved late and never printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaos_runner import configure
from chaos_runner.config import Config
from chaos_runner.configure import Configuration
from chaos_runner.environment import Environment, Toxiproxy
from chaos_runner.model import Confirmation, Pick
from chaos_runner.plan import Refusal


def of(*names: str) -> Configuration:
    return Configuration(Config(kind="config/v1", environments={name: Environment() for name in names}), Path("x"))


def test_without_a_file_there_is_the_demo(tmp_path: Path) -> None:
    built_in = configure.read(None)

    assert configure.choose(built_in, None) == "demo"
    with pytest.raises(Refusal, match="start it with: chaos-runner demo up"):
        configure.connect(built_in, "demo", tmp_path)


def test_the_only_environment_needs_no_name_and_several_do() -> None:
    assert configure.choose(of("here"), None) == "here"
    with pytest.raises(Refusal, match="which environment\\? There are staging, production; say -e NAME"):
        configure.choose(of("staging", "production"), None)


def test_a_misspelt_environment_is_told_which_one_was_meant() -> None:
    with pytest.raises(Refusal, match="unknown environment 'stagin'; did you mean 'staging'\\?"):
        configure.choose(of("staging", "production"), "stagin")


def test_a_server_of_ones_own_needs_no_demo(tmp_path: Path) -> None:
    own = Environment(toxiproxy=Toxiproxy(url="http://127.0.0.1:8474"))
    known = Configuration(Config(kind="config/v1", environments={"here": own}), None)

    assert configure.connect(known, "here", tmp_path) is own


def test_references_are_found_however_deep() -> None:
    value = {"a": [{"token": "env:A"}, ("file:/b", 3)], "plain": "environment", "c": None}

    assert configure.references(value) == {"env:A", "file:/b"}


def test_a_secret_is_read_from_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "one")
    (tmp_path / "token").write_text("two\n")

    assert configure.secrets({"env:A_SECRET", f"file:{tmp_path}/token"}) == {
        "env:A_SECRET": "one",
        f"file:{tmp_path}/token": "two",
    }


@pytest.mark.parametrize("reference", ["env:NO_SUCH_SECRET", "file:/no/such/file", "file:/"])
def test_a_secret_that_is_missing_is_a_refusal_that_names_it(reference: str) -> None:
    with pytest.raises(Refusal, match="not started: the secret .*" + reference.replace("/", "/")):
        configure.secrets({reference})


def test_a_secret_that_is_not_text_is_a_refusal_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfesecret")
    with pytest.raises(Refusal) as why:
        configure.secrets({f"file:{tmp_path}/token"})

    assert "secret " in str(why.value)
    assert "\\xfe" not in str(why.value)


@pytest.mark.parametrize(("value", "wanted"), [(2, Pick(number=2)), ("25%", Pick(share=0.25)), (1, Pick(number=1))])
def test_a_pick_is_a_number_or_a_share(value: Any, wanted: Pick) -> None:
    assert configure.pick(value) == wanted


@pytest.mark.parametrize("value", [0, -1, True, 10_001, "0%", "101%", "2", "all", None, 1.5, [1]])
def test_any_other_pick_is_an_error(value: Any) -> None:
    with pytest.raises(ValueError, match=r"neither a number of targets nor a share|%"):
        configure.pick(value)


def test_a_confirmation_reads_as_it_is_written() -> None:
    wanted = Confirmation(text="ping p50 rises >= 200ms", check="ping", metric="p50", direction="rises", by=0.2)

    assert configure.confirmation("ping  p50 rises >= 200ms") == wanted
    assert configure.confirmation("shop ready falls >= 1").by == 1.0


@pytest.mark.parametrize(
    "value", ["", "ping p50", "ping p50 moves >= 1", "ping p50 rises > 1", "ping p50 rises >= x", 7]
)
def test_any_other_confirmation_is_an_error(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a "):
        configure.confirmation(value)
