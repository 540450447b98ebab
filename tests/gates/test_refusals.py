"""A refusal is one sentence with exit code 3, and nothing was asked of the proxy but GET."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos_runner.pocket.world import World, start_world
from tests.gates.bench import Bench, Witness

pytestmark = pytest.mark.world


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with start_world("resilient") as running:
        yield running


@pytest.fixture
def witness(world: World) -> Iterator[Witness]:
    witness = Witness(world.toxiproxy)
    yield witness
    witness.close()


def bench_of(folder: Path, world: World, witness: Witness, extra: str = "confirm: none") -> Bench:
    bench = Bench(folder, world, witness.url, extra)
    bench.write()
    return bench


def refused(bench: Bench, witness: Witness, *words: str) -> str:
    code, said = bench.run(*words)

    assert code == 3, said
    lines = said.strip().splitlines()
    assert lines[0].startswith("not started: "), said
    assert len(lines) <= 2, said
    assert witness.methods() <= {"GET"}
    assert bench.toxics() == []
    return lines[0]


def test_zero_targets(tmp_path: Path, world: World, witness: Witness) -> None:
    bench = bench_of(tmp_path, world, witness)
    bench.write(target='{proxies: "nobody*"}')

    assert "proxies nobody* matches no target" in refused(bench, witness)


def test_a_name_that_is_not_there(tmp_path: Path, world: World, witness: Witness) -> None:
    bench = bench_of(tmp_path, world, witness)
    bench.write(target="{proxy: payment}")

    assert "there is no proxy 'payment'; did you mean 'payments'?" in refused(bench, witness)


def test_more_targets_than_the_cap(tmp_path: Path, world: World, witness: Witness) -> None:
    bench = bench_of(tmp_path, world, witness)
    bench.write(target='{proxies: "*", pick: 2}')

    assert "blast_radius allows 1 target in total, the method would touch 2" in refused(bench, witness)


def test_a_protected_name(tmp_path: Path, world: World, witness: Witness) -> None:
    bench = bench_of(tmp_path, world, witness, "protected: [payments]")

    assert "proxy/payments is protected" in refused(bench, witness)


def test_a_ceiling(tmp_path: Path, world: World, witness: Witness) -> None:
    bench = bench_of(tmp_path, world, witness, "ceilings: {max_duration: 30s}")

    assert "blast_radius.max_duration 60s exceeds the ceiling of 30s in 'here'" in refused(bench, witness)


def test_a_pulled_lever(tmp_path: Path, world: World, witness: Witness) -> None:
    bench = bench_of(tmp_path, world, witness)
    assert bench.command("halt", "--reason", "freeze")[0] == 0
    sentence = refused(bench, witness)

    assert "pulled the lever" in sentence
    assert "freeze" in sentence
    assert "chaos-runner resume global" in sentence


def test_an_environment_that_nobody_confirmed(tmp_path: Path, world: World, witness: Witness) -> None:
    bench = bench_of(tmp_path, world, witness, "confirm: type-name")

    assert "'here' asks for confirmation and there is no terminal; say --yes" in refused(bench, witness)


def test_a_proxy_that_does_not_answer(tmp_path: Path, world: World, witness: Witness) -> None:
    bench = bench_of(tmp_path, world, witness)
    witness.close()

    assert "not sent" in refused(bench, witness)


def test_a_target_that_is_down_before_the_fault(tmp_path: Path, world: World, witness: Witness) -> None:
    bench = bench_of(tmp_path, world, witness)
    bench.write(check='url: "http://127.0.0.1:9/checkout"')
    code, said = bench.run()

    assert code == 3, said
    assert "does not hold in the baseline" in said
    assert witness.methods() <= {"GET"}
    assert bench.toxics() == []


def test_plan_only_reads(tmp_path: Path, world: World, witness: Witness) -> None:
    bench = bench_of(tmp_path, world, witness)
    code, said = bench.command("plan", "e.yaml")

    assert code == 0, said
    assert witness.methods() == {"GET"}
    assert not (tmp_path / ".chaos-runner").exists()


@pytest.mark.real
def test_a_layer_that_the_real_proxy_does_not_offer(tmp_path: Path, real_path: str) -> None:
    with start_world("resilient", real_path) as world:
        witness = Witness(world.toxiproxy)
        try:
            bench = bench_of(tmp_path, world, witness)
            said = refused(bench, witness, "--require-layer", "lease")
        finally:
            witness.close()

    assert "the layer 'lease' is required, and this target offers: runner, guardian" in said
