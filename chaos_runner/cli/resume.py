"""Releases a lever, so that runs may start again. A reason is needed: it is kept with who released it."""

from __future__ import annotations

import argparse

from chaos_runner.cli import common, scope


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `resume`."""
    scope.options(parser, required=True)
    parser.add_argument("--reason", required=True, metavar="WHY", help="why it is safe again")
    parser.add_argument("--who", help="who says so (default: you@this-host)")
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """0 when it was released; 3 when it was not pulled."""
    from chaos_runner.cli.trouble import Usage
    from chaos_runner.store import levers

    lever, state = scope.read(args.scope), common.state_dir(args)
    if not args.reason.strip():
        msg = "--reason is empty; say why it is safe again"
        raise Usage(msg)
    who = args.who or common.actor()
    kept = levers.release(state, lever, who, args.reason)
    still = [one.scope for one in levers.all(state)]
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "scope": lever, "who": who, "kept": str(kept), "still_pulled": still})
        return 0
    print(f"released {lever} ({who}: {args.reason}); kept in {kept}")
    print(f"still pulled: {', '.join(still)}" if still else "no lever is pulled")
    return 0
