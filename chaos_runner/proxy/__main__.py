"""`python -m chaos_runner.proxy`: arguments, signals, the end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import os
import resource
import secrets
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from chaos_runner import _version
from chaos_runner.proxy import addresses, gojson, metrics
from chaos_runner.proxy.addresses import Address
from chaos_runner.proxy.api import Api
from chaos_runner.proxy.errors import AddressError, ApiError
from chaos_runner.proxy.leases import Leases
from chaos_runner.proxy.proxies import Proxies
from chaos_runner.proxy.requests import Request
from chaos_runner.proxy.server import Server

TOKEN = "CHAOS_RUNNER_PROXY_TOKEN"  # noqa: S105 - the variable's name
LEVELS = ("trace", "debug", "info", "warn", "error", "fatal", "panic", "disabled")
FILES_WANTED = 65_536
TRUE, FALSE = ("1", "t", "true"), ("0", "f", "false")


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="chaos-runner proxy",
        description="Toxiproxy's HTTP API and toxics, with leases, a seed and live counters.",
        epilog=f"A host that is not loopback needs {TOKEN}; then every request needs `Authorization: Bearer <token>`. "
        f"LOG_LEVEL says what is worth a line: {' '.join(LEVELS)}.",
        allow_abbrev=False,
    )
    parser.add_argument("-host", "--host", default="127.0.0.1", help="where the API listens (default %(default)s)")
    parser.add_argument("-port", "--port", type=int, default=8474, help="its port; 0: any (default %(default)s)")
    parser.add_argument("-config", "--config", type=Path, help="a JSON array of proxies to start with")
    parser.add_argument("-seed", "--seed", type=int, help="decides which connections a toxicity below 1 hits")
    switch(parser, "proxy-metrics", "serve GET /metrics with the bytes of each proxy")
    switch(parser, "runtime-metrics", "serve GET /metrics with what this process uses")
    version = f"chaos-runner proxy version {_version.__version__}"
    parser.add_argument("-version", "--version", action="version", version=version, help="print the version")
    parser.add_argument("--until-eof", action="store_true", help="end when stdin ends")
    return parser.parse_args(argv)


def switch(parser: argparse.ArgumentParser, name: str, help_text: str) -> None:
    """A flag that may say `=true` or `=false`, as the real server's may."""
    parser.add_argument(
        f"-{name}", f"--{name}", nargs="?", type=yes_or_no, const=True, default=False, metavar="BOOL", help=help_text
    )


def yes_or_no(text: str) -> bool:
    if text.lower() not in TRUE + FALSE:
        raise argparse.ArgumentTypeError(f"{text} is neither true nor false")
    return text.lower() in TRUE


def main(argv: list[str]) -> int:
    """Serves until SIGTERM, SIGINT or, if asked, the end of stdin; 2 for wrong usage, 1 where it cannot listen."""
    options = arguments(argv)
    raise_file_limit()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(serve(options))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def raise_file_limit() -> None:
    """Two descriptors a connection: the usual 1024 are soon used up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(options: argparse.Namespace) -> int:
    token = os.environ.get(TOKEN, "")
    try:
        at = await api_address(options.host, options.port, token)
        sock, real = addresses.listen(at)
    except (AddressError, ApiError) as error:
        log(f"not started: {error}", "fatal")
        return 2 if isinstance(error, AddressError) else 1
    proxies = Proxies(secrets.randbits(32) if options.seed is None else options.seed)
    leases = Leases(proxies, log)
    api = Api(proxies, leases, token=token, metrics=metrics_of(proxies, options))
    if options.config is not None:
        await load(api, options.config)
    http = Server(api.answer)
    server = await asyncio.get_running_loop().create_server(http.accept, sock=sock)
    with ending(until_eof=options.until_eof) as over:
        say({"listening": str(real), "pid": os.getpid()})
        await over.wait()
    server.close()
    leases.stop()
    proxies.stop()
    http.stop()
    # One turn of the loop lets the closed sockets go.
    await asyncio.sleep(0.01)
    return 0


def metrics_of(proxies: Proxies, options: argparse.Namespace) -> Callable[[], str] | None:
    """What GET /metrics shows; None where there is no such route."""
    parts: list[Callable[[], str]] = []
    parts += [functools.partial(metrics.of_proxies, proxies)] if options.proxy_metrics else []
    parts += [metrics.of_process] if options.runtime_metrics else []
    return (lambda: "".join(part() for part in parts)) if parts else None


async def api_address(host: str, port: int, token: str) -> Address:
    """Where the API listens; refused when others could reach it without a token."""
    at = await addresses.resolve(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    if not token and not at.loopback:
        raise AddressError(f"{host or 'any address'} is not loopback: set {TOKEN}, or use --host 127.0.0.1")
    return at


async def load(api: Api, config: Path) -> None:
    """Populates from a file; a failure is a log line and the server still starts."""
    try:
        body = config.read_bytes()  # noqa: ASYNC240 - before anything is served
    except OSError as error:
        log(f"config not loaded: {config}: {error.strerror}", "error")
        return
    response = await api.populate(Request("POST", "/populate", {}, body))
    if response.status != 201:
        fields = gojson.an_object(gojson.first_value(response.body), "")
        log(f"config not loaded in full: {config}: {fields['error']}", "error")


@contextlib.contextmanager
def ending(*, until_eof: bool) -> Iterator[asyncio.Event]:
    """An event that a signal, or the end of stdin, sets."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    watched = until_eof and watch_stdin(loop, over)
    try:
        yield over
    finally:
        if watched:
            loop.remove_reader(0)


def watch_stdin(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> bool:
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(0)):
        # A file or /dev/null ends at once, and the loop cannot watch it.
        over.set()
        return False

    def read() -> None:
        if not os.read(0, 4096):
            over.set()
            loop.remove_reader(0)

    loop.add_reader(0, read)
    return True


def say(fact: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(fact, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def log(line: str, level: str = "warn") -> None:
    """A line on stderr, if LOG_LEVEL finds it worth one; a level that nobody knows means all of them."""
    asked = os.environ.get("LOG_LEVEL", "").lower().replace("warning", "warn")
    if asked not in LEVELS or LEVELS.index(level) >= LEVELS.index(asked):
        sys.stderr.write(f"chaos-runner proxy: {line}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
