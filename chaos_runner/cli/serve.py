"""Runs and game days in a browser: live, with notes and marks, and a halt button. Conducts nothing, reads the store.

chaos-runner serve                             on 127.0.0.1:8787; prints an address with a one-time code
chaos-runner serve --link viewer               another code, from the server that runs with this state folder
chaos-runner serve --listen 0.0.0.0:8787 --tokens FILE --origin https://chaos.example.org
                                               for other machines: behind something that speaks TLS

Roles: a responder sees game days without what is hidden from responders; a viewer sees everything, and may halt; an
operator may also resume, and speak on game days. Programs send `Authorization: Bearer TOKEN` to /api/v1/.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.serve.tokens import Role, Tokens

HERE = "127.0.0.1:8787"
ROLES: tuple[Role, ...] = ("responder", "viewer", "operator")


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `serve`."""
    parser.add_argument("--listen", default=HERE, metavar="ADDRESS", help=f"HOST:PORT (default: {HERE}; 0: any port)")
    parser.add_argument(
        "--tokens", type=Path, metavar="FILE", help="the tokens (default: serve-tokens.json of the state)"
    )
    parser.add_argument(
        "--origin", action="append", default=[], metavar="URL", help="an address that browsers use to come here"
    )
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="the folder of reports, under /reports/")
    parser.add_argument("--link", choices=ROLES, help="print a new address with a code, from the server that runs")
    common.places(parser)


def run(args: argparse.Namespace) -> int:
    """Until SIGTERM or Ctrl-C."""
    host, port = _address(args.listen)
    state = common.state_dir(args).absolute()
    if args.link:
        from chaos_runner.cli import serve_link

        return serve_link.run(state, args.tokens, args.link)
    _careful(args, host)
    try:
        import starlette  # noqa: F401 -- looked for
        import uvicorn  # noqa: F401
    except ImportError:
        from chaos_runner.cli.trouble import Usage

        msg = "serve needs more packages: pip install 'chaos-runner[serve]'"
        raise Usage(msg) from None
    from chaos_runner.serve import tokens

    file = args.tokens or state / tokens.NAME
    found = tokens.read(file) if args.tokens else tokens.read_or_make(file)
    return _serve(args, state, found, host, port)


def _address(told: str) -> tuple[str, int]:
    from chaos_runner.cli.trouble import Usage

    host, _, port = told.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or int(port) > 65535:
        msg = f"--listen: '{told}' is no HOST:PORT"
        raise Usage(msg)
    try:
        ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        msg = f"--listen: '{host}' is no IP address"
        raise Usage(msg) from None
    return "127.0.0.1" if host == "localhost" else host, int(port)


def _careful(args: argparse.Namespace, host: str) -> None:
    """Other machines only with tokens that somebody chose to give out, and under names that are known."""
    from chaos_runner.cli.trouble import Usage

    for origin in args.origin:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or parts.query or "@" in origin:
            msg = f"--origin: '{origin}' is no address such as https://chaos.example.org"
            raise Usage(msg)
    if ipaddress.ip_address(host).is_loopback:
        return
    if not args.tokens or not args.origin:
        msg = (
            f"--listen {args.listen} lets other machines in: name the tokens with --tokens FILE, and the address that "
            "browsers use with --origin URL; TLS is for what stands in front"
        )
        raise Usage(msg)
    common.tell(f"warning: {args.listen} can be reached from other machines, and what is sent there is not encrypted")


def _serve(args: argparse.Namespace, state: Path, tokens: Tokens, host: str, port: int) -> int:
    import asyncio

    from chaos_runner import registry
    from chaos_runner.cli import report
    from chaos_runner.cli.trouble import Usage
    from chaos_runner.serve import server
    from chaos_runner.serve.app import app
    from chaos_runner.serve.rehearsal import rehearse
    from chaos_runner.serve.site import Setting, Site

    try:
        sock = server.listener(host, port)
    except OSError as why:
        msg = f"{args.listen} cannot be listened on: {why.strerror or why}"
        raise Usage(msg) from None
    port = sock.getsockname()[1]
    origins = _origins(host, port, args.origin)
    connections = server.Connections()
    setting = Setting(
        state_dir=state,
        reports=args.reports.absolute(),
        tokens=tokens,
        origins=frozenset(origins),
        cookie=f"chaos-runner-{port}",
        secure=all(one.startswith("https:") for one in args.origin) and bool(args.origin),
        probes=registry.probes,
        wait=_waited,
        report=lambda run_id: report.rendered(run_id, state, "html"),
    )
    rehearse(registry.probes.values())
    site = Site(setting, connections.drop)
    from chaos_runner.cli import serve_link

    def ready() -> None:
        serve_link.remember(state, origins[0])
        for role in ROLES:
            common.tell(f"{role}: {origins[0]}/login#code={site.codes.new(role)}")
        common.tell("each address opens once, within ten minutes; more: chaos-runner serve --link ROLE")

    try:
        asyncio.run(server.serve(sock, app(site), connections, ready))
    finally:
        serve_link.forget(state)
        if not site.halts.ended(within_s=2.0):
            os._exit(0)  # a thread that is in the middle of SQLite must not meet the end of the interpreter
    return 0


def _origins(host: str, port: int, told: list[str]) -> list[str]:
    """Our addresses, the one that is printed first."""
    shown = f"[{host}]" if ":" in host else host
    near = [f"http://{shown}:{port}"] if ipaddress.ip_address(host).is_loopback else []
    also = [f"http://localhost:{port}"] if near else []
    return [*(one.rstrip("/").lower() for one in told), *near, *also]


def _waited(state: Path, lever: str, pulled_at: float) -> tuple[list[str], str]:
    """Waits as `halt` does, and says what it says."""
    from chaos_runner.cli import halt, scope
    from chaos_runner.cli.stopping import Stopping

    stopping = Stopping(
        state,
        lambda run, service: scope.concerns(lever, run.environment, service, run.experiment),
        common.tell,
        pulled_at=pulled_at,
    )
    return [halt.line(one) for one in stopping.wait()], stopping.trouble
