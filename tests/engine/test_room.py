"""What must stay is looked at again right before each harm: a plan may be old by then. Parts have rows of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from chaos_runner.api import Bounds, Env
from chaos_runner.model import BlastRadius
from chaos_runner.plan import Part
from chaos_runner.records import FaultSpent, Target
from chaos_runner.testing import FakeFault
from tests.engine.kit import Rig, experiment, harm


class Sharing(FakeFault, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Harms `one`, and `two` with it, as long as there is room."""

    kind: ClassVar[str] = "fake_sharing"
    room: ClassVar[list[str]] = []
    asked: ClassVar[list[tuple[str, dict[str, int]]]] = []

    async def bounded(self, env: Env, selector: Any, keep: Mapping[str, int]) -> Bounds:
        target = Target("fake/two")
        params = msgspec.to_builtins(self)
        part = Part(self.kind, self.version, params, target, self.aspect(), self.reversible)
        found = await self.targets(env, selector)
        return Bounds(found, parts={found[0].key: (part,)})

    async def no_room(self, env: Env, target: Target, keep: Mapping[str, int]) -> str:
        self.asked.append((target.key, dict(keep)))
        return "too few are left" if target.key in self.room else ""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path, "one", "two")
    rig.kinds["fake_sharing"] = Sharing
    Sharing.room.clear()
    Sharing.asked.clear()
    rig.well()
    yield rig
    rig.close()


def test_what_comes_with_a_target_has_a_row_of_its_own_and_is_undone_too(rig: Rig) -> None:
    rig.run(experiment(harm(fault="fake_sharing")))

    assert [row.target.key for row in rig.ledger.faults(rig.run_id)] == ["fake/one", "fake/two"]
    assert rig.states() == ["CLOSED", "CLOSED"]
    assert not rig.harmed


def test_no_more_is_harmed_once_too_little_would_be_left(rig: Rig) -> None:
    Sharing.room.append("fake/two")
    outcome = rig.run(experiment(harm(fault="fake_sharing")))

    assert outcome.finding == "UNKNOWN"
    assert "fake/two: too few are left" in outcome.why
    assert [line for line in rig.log if line.startswith("inject")] == ["inject fake/one"]
    assert not rig.harmed
    assert {key for key, _ in Sharing.asked} == {"fake/one", "fake/two"}


def test_how_long_a_replacement_took_is_told_to_the_second(rig: Rig) -> None:
    rig.run(experiment(harm(fault="fake_kill", replaced_after=4.0)))
    (spent,) = rig.records(FaultSpent)

    assert spent.replaced
    assert 4.0 <= spent.seconds <= 5.1


def test_parts_count_in_the_blast_radius(rig: Rig) -> None:
    from chaos_runner.plan import Refusal
    from tests.engine.kit import travels

    with travels(Refusal, "allows 1 target in total, the method would touch 2"):
        rig.run(experiment(harm(fault="fake_sharing"), blast_radius=BlastRadius(at_once=1, in_total=1)))
