"""What several commands share: their common options, and where configuration, state and reports are."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaos_runner.configure import Configuration


def output(parser: argparse.ArgumentParser) -> None:
    """-o text|json"""
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="what stdout gets")


def places(parser: argparse.ArgumentParser) -> None:
    """--config and --state"""
    parser.add_argument("--config", type=Path, help="the chaos-runner.yaml to use (default: the nearest one upwards)")
    parser.add_argument("--state", type=Path, help="the state directory (default: .chaos-runner beside it)")


def environment(parser: argparse.ArgumentParser) -> None:
    """-e"""
    parser.add_argument("-e", "--environment", metavar="ENV", help="the environment to act on")


def configuration(args: argparse.Namespace) -> Configuration:
    """The configuration in force."""
    from chaos_runner import configure, project

    return configure.read(args.config or project.find(Path.cwd()))


def state_dir(args: argparse.Namespace) -> Path:
    """Where the ledger is. Raises Usage where that cannot be a folder."""
    from chaos_runner.store import state

    folder = state.state_dir(str(args.state) if args.state else None)
    if folder.exists() and not folder.is_dir():
        from chaos_runner.cli.trouble import Usage

        msg = f"the state folder {folder} is not a folder; name another one with --state"
        raise Usage(msg)
    return folder


def write_json(value: Any) -> None:
    """One JSON document on stdout."""
    import msgspec

    from chaos_runner.render import text

    document = msgspec.json.format(msgspec.json.encode(value), indent=2)
    sys.stdout.buffer.write(text.harmless_json(document) + b"\n")
    sys.stdout.flush()


@contextlib.contextmanager
def perhaps_unheard() -> Iterator[None]:
    """A stdout that is full, or that nobody reads any more, costs what is said here and nothing else."""
    try:
        yield
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def tell(sentence: str) -> None:
    """One line of progress on stderr, if that can be written."""
    with contextlib.suppress(OSError):
        print(sentence, file=sys.stderr, flush=True)


def colourful(stream: Any) -> bool:
    """Whether colour and redrawing are welcome there."""
    if os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM") == "dumb":
        return False
    return bool(stream.isatty())


def written(path: Path, content: bytes) -> None:
    """Writes a file that a person named, with its folders. Raises Usage."""
    from chaos_runner.cli.trouble import Usage

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as why:
        msg = f"{path} cannot be written: {(why.strerror or str(why)).lower()}"
        raise Usage(msg) from None


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Aligned lines; the first row is the head. What came from outside is made harmless."""
    from chaos_runner.render import text

    clean = [[text.one_line(cell, 120) for cell in row] for row in rows]
    widths = [max(len(row[n]) for row in clean) for n in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in clean]


def actor() -> str:
    """Who types this: user@host. Light, so that `halt` is quick."""
    import getpass

    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"
