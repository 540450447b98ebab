"""An API server that is away when a fault is to be undone: it is undone once it is back, by whoever lives."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kube import plane, pocket_ground, raw, real_ground
from tests.kube.deploy import cli
from tests.kube.deploy.cli import Desk
from tests.kube.deploy.site import Site

REAL = pytest.mark.parametrize("site", [pytest.param("real", marks=pytest.mark.real)], indirect=True)
ROLE = ("node-cordon.yaml",)


def node(site: Site) -> str:
    return f"/api/v1/nodes/{site.nodes[1]}"


def cordoned(site: Site) -> bool:
    return bool(raw.done(site, "GET", node(site))["spec"].get("unschedulable"))


def injected(desk: Desk) -> bool:
    """Whether the run has read that its fault is there."""
    path = desk.folder / "events"
    return path.exists() and "FaultInjected" in path.read_text()


def pid(site: Site) -> int:
    """The process that answers."""
    if isinstance(site.ground, pocket_ground.PocketGround):
        return site.ground.info.pid
    assert isinstance(site.ground, real_ground.RealGround)
    return site.ground.plane.processes["kube-apiserver"].pid


@contextlib.contextmanager
def frozen(site: Site) -> Iterator[None]:
    """Takes connections, and answers nothing."""
    os.kill(pid(site), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid(site), signal.SIGCONT)
        raw.wait_until(lambda: raw.ask(site, "GET", "/readyz").status == 200, plane.READY_S)


@contextlib.contextmanager
def gone(site: Site) -> Iterator[None]:
    """Not there at all, and started again."""
    assert isinstance(site.ground, real_ground.RealGround)
    site.ground.plane.end("kube-apiserver")
    try:
        yield
    finally:
        site.ground.plane.start_api()
        raw.wait_until(lambda: raw.ask(site, "GET", "/readyz").status == 200, plane.READY_S)


@pytest.fixture
def desk(site: Site, tmp_path: Path) -> Iterator[Desk]:
    """With the role of the fault and no more; the node is left as it was, whatever happens."""
    with site.applied(*ROLE), cli.desk(site, "runner", tmp_path) as made:
        made.write("node_cordon", f"{{node: {site.nodes[1]}}}")
        try:
            yield made
        finally:
            notes = raw.done(site, "GET", node(site))["metadata"].get("annotations", {})
            ours = {note: None for note in notes if note.startswith("chaos-runner/")}
            raw.merge(site, node(site), {"metadata": {"annotations": ours}, "spec": {"unschedulable": None}})


def undone_by_the_runner(site: Site, desk: Desk, away: contextlib.AbstractContextManager[None]) -> None:
    with desk.start("run", "e.yaml", "--no-report", "--events", "events") as process:
        try:
            raw.wait_until(lambda: injected(desk), 90)
            with away:
                time.sleep(15)  # longer than the fault holds: its end falls into the silence
            raw.wait_until(lambda: not cordoned(site), 60)
            said, _ = process.communicate(timeout=cli.LIMIT_S)
        finally:
            process.kill()
    cli.dismiss(said)
    assert "NOT_REVERTED" not in said
    assert process.returncode in {0, 3}, said


def test_a_server_that_is_frozen_in_mid_fault_and_thaws_is_undone_by_the_runner(site: Site, desk: Desk) -> None:
    undone_by_the_runner(site, desk, frozen(site))


@REAL
def test_a_server_that_stops_in_mid_fault_and_starts_again_is_undone_by_the_runner(site: Site, desk: Desk) -> None:
    undone_by_the_runner(site, desk, gone(site))


def undone_by_the_guardian(site: Site, desk: Desk, away: contextlib.AbstractContextManager[None]) -> None:
    with desk.start("run", "e.yaml", "--no-report", "--events", "events") as process:
        try:
            raw.wait_until(lambda: injected(desk), 90)
            with away:
                process.kill()
                time.sleep(10)
            raw.wait_until(lambda: not cordoned(site), 60)
        finally:
            process.kill()
            said, _ = process.communicate(timeout=cli.LIMIT_S)
            cli.dismiss(said)


def test_a_runner_killed_while_the_server_is_frozen_is_undone_by_the_guardian(site: Site, desk: Desk) -> None:
    undone_by_the_guardian(site, desk, frozen(site))


@REAL
def test_a_runner_killed_while_the_server_is_gone_is_undone_by_the_guardian(site: Site, desk: Desk) -> None:
    undone_by_the_guardian(site, desk, gone(site))


@REAL
def test_a_server_that_stays_away_is_told_with_what_is_left_and_the_command(site: Site, desk: Desk) -> None:
    with desk.start("run", "e.yaml", "--no-report", "--events", "events") as process:
        try:
            raw.wait_until(lambda: injected(desk), 90)
            with gone(site):
                said, _ = process.communicate(timeout=cli.LIMIT_S)
            assert process.returncode == 5, said
            assert "NOT_REVERTED" in said
            assert f"node/{site.nodes[1]}" in said
            assert "chaos-runner recover" in said
            raw.wait_until(lambda: not cordoned(site), 60)  # its guardian goes on trying
        finally:
            process.kill()
            cli.dismiss(said)
