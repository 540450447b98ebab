"""Whatever others do to a proxy while a fault is on it survives the undo untouched, and is told as drift.

The oracle is a twin: a proxy without any fault that gets the very same edits from others.
"""

from __future__ import annotations

import contextlib
from typing import Any, Literal, NamedTuple

import anyio
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from chaos_runner.api import Absent, Doubt, Env, Observation, Refused
from chaos_runner.environment import Environment, Toxiproxy
from chaos_runner.faults.proxy_down import ProxyDown
from chaos_runner.faults.toxic import ToxicFault
from chaos_runner.records import Target
from tests.faults.conftest import MARK
from tests.proxy import toxi

UPSTREAMS = ("127.0.0.1:9", "127.0.0.1:19")
FAULTS: tuple[ToxicFault | ProxyDown, ...] = (
    ToxicFault(type="latency", latency=0.4),
    ToxicFault(type="bandwidth", rate=64_000.0, stream="upstream"),
    ToxicFault(type="timeout", timeout=0.0),
    ProxyDown(),
)
When = Literal["before", "during", "after"]  # the injection, the fault, the undo


class Edit(NamedTuple):
    """One request of somebody else's about a proxy; `{}` stands for its name."""

    when: When
    method: str
    path: str
    body: dict[str, Any] | None = None


names = st.sampled_from(["theirs", "new", "other"])
requests = st.one_of(
    st.builds(
        lambda name, stream, value: (
            "POST",
            "/proxies/{}/toxics",
            {"name": name, "type": "latency", "stream": stream, "attributes": {"latency": value}},
        ),
        names,
        st.sampled_from(["upstream", "downstream"]),
        st.integers(0, 9),
    ),
    st.builds(
        lambda name, value: ("PATCH", f"/proxies/{{}}/toxics/{name}", {"attributes": {"latency": value}}),
        names,
        st.integers(0, 9),
    ),
    st.builds(lambda name: ("DELETE", f"/proxies/{{}}/toxics/{name}", None), names),
    st.builds(lambda enabled: ("PATCH", "/proxies/{}", {"enabled": enabled}), st.booleans()),
    st.builds(lambda upstream: ("PATCH", "/proxies/{}", {"upstream": upstream}), st.sampled_from(UPSTREAMS)),
    st.integers(0, 2).map(lambda rare: ("PATCH" if rare else "DELETE", "/proxies/{}", {} if rare else None)),
    # Ours, too: the twin has none, so that there it is a 404.
    st.just(("DELETE", f"/proxies/{{}}/toxics/{MARK}", None)),
    st.just(("PATCH", f"/proxies/{{}}/toxics/{MARK}", {"toxicity": 0.5, "attributes": {}})),
)
edits = st.lists(st.builds(lambda when, it: Edit(when, *it), st.sampled_from(["before", "during", "after"]), requests))


class Twins:
    """The proxies `p`, which gets a fault, `q`, which does not, and `r` and `s`, which nobody touches."""

    def __init__(self, api: toxi.Api, fault: ToxicFault | ProxyDown) -> None:
        self.api, self.fault = api, fault
        api.clear()
        for name in ("p", "q", "r"):
            api.make(name, UPSTREAMS[0])
            api.toxic("latency", "upstream", proxy=name, name="theirs", latency=1)
        api.make("s", UPSTREAMS[0], enabled=False)
        self.was = self.shown("q")
        self.others = self.shown("r"), self.shown("s")

    def edit(self, edits: list[Edit], when: When) -> None:
        for edit in edits:
            if edit.when == when and not self.ours(edit, when):
                statuses = [self.api(edit.method, edit.path.format(name), edit.body).status for name in ("p", "q")]
                assert statuses[0] == statuses[1] or MARK in edit.path

    def ours(self, edit: Edit, when: When) -> bool:
        """A proxy that is disabled after its undo is what a late request looks like: that is undone, not theirs."""
        return isinstance(self.fault, ProxyDown) and "enabled" in (edit.body or {}) and when == "after"

    def shown(self, name: str) -> dict[str, Any] | None:
        answer = self.api("GET", f"/proxies/{name}")
        return None if answer.status == 404 else answer.json | {"name": "", "listen": ""}

    def undone(self) -> None:
        """What the undo of a fault on `enabled` means to the twin: that value is ours as long as the fault is there."""
        if isinstance(self.fault, ProxyDown):
            self.api("PATCH", "/proxies/q", {"enabled": True})


async def lived(twins: Twins, edits: list[Edit]) -> Observation:
    """A fault from its beginning to its end, with what others do meanwhile."""
    env = Env("test", Environment(toxiproxy=Toxiproxy(url=f"http://127.0.0.1:{twins.api.port}")))
    fault = twins.fault
    try:
        undo = await fault.prepare(env, Target("proxy/p", UPSTREAMS[0]), MARK)
        await fault.lease(env, undo, 60)
        twins.edit(edits, "before")
        with contextlib.suppress(Refused, Doubt):
            await fault.inject(env, undo)
        twins.edit(edits, "during")
        await fault.revert(env, undo)
        twins.undone()
        twins.edit(edits, "after")
        seen = await fault.observe(env, undo)
        await fault.revert(env, undo)  # it is safe to repeat, and still not theirs
        await fault.release(env, undo)
        return seen
    finally:
        await env.aclose()


@pytest.mark.parametrize("server", ["embedded", pytest.param("real", marks=pytest.mark.real)])
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(fault=st.sampled_from(FAULTS), edits=edits)
def test_what_others_change_survives_every_fault_and_its_undo(
    request: pytest.FixtureRequest, server: str, fault: ToxicFault | ProxyDown, edits: list[Edit]
) -> None:
    twins = Twins(request.getfixturevalue(f"{server}_proxy"), fault)
    seen = anyio.run(lived, twins, edits)
    try:
        check(twins, seen)
    finally:
        twins.api.clear()  # the server is shared


def check(twins: Twins, seen: Observation) -> None:
    theirs = twins.shown("q")
    event(f"{twins.fault.kind}: {'deleted' if theirs is None else 'changed' if theirs != twins.was else 'untouched'}")
    assert twins.shown("p") == theirs
    assert (twins.shown("r"), twins.shown("s")) == twins.others
    assert isinstance(seen, Absent), seen
    assert bool(seen.drift) == (theirs != twins.was), seen
