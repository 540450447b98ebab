"""Checks this machine and every environment, and says what to do about what is not well. Changes nothing.

Exit codes: 0 nothing failed (warnings may be there), 3 something failed.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from chaos_runner.cli import common
from chaos_runner.cli.main import NOTHING_LEARNED

if TYPE_CHECKING:
    from chaos_runner.cli.finding import Finding


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `doctor`."""
    parser.add_argument("-e", "--environment", metavar="ENV", help="only this environment (default: all)")
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a line for each check; 3 when one failed."""
    from chaos_runner import configure
    from chaos_runner.cli import examine

    state = common.state_dir(args)
    configuration = common.configuration(args)
    if args.environment:
        configure.choose(configuration, args.environment)
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if args.output == "text":
            print("\n".join(_lines(finding)), flush=True)

    examine.machine(state, configuration.path, tell)
    names = [args.environment] if args.environment else list(configuration.names)
    examine.environments(configuration, names, state, tell)
    failed = sum(one.state == "fail" for one in findings)
    warned = sum(one.state == "warn" for one in findings)
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "failed": failed, "warned": warned, "findings": findings})
    else:
        print(f"\n{failed} failed, {warned} warned, {len(findings) - failed - warned} ok")
    return NOTHING_LEARNED if failed else 0


def _lines(finding: Finding) -> list[str]:
    from chaos_runner.render import text

    line = f"{finding.state:<5} {text.one_line(finding.what, 60):<33}  {text.one_line(finding.said)}"
    return [line, *([f"{'':<5} {'':<33}  next: {finding.next}"] if finding.next else [])]
