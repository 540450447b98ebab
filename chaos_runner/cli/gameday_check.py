"""Days before a game day: what is still to be done. Looks at everything the day needs, and changes nothing.

Plans of every step with their rights, calendars, alerts, levers, people, approvals, runbooks and times. Each line says
what was looked at; what cannot be told is unknown, and that is not ready. Exit codes: 0 ready, 3 something is to do.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_runner.cli import common
from chaos_runner.cli.main import NOTHING_LEARNED

if TYPE_CHECKING:
    from chaos_runner.gameday.readiness import Finding
    from chaos_runner.scenarios import Script


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `gameday check`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a scenario")
    parser.add_argument("-e", "--environment", metavar="ENV", help="where it would be (default: what the file says)")
    parser.add_argument(
        "--at",
        default="",
        metavar="TIME",
        help="when it would begin, such as 2026-12-24T10:00+01:00 (default: any time)",
    )
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a line for each finding; 0 when nothing is to be done, 3 otherwise."""
    import anyio

    from chaos_runner import configure, rehearsal, scenarios
    from chaos_runner.gameday import readiness

    script = scenarios.elsewhere(scenarios.read(args.file), args.environment)
    configuration = common.configuration(args)
    name = configure.choose(configuration, script.scenario.environment)
    place = rehearsal.Place(configuration, name, common.state_dir(args), int(time.time()), _moment(args.at))
    findings = anyio.run(rehearsal.look, script, place)
    if args.output == "json":
        common.write_json(_document(script, name, findings))
    else:
        print("\n".join(_lines(findings)))
        print(f"\n{_summary(script, name, findings)}")
    return 0 if readiness.ready(findings) else NOTHING_LEARNED


def _moment(text: str) -> int | None:
    """The time that was typed; without an offset it is UTC. Raises Usage."""
    from chaos_runner.cli.trouble import Usage

    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        msg = f"--at '{text:.60}' is no time; write one such as 2026-12-24T10:00+01:00"
        raise Usage(msg) from None


def _lines(findings: tuple[Finding, ...]) -> list[str]:
    from chaos_runner.render import text

    width = min(48, max(len(one.what) for one in findings))
    out = []
    for one in findings:
        out.append(f"{one.state:<7}  {text.one_line(one.what, 60):<{width}}  {text.one_line(one.found)}")
        out.append(f"{'':<7}  {'':<{width}}    looked at: {text.one_line(one.looked_at)}")
        if one.state != "ok":
            out.append(f"{'':<7}  {'':<{width}}    next: {text.one_line(one.next)}")
    return out


def _summary(script: Script, environment: str, findings: tuple[Finding, ...]) -> str:
    left = [one for one in findings if one.state != "ok"]
    title = script.scenario.title or script.scenario.name
    if not left:
        return f"ready: {title}, in '{environment}' ({len(findings)} looked at); nothing was changed"
    unknown = sum(one.state == "unknown" for one in left)
    also = f", {unknown} of them because it cannot be told" if unknown else ""
    return (
        f"not ready: {title}, in '{environment}': {len(left)} of {len(findings)} to be done{also}; nothing was changed"
    )


def _document(script: Script, environment: str, findings: tuple[Finding, ...]) -> dict[str, object]:
    from chaos_runner import plan, rehearsal
    from chaos_runner.gameday import readiness

    steps = [
        {
            "step": one.step,
            "name": rehearsal.called(script, one),
            "experiment": one.experiment.name,
            "file": one.loaded.document.file,
            "worst_case_s": plan.worst_case(one.experiment),
        }
        for one in script.played
    ]
    return {
        "schemaVersion": 1,
        "scenario": script.scenario.name,
        "environment": environment,
        "ready": readiness.ready(findings),
        "hard_end_s": script.scenario.agenda.hard_end,
        "steps": steps,
        "findings": findings,
    }
