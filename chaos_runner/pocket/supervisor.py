"""The supervisor of a world: `python -m chaos_runner.pocket.world --mode fragile|resilient`.

It starts the shop and its proxy, prints one JSON line when all is ready, and ends with everything it started on EOF of
its stdin, SIGTERM, SIGINT or SIGHUP. Nothing outlives it, not even when it is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from chaos_runner.pocket import children, lifeline, processes, rules, topology, toxiproxy, world
from chaos_runner.pocket.cluster.info import ClusterInfo

LOG_BYTES_MAX = 16 * 1024 * 1024
LOG_LOOK_EVERY_S = 1.0
REAL_PROXY_TRIES = 3
NO_TOKEN = {"CHAOS_RUNNER_PROXY_TOKEN": ""}  # a token meant for a proxy elsewhere would lock us out of our own
CLUSTER_READY_WITHIN_S = 40.0
NODES = "2"
OBJECTS = "objects.json"
SERVICE = "shop/payments"
WARM_FOR_S = 10.0  # the first pods need no warming up, so that the demo starts at once; those that replace them do
EMBEDDED_PROXY = (sys.executable, "-P", "-m", "chaos_runner.proxy", "--port", "0", "--until-eof")


class Options(msgspec.Struct, frozen=True):
    """How the supervisor was asked to run."""

    mode: str
    proxy_command: tuple[str, ...] = EMBEDDED_PROXY
    real_proxy: str | None = None
    state: Path | None = None
    detached: bool = False
    cluster: Path | None = None


class Place(msgspec.Struct, frozen=True):
    """Where a service is, and the cluster that it is pods of."""

    url: str
    cluster: world.Cluster | None = None
    processes: dict[str, processes.ProcessId] = {}


async def supervise(options: Options) -> None:
    """Builds the world, says so, and takes it down when asked to end."""
    asked = await lifeline.end_asked(until_eof=not options.detached)
    trimming = asyncio.create_task(_keep_log_short(sys.stderr.fileno()))
    crew = children.Children()
    try:
        building = asyncio.create_task(build(crew, options))
        await _first(building, asked)
        if building.done():
            _announce(building.result(), options.state)
            await asked.wait()
        building.cancel()
        await asyncio.wait([building])
    finally:
        trimming.cancel()
        await crew.end()


async def build(crew: children.Children, options: Options) -> world.WorldInfo:
    """Starts everything in the order in which it needs each other."""
    coming = {part.name: asyncio.create_task(_place(crew, options, part)) for part in topology.PARTS if not part.calls}
    try:
        api = await _start_proxy(crew, options)
        places: dict[str, Place] = {}
        seen: dict[str, str] = {}
        for part in topology.PARTS:
            calls = {variable: seen.get(name) or places[name].url for variable, name in part.calls.items()}
            place = places[part.name] = await (coming.get(part.name) or _place(crew, options, part, calls))
            if part.listener:
                seen[part.name] = await toxiproxy.stand_before(api, part.name, place.url.removeprefix("http://"))
    finally:
        for task in coming.values():
            task.cancel()
    return _info(crew, options, api, places, seen)


def _info(
    crew: children.Children, options: Options, api: str, places: dict[str, Place], seen: dict[str, str]
) -> world.WorldInfo:
    services = {"shop" if name == topology.EDGE else name: place.url for name, place in places.items()}
    services |= {f"{name}-proxied": url for name, url in seen.items()}
    me = processes.identify(os.getpid())
    return world.WorldInfo(
        version=world.VERSION,
        mode=options.mode,
        pid=me.pid,
        start_time=me.start_time,
        toxiproxy=world.Api(api),
        services=services,
        processes=crew.ids() | places["payments"].processes,
        cluster=places["payments"].cluster,
    )


async def _place(
    crew: children.Children, options: Options, part: topology.Part, calls: Mapping[str, str] = MappingProxyType({})
) -> Place:
    """A service as a process; where several equal ones are wanted, and there is a cluster for them, as its pods."""
    if part.replicas > 1 and options.cluster is not None:
        return await _pods(crew, options, options.cluster)
    argv = [sys.executable, "-P", "-m", "chaos_runner.pocket.shop", part.name, "--until-eof"]
    child = await crew.start(part.name, argv, {"LISTEN": "127.0.0.1:0", "MODE": options.mode, **calls})
    return Place(await _url(child))


async def _pods(crew: children.Children, options: Options, home: Path) -> Place:
    """Payments, behind the address of their Service, once all pods are ready."""
    begins_with = topology.in_pods(options.mode, {"WARM_BEFORE": f"{time.time() + WARM_FOR_S:.3f}"})
    world.write_private(home / OBJECTS, msgspec.json.encode(begins_with))
    argv = [sys.executable, "-P", "-m", "chaos_runner.pocket.cluster", "--home", str(home), "--nodes", NODES]
    child = await crew.start("cluster", [*argv, "--objects", str(home / OBJECTS)], {})
    said = msgspec.convert(await child.announcement(CLUSTER_READY_WITHIN_S), ClusterInfo)
    cluster = world.Cluster(f"file:{said.kubeconfig}", said.context, said.uid)
    return Place(f"http://{said.services[SERVICE]}", cluster, said.processes)


def main(argv: list[str] | None = None) -> int:
    """Runs a supervisor in the foreground."""
    try:
        asyncio.run(supervise(_options(argv)))
    except (children.NotReady, toxiproxy.ProxyRefused, OSError) as refusal:
        sys.stderr.write(f"not started: {refusal}\n")
        return 2
    return 0


def _options(argv: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m chaos_runner.pocket.world", description=__doc__)
    parser.add_argument("--mode", choices=tuple(rules.MODES), required=True)
    parser.add_argument("--proxy-command", metavar="JSON", help="argv of a proxy that prints its address when ready")
    parser.add_argument("--real-proxy", metavar="PATH", help="a Toxiproxy server to use instead of the embedded proxy")
    parser.add_argument("--state", type=Path, metavar="FILE", help="also write the JSON line here")
    parser.add_argument("--cluster", type=Path, metavar="DIR", help="payments are pods of a cluster with this folder")
    parser.add_argument("--detached", action="store_true", help="do not end with stdin")
    given = parser.parse_args(argv)
    command: tuple[str, ...] = EMBEDDED_PROXY
    if given.proxy_command is not None:
        try:
            command = msgspec.json.decode(given.proxy_command, type=tuple[str, ...])
        except msgspec.DecodeError as refusal:
            parser.error(f"--proxy-command is a JSON list of words: {refusal}")
    return Options(given.mode, command, given.real_proxy, given.state, given.detached, given.cluster)


async def _first(building: asyncio.Task[world.WorldInfo], asked: asyncio.Event) -> None:
    ending = asyncio.create_task(asked.wait())
    await asyncio.wait([building, ending], return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()


async def _start_proxy(crew: children.Children, options: Options) -> str:
    if options.real_proxy is None:
        return await _url(await crew.start("proxy", options.proxy_command, NO_TOKEN))
    for _ in range(REAL_PROXY_TRIES):
        port = toxiproxy.free_port()
        argv = [options.real_proxy, "-host", "127.0.0.1", "-port", str(port)]
        child = await crew.start("proxy", argv, {"LOG_LEVEL": "error"}, announces=False)
        url = f"http://127.0.0.1:{port}"
        await toxiproxy.answering(url, child.lives)
        if child.lives():
            return url
    raise children.NotReady(f"{options.real_proxy} ended at once, {REAL_PROXY_TRIES} times")


async def _url(child: children.Child) -> str:
    said = await child.announcement()
    listening = said.get("listening")
    if not isinstance(listening, str):
        raise children.NotReady(f"{child.name} did not say where it listens: {said}")
    return listening if listening.startswith("http://") else f"http://{listening}"


def _announce(info: world.WorldInfo, state: Path | None) -> None:
    line = msgspec.json.encode(info) + b"\n"
    if state is not None:
        world.write_private(state, line)
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


async def _keep_log_short(fd: int) -> None:
    """Empties the log file that the services write to when it grows too long; who appends does not notice."""
    while fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND:
        await asyncio.sleep(LOG_LOOK_EVERY_S)
        if os.fstat(fd).st_size > LOG_BYTES_MAX:
            os.ftruncate(fd, 0)
