"""The embedded proxy lasts: a small measure of what tools/endurance_proxy.py tries at full size."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy import toxi
from tests.proxy.endure import figures, many, stacked
from tests.proxy.endure.churn import Churn
from tests.proxy.endure.figures import Use

CROWD = 600
BYTES = 24_000_000
TURNS = 400
CALM_S = 15.0
MEMORY_KB = 3000  # that a second churn may take beyond the first: pools that were not yet full
UPDATES: list[tuple[str, dict[str, int]]] = [
    ("latency", {"latency": 20, "jitter": 10}),
    ("slicer", {"average_size": 5, "size_variation": 2, "delay": 0}),
    ("bandwidth", {"rate": 100}),
]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[toxi.Api]:
    """A proxy that tells what lives in it."""
    api = figures.start(tmp_path / "log")
    yield api
    assert toxi.stop(api) == 0
    assert "Traceback" not in api.log.read_text(), api.log.read_text()


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    with many.echo() as port:
        yield port


def test_hundreds_of_connections_are_all_answered_and_none_is_lost_while_toxics_come_and_go(
    watched: toxi.Api, upstream: int
) -> None:
    async def scene() -> list[tuple[int, int]]:
        crowd = many.Crowd(port)
        await crowd.grow(CROWD)
        seen = [(await crowd.ask_all(), crowd.open)]
        for kind, values in UPDATES:
            await asyncio.to_thread(watched.toxic, kind, name="t", **values)
            seen.append((await crowd.ask_all(), crowd.open))
            await asyncio.to_thread(watched.drop, "t")
            seen.append((await crowd.ask_all(), crowd.open))
        assert figures.look(watched).alive["Connection"] == CROWD
        crowd.close()
        return seen

    assert many.allowed(CROWD) == CROWD
    port = toxi.port_of(watched.make("p", f"{toxi.LOOP}:{upstream}"))
    before = figures.look(watched)
    assert asyncio.run(scene()) == [(CROWD, CROWD)] * (1 + 2 * len(UPDATES))
    assert figures.left(before, figures.calm(watched, before, CALM_S)) == []


@pytest.mark.parametrize("rate", [None, 24.0], ids=["as fast as it goes", "24 MB/s"])
def test_eight_toxics_on_top_of_each_other_lose_no_byte(own: toxi.Rig, rate: float | None) -> None:
    stacked.stack(own.api)
    flow = stacked.flow(own, BYTES, rate)

    assert flow.got == BYTES
    assert flow.same
    counts = own.api("GET", "/chaos-runner/v1/counters").json["proxies"]["p"]["toxics"]
    assert sorted(counts) == sorted(f"{n}-{kind}" for n, (kind, _) in enumerate(stacked.STACK))


def test_all_eight_work_on_the_stream(own: toxi.Rig) -> None:
    """Or the law above would hold for a proxy that forgot them."""
    names = stacked.stack(own.api)
    stacked.flow(own, BYTES // 10, None)
    counts = own.api("GET", "/chaos-runner/v1/counters").json["proxies"]["p"]["toxics"]
    idle = [name for name in names if not counts[name]["affected"]]

    assert idle == [name for name in names if name.endswith("limit_data")]  # it never comes to its limit


def churned(api: toxi.Api, upstream: int, seed: int, before: Use) -> Use:
    """The proxy after so many turns of everything, when all is quiet again."""
    with Churn(api, upstream, seed) as churn:
        toxi.wait_until(lambda: churn.wrong or sum(churn.turns.values()) >= TURNS, 60)
    assert churn.wrong == []
    assert not {"exchange", "abort", "half_close", "walk_away", "toxics", "proxies"} - churn.turns.keys()
    return figures.calm(api, before, CALM_S)


def test_nothing_is_left_of_hundreds_of_comings_and_goings(watched: toxi.Api, upstream: int) -> None:
    empty = figures.look(watched)
    first = churned(watched, upstream, 1, empty)
    second = churned(watched, upstream, 2, empty)

    assert figures.left(empty, first) == []
    assert figures.left(empty, second) == []
    assert second.memory_kb < first.memory_kb + MEMORY_KB


def use(memory_kb: int, tasks: int) -> Use:
    return Use(0.0, memory_kb, 10, 1, 0.0, {"tasks": tasks, "objects": 1})


@pytest.mark.parametrize(
    ("looks", "grew"),
    [
        ([use(50_000, 5)] * 30, []),
        ([use(50_000 + 200 * n, 5) for n in range(60)], ["memory_kb"]),
        ([use(50_000, 5 + n) for n in range(60)], ["tasks"]),
        ([use(50_000 + (n % 2) * 3000, 5 + n % 7) for n in range(60)], []),
        ([use(90_000 if n > 9 else 50_000, 5) for n in range(30)], []),  # a start is no leak
        ([use(50_000, 5)] * 5, ["5 looks are too few to tell"]),
    ],
    ids=["flat", "memory", "tasks", "ups and downs", "a start", "too few"],
)
def test_growth_is_told_from_ups_and_downs(looks: list[Use], grew: list[str]) -> None:
    assert [one.partition(" grew")[0] for one in figures.growth(looks)] == grew
