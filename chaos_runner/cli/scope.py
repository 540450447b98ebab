"""The scope of a lever as people type it: `global`, `environment.staging` or `environment staging`."""

from __future__ import annotations

import argparse
import re

WIDTHS = ("environment", "service", "experiment")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def options(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """SCOPE, in one word or two."""
    parser.add_argument(
        "scope",
        nargs="+" if required else "*",
        metavar="SCOPE",
        help="global, environment.NAME, service.NAME or experiment.NAME" + ("" if required else " (default: global)"),
    )


def read(words: list[str]) -> str:
    """The lever that is meant; nothing means `global`. Raises Usage."""
    scope = ".".join(words) or "global"
    width, _, name = scope.partition(".")
    if scope == "global" or (width in WIDTHS and _NAME.fullmatch(name)):
        return scope
    from chaos_runner.cli.trouble import Usage

    if width in WIDTHS:
        msg = f"'{scope}': a name has small letters, digits and dashes; write {width}.NAME"
    else:
        valid = ", ".join(f"{one}.{width}" for one in WIDTHS) if _NAME.fullmatch(scope) else "global, environment.NAME"
        msg = f"'{scope}' is no scope; did you mean {valid}?"
    raise Usage(msg)


def concerns(scope: str, environment: str, service: str, experiment: str) -> bool:
    """Whether a lever stops such a run."""
    from chaos_runner.store import levers

    return scope in levers.scopes(environment, service, experiment)
