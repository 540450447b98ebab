"""Laws of a world: it is whole when it says so, and nothing of it is left when it ends, however it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos_runner.pocket import demo, http_client, processes, topology, toxiproxy, world
from tests.pocket import traffic

pytestmark = pytest.mark.world
pods = pytest.mark.skipif(not demo.PODS, reason="the pocket cluster needs Linux")


def until(true: Callable[[], bool], within_s: float = 15.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return true()


def listens(url: str) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(http_client.address_of(url)) == 0


def gone(info: world.WorldInfo) -> bool:
    return not any(process.lives() for process in info.everyone())


def addresses(info: world.WorldInfo) -> list[str]:
    return [*info.services.values(), info.toxiproxy.url]


@pytest.mark.anyio
async def test_it_is_whole_when_it_says_so(proxy_path: str | None) -> None:
    async with world.up("resilient", proxy_path) as running:
        assert [await traffic.ask(url, "GET", "/readyz") for url in running.services.values()]
        assert (await traffic.ask(running.shop, "GET", "/catalog"))[0] == 200
        assert (await traffic.ask(running.shop, "POST", "/checkout"))[0] == 200
        status, proxies = await traffic.ask(running.toxiproxy, "GET", "/proxies")

        assert status == 200
        assert proxies.keys() == {"payments", "catalog"}
        assert {"gateway", "checkout", "payments", "catalog", "proxy"} == running.info.processes.keys()
    assert gone(running.info)
    assert not any(map(listens, addresses(running.info)))


@pytest.mark.anyio
async def test_payments_and_catalog_are_reached_through_the_proxy_only(fragile: world.World) -> None:
    for name, method, path in (("payments", "POST", "/checkout"), ("catalog", "GET", "/catalog")):
        await traffic.inject(fragile.toxiproxy, name, {"enabled": False})
        assert (await traffic.ask(fragile.shop, method, path))[0] == 502
        await traffic.revert(fragile.toxiproxy, name, {"enabled": False})
        assert (await traffic.ask(fragile.shop, method, path))[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_the_supervisor(fragile: world.World, number: int) -> None:
    os.kill(fragile.info.pid, number)

    assert until(lambda: gone(fragile.info))
    assert not any(map(listens, addresses(fragile.info)))


def test_a_frozen_child_does_not_outlive_a_killed_supervisor(fragile: world.World) -> None:
    os.kill(fragile.info.processes["payments"].pid, signal.SIGSTOP)
    os.kill(fragile.info.processes["proxy"].pid, signal.SIGSTOP)
    os.kill(fragile.info.pid, signal.SIGKILL)

    assert until(lambda: gone(fragile.info))


def test_a_frozen_child_ends_with_the_world(fragile: world.World) -> None:
    os.kill(fragile.info.processes["checkout"].pid, signal.SIGSTOP)
    fragile.close()

    assert gone(fragile.info)


def payments(info: world.WorldInfo) -> list[processes.ProcessId]:
    return [one for one in processes.descendants(info.pid) if processes.runs(one, demo.PAYMENTS)]


@pods
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_supervisor_of_a_world_with_pods(tmp_path: Path, number: int) -> None:
    with world.start_world("fragile", cluster=tmp_path) as running:
        everyone = [running.info.supervisor(), *processes.descendants(running.info.pid)]
        os.kill(payments(running.info)[0].pid, signal.SIGSTOP)
        assert len(payments(running.info)) == topology.BY_NAME["payments"].replicas
        os.kill(running.info.pid, number)

        assert until(lambda: not any(process.lives() for process in everyone))


@pods
@pytest.mark.anyio
async def test_payments_as_pods_are_behind_the_proxy_and_share_the_charges(tmp_path: Path) -> None:
    async with world.up("fragile", cluster=tmp_path) as running:
        assert running.services["payments"].startswith("http://127.78.")
        for _ in range(60):
            assert (await traffic.ask(running.shop, "POST", "/checkout"))[0] == 200
        counts = [(await traffic.ask(running.services["payments"], "GET", "/charges"))[1]["charged"] for _ in range(2)]
        await traffic.inject(running.toxiproxy, "payments", {"enabled": False})

        assert sum(counts) == 60
        assert min(counts) > 0
        assert (await traffic.ask(running.shop, "POST", "/checkout"))[0] == 502


def test_a_world_ends_with_the_program_that_holds_it() -> None:
    holder = "from chaos_runner.pocket import world, processes; import msgspec, time\n"
    holder += "held = world.start_world('fragile')\nprint(msgspec.json.encode(held.info).decode(), flush=True)\n"
    holder += "time.sleep(60)"
    argv = [sys.executable, "-c", holder]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=world.environment()) as process:
        info = world.read_info(process)
        process.kill()

    assert until(lambda: gone(info))


def test_a_child_that_dies_is_mourned_and_the_others_stay(fragile: world.World) -> None:
    os.kill(fragile.info.processes["payments"].pid, signal.SIGKILL)

    assert until(lambda: "payments (pid" in fragile.log())
    assert "ended by itself" in fragile.log()
    assert listens(fragile.shop)
    assert fragile.info.supervisor().lives()


def test_a_proxy_that_does_not_start_is_an_error_with_its_own_words() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no room today')"]
    with pytest.raises(world.WorldError, match="no room today"):
        world.start_world("fragile", proxy_command=command)


def test_proxies_listen_where_the_system_puts_nobody() -> None:
    low = int(toxiproxy.EPHEMERAL.read_text().split()[0])
    if low <= toxiproxy.PORTS.start:
        pytest.skip("the system gives out all ports here")

    assert all(toxiproxy.free_port() < low for _ in range(20))


def test_a_pid_used_again_is_not_the_process_it_named() -> None:
    me = processes.identify(os.getpid())

    assert me.lives()
    assert not processes.ProcessId(me.pid, me.start_time + 1).lives()


def test_a_zombie_does_not_live() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    identity = processes.identify(process.pid)

    assert until(lambda: not identity.lives())
    process.wait()


def test_ending_kills_what_will_not_hear() -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        identity = processes.identify(process.pid)
        processes.end([identity], within_s=0.2)

        assert not identity.lives()
