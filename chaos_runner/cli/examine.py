"""What `doctor` looks at: this machine, the state folder, the guardian, and what each environment connects to.

Reads only. Every check has a time limit and answers with one finding, whatever goes wrong in it.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import platform
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import msgspec

from chaos_runner import conduct, configure, registry, store, wire
from chaos_runner._version import __version__
from chaos_runner.api import Doubt, Env, Refused, Scans, Undo
from chaos_runner.cli import blank, monitored
from chaos_runner.cli.finding import Finding
from chaos_runner.configure import Configuration
from chaos_runner.guard import GuardianLine
from chaos_runner.plan import Refusal
from chaos_runner.store import NoLedger, StoreError, disk, levers

CHECK_S = 10.0
CONNECT_S = 3.0
STRANGER = "this ledger does not know it: recover with the state folder it ran with, or see: chaos-runner janitor"


Tell = Callable[[Finding], None]


# --- this machine ------------------------------------------------------------------------------------------------


def machine(state_dir: Path, config: Path | None, tell: Tell) -> None:
    """The program, its state folder, the levers and a guardian that is started for a try."""
    system = f"chaos-runner {__version__}, Python {platform.python_version()}, {platform.system()} {platform.release()}"
    tell(
        Finding("ok", "program", system) if sys.platform == "linux" else Finding("fail", "program", system, "use Linux")
    )
    told = str(config) if config else "there is none; the built-in environments are used"
    tell(Finding("ok", "configuration", told, "" if config else "chaos-runner init"))
    tell(_folder(state_dir))
    tell(_ledger(state_dir))
    tell(_levers(state_dir))
    tell(anyio.run(_guardian))


def _folder(state_dir: Path) -> Finding:
    near = next(folder for folder in (state_dir, *state_dir.parents) if folder.exists())
    what = "state folder"
    try:
        if state_dir.exists():
            disk.check_private(state_dir)
        warnings = disk.check_file_system(near, allow_tmpfs=True)
        scarce = disk.lack_of_room(near)
    except (StoreError, OSError) as why:
        return Finding("fail", what, str(why), "chmod 700 it, or name another one with --state")
    if not os.access(near, os.W_OK):
        return Finding("fail", what, f"{near} cannot be written to", "name another one with --state")
    if scarce:
        return Finding("fail", what, scarce, "free some space")
    if warnings:
        return Finding("warn", what, warnings[0], "point --state to a local disk")
    free = f"{disk.room(near) >> 20} MiB free"
    there = "private" if state_dir.exists() else "the first run makes it"
    return Finding("ok", what, f"{state_dir}: {there}, {free}")


def _ledger(state_dir: Path) -> Finding:
    try:
        with store.open_store(state_dir, read_only=True) as ledger:
            unfinished = ledger.unfinished_runs()
            dead = [run.id for run in unfinished if store.alive(run.owner) is False]
    except NoLedger:
        return Finding("ok", "ledger", "nothing has run here yet")
    except StoreError as why:
        return Finding("fail", "ledger", str(why), "chaos-runner recover")
    if dead:
        return Finding("fail", "ledger", f"dead runs were not recovered: {', '.join(dead)}", "chaos-runner recover")
    return Finding("ok", "ledger", f"readable, {len(unfinished)} running")


def _levers(state_dir: Path) -> Finding:
    try:
        pulled = levers.all(state_dir)
    except StoreError as why:
        return Finding("fail", "levers", str(why), "make the folder readable: until then every run is refused")
    if pulled:
        names = ", ".join(lever.scope for lever in pulled)
        return Finding("warn", "levers", f"pulled: {names}", f"chaos-runner resume {pulled[0].scope} --reason WHY")
    return Finding("ok", "levers", "none is pulled")


async def _guardian() -> Finding:
    """Starts one in a folder of its own, and lets it go."""
    with tempfile.TemporaryDirectory(prefix="chaos-runner-doctor-") as folder:
        hello = wire.Hello(
            run="doctor",
            epoch=1,
            ttl_s=5.0,
            t0=anyio.current_time(),
            environment="doctor",
            connections={},
            secrets={},
            kinds=tuple(registry.faults.names()),
            state_dir=folder,
        )
        line = GuardianLine(hello, Path(folder) / "guardian.log")
        began = anyio.current_time()
        try:
            ready = await line.start()
        except (Doubt, OSError) as why:
            return Finding("fail", "guardian", str(why), "without a guardian no fault is injected")
        finally:
            await line.bye()
        took = anyio.current_time() - began
        with anyio.move_on_after(CONNECT_S):
            await anyio.to_thread.run_sync(_reap, ready.pid)
    return Finding("ok", "guardian", f"starts, and was ready after {took * 1000:.0f} ms")


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return


# --- environments ------------------------------------------------------------------------------------------------


def environments(configuration: Configuration, names: list[str], state_dir: Path, tell: Tell) -> None:
    """Everything each environment connects to."""
    for name in names:
        try:
            connections = configure.connect(configuration, name, state_dir)
            env = conduct.open_env(name, connections)
        except Refusal as why:
            absent = "demo up" in str(why)  # a demo that is not running is no fault of anybody
            said = str(why).removeprefix("not started: ").split(";")[0]
            step = "chaos-runner demo up" if absent else "set the secret, or change the reference"
            tell(Finding("warn" if absent else "fail", name, said, step))
            continue
        anyio.run(_environment, env, state_dir, tell)


async def _environment(env: Env, state_dir: Path, tell: Tell) -> None:
    try:
        if env.environment.toxiproxy is not None:
            tell(await _bounded(f"{env.name}: toxiproxy", functools.partial(_toxiproxy, env)))
        if env.environment.cluster is not None:
            tell(await _bounded(f"{env.name}: cluster", functools.partial(_cluster, env)))
        for what, check in monitored.checks(env):
            tell(await _bounded(what, check))
        for service in env.environment.services:
            tell(await _bounded(f"{env.name}: service {service}", functools.partial(_service, env, service)))
        for process in env.environment.processes:
            tell(_process(env, process))
        for path in env.environment.commands:
            tell(_command(env.name, path))
        tell(await _bounded(f"{env.name}: leftovers", functools.partial(_leftovers, env, state_dir)))
    finally:
        await env.aclose()


async def _bounded(what: str, check: Callable[[], Awaitable[Finding]]) -> Finding:
    """The check's finding; what it cannot find out is a failure with a sentence."""
    try:
        with anyio.fail_after(CHECK_S):
            found = await check()
    except (Refused, Doubt, OSError, StoreError) as why:
        said = str(why) or f"no answer within {CHECK_S:g} s"
        return Finding("fail", what, said, "is it running, and is its address in chaos-runner.yaml right?")
    return msgspec.structs.replace(found, what=what)


async def _cluster(env: Env) -> Finding:
    from chaos_runner.clients.kubernetes import environments

    cluster = await environments.open_client(env)
    settings = env.environment.cluster
    assert settings is not None
    return Finding("ok", "", f"{cluster.url}: the cluster with the uid {settings.uid}")


async def _toxiproxy(env: Env) -> Finding:
    from chaos_runner.clients import toxiproxy

    settings = env.environment.toxiproxy
    assert settings is not None
    client = await toxiproxy.open_client(env)
    proxies = await client.proxies()
    kind = "embedded" if (await client.capabilities()).embedded else "the real one"
    said = f"{settings.url}: {kind}, {len(proxies)} {'proxy' if len(proxies) == 1 else 'proxies'}"
    if not proxies:
        return Finding("warn", "", said, "make a proxy; without one there is nothing to harm")
    url = urlsplit(settings.url)
    if not _is_loopback(url.hostname or "") and (url.scheme != "https" or settings.token is None):
        step = "its API has no password: put it behind https with a token, or reach it over a tunnel"
        return Finding("warn", "", f"{said}; not on this machine and open to whoever reaches it", step)
    if kind != "embedded":
        return Finding("ok", "", f"{said}; it has no leases: a dead runner and a dead guardian leave faults behind")
    return Finding("ok", "", said)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _service(env: Env, service: str) -> Finding:
    from chaos_runner.probes import _addresses

    where = _addresses.parse(env.address(service))
    with anyio.fail_after(CONNECT_S):
        stream = await anyio.connect_tcp(where.host, where.port)
    await stream.aclose()
    return Finding("ok", "", f"{env.address(service)} accepts connections")


def _process(env: Env, name: str) -> Finding:
    from chaos_runner.clients import processes

    what = f"{env.name}: process {name}"
    try:
        status = processes.find(env, name)
    except (processes.Gone, Refused) as why:
        return Finding("fail", what, str(why), "start it, or correct `processes:` in chaos-runner.yaml")
    if not processes.may_signal(status.identity):
        return Finding("fail", what, "we may not send it signals", "run as its user")
    return Finding("ok", what, f"pid {status.identity.pid} lives, and we may send it signals")


def _command(environment: str, path: str) -> Finding:
    what = f"{environment}: command {path}"
    if os.access(path, os.X_OK) and Path(path).is_file():
        return Finding("ok", what, "can be started")
    return Finding("fail", what, "cannot be started", "install it, or correct `commands:` in chaos-runner.yaml")


async def _leftovers(env: Env, state_dir: Path) -> Finding:
    """Marks of ours on the targets that belong to no run that is looked after."""
    found: dict[str, Undo] = {}
    for kind in registry.faults.names():
        for undo in await _marks(kind, env):
            found[undo.mark] = undo
    known = _known(state_dir)
    left = [undo for undo in found.values() if not known.get(undo.run)]
    if left:
        said = ", ".join(f"{undo.target.key} carries {undo.mark}" for undo in left)
        stranger = any(undo.run not in known for undo in left)
        return Finding("fail", "", said, STRANGER if stranger else "chaos-runner recover")
    under_way = f"; {len(found)} of runs that are under way" if found else ""
    return Finding("ok", "", f"no mark of a dead run on any target{under_way}")


async def _marks(kind: str, env: Env) -> tuple[Undo, ...]:
    fault = blank.of(registry.faults[kind])
    if not isinstance(fault, Scans):
        return ()
    try:
        return await fault.leftovers(env)
    except Refused:
        if env.environment.toxiproxy is None:  # nothing that it could look at
            return ()
        raise


def _known(state_dir: Path) -> dict[str, bool]:
    """The unfinished runs of this ledger, and whether somebody alive looks after them."""
    try:
        with store.open_store(state_dir, read_only=True) as ledger:
            return {run.id: store.alive(run.owner) is not False for run in ledger.unfinished_runs()}
    except NoLedger:
        return {}
