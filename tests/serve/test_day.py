"""A whole game day with a real conductor, where everything that people say and do comes from a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos_runner.gameday.facts import Answered, HaltAsked, Predicted
from tests.conductor.rig import Rig, port
from tests.serve.kit import Served, Visit, serving

pytestmark = pytest.mark.world


class FromABrowser(Rig):
    """Says nothing but by the forms of pages."""

    served: Served
    visits: dict[str, Visit]

    def say(self, line: str, who: str = "fay") -> Any:
        verb, _, rest = line.partition(" ")
        if who not in self.visits:
            self.visits[who] = self.served.enter("operator", who)
        answer = self.served.send(self.visits[who], f"/days/{self.id}/say", verb=verb, line=rest)
        assert answer.status == 303, answer.text


@pytest.fixture(name="rig")
def _rig(tmp_path: Path) -> Iterator[FromABrowser]:
    (tmp_path / "reports").mkdir()
    with port() as address:
        rig = FromABrowser(tmp_path, address, hold_s=30)
        rig.visits = {}
        try:
            rig.begin()
            with serving(rig.state) as rig.served:
                yield rig
        finally:
            rig.clean()


def test_a_day_is_conducted_and_halted_from_browsers_alone(rig: FromABrowser) -> None:
    rig.to_checkpoint()
    rig.to_fault()
    viewer = rig.served.enter("viewer", "abe")
    rig.until(lambda: "injected" in rig.served.get(viewer, f"/days/{rig.id}").text)
    value = rig.served.ask("GET", f"/api/v1/days/{rig.id}", rig.served.bearer("viewer")).json
    began = time.monotonic()
    halted = rig.served.send(viewer, "/halt", scope="environment.here", reason="enough", day=rig.id)
    rig.until(lambda: not rig.faults["one"].exists())
    took = time.monotonic() - began
    rig.until(lambda: "fault gone" in rig.served.get(viewer, halted.headers["location"]).text)
    told = rig.served.get(viewer, halted.headers["location"]).text
    rig.until_asked("outcome")
    rig.say("end we saw enough")
    over = rig.until_over()
    rig.until(lambda: "The day was stopped" in rig.served.get(viewer, f"/days/{rig.id}").text)
    resumed = rig.served.send(rig.visits["fay"], "/resume", scope="environment.here", reason="the day is over")

    print(f"\nfrom the form to the fault gone: {took:.2f} s")
    assert value["running"]["checks"][0]["word"] in {"ok", "unknown"}
    assert value["running"]["faults"][0]["title"] == "noop on noop/thing"
    assert "1 fault gone" in told
    facts = rig.facts()
    assert [fact.who for fact in facts if isinstance(fact, HaltAsked)] == ["abe"]
    assert [fact.who for fact in facts if isinstance(fact, Predicted)] == ["otto"]
    assert {fact.who for fact in facts if isinstance(fact, Answered)} == {"fay"}
    assert over.steps[1].headline == "ABORTED"
    assert resumed.status == 303
