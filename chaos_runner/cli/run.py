"""Runs an experiment: baseline, faults, undo, recovery, verdict, report.

Exit codes: 0 HELD, 1 DEVIATED, 2 usage or file, 3 nothing learned, 4 ABORTED, 5 NOT_REVERTED, 70 our bug.
Ctrl-C once stops and undoes; twice hurries; the undo is never skipped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.conduct import Finished
    from chaos_runner.config import Notification
    from chaos_runner.plan import Plan
    from chaos_runner.store import SlotRow


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `run`."""
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="an experiment")
    parser.add_argument("--plan", type=Path, metavar="FILE", help="run this plan: the very same victims")
    common.environment(parser)
    parser.add_argument("--seed", type=int, help="which victims are picked")
    parser.add_argument("--yes", action="store_true", help="do not ask for the environment's name")
    parser.add_argument(
        "--require-layer", choices=["runner", "guardian", "lease"], default="", help="refuse below this undo layer"
    )
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="where reports go (default: ./reports)")
    parser.add_argument("--no-report", action="store_true", help="write no report")
    parser.add_argument("--slot", metavar="RUN", help="run the slot that `schedule run` claimed under this id")
    parser.add_argument("--day", metavar="DAY:STEP", help="run what a game day reserved for this step")
    parser.add_argument("--reach", metavar="PICK", help="go no further than 1, or 5%%, of what the file allows")
    parser.add_argument("--events", metavar="FILE", help="write every record as a line of JSON there; - is stdout")
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """Runs it; the exit code says the outcome."""
    if args.slot:
        from chaos_runner.cli import slotted

        return slotted.run(args, _run)
    return _run(args)


def _run(args: argparse.Namespace, slot: SlotRow | None = None) -> int:
    from chaos_runner import conduct, judge

    plan = _plan(args)
    confirm(plan.environment, plan.connections.confirm, yes=args.yes)
    state = common.state_dir(args)
    wanted = _rehearsed(args)
    if slot is not None:
        from chaos_runner.cli import slotted

        slotted.check(slot, plan, args)
    actor, run_id = (f"schedule {slot.schedule}", slot.run) if slot else _as_whom(args)
    order = conduct.Order(
        plan=plan,
        state_dir=state,
        actor=actor,
        command=tuple(sys.argv[1:]),
        require_layer=args.require_layer,
        run_id=run_id,
        told_before=tuple(one for one in wanted if "before" in one.on),
    )
    finished = _conducted(order, plan, args)
    headline = judge.headline(finished.outcome)
    with common.perhaps_unheard():
        _say(finished, headline, args)
    reports = [] if args.no_report else _reports(finished, state, args.reports)
    with common.perhaps_unheard():
        _say_where(finished, headline, reports, args)
    _notify(finished, headline, state, plan, wanted)
    return judge.exit_code(headline, finished.outcome.cleanup)


def _rehearsed(args: argparse.Namespace) -> tuple[Notification, ...]:
    """Whom to notify; and loads all that ending needs, for by then the package, its file or the handles may be gone."""
    from chaos_runner import notifying, registry  # noqa: F401 -- loaded
    from chaos_runner.cli import report, trouble  # noqa: F401

    wanted = common.configuration(args).config.notify
    if wanted:
        from chaos_runner.clients import http  # noqa: F401

        _ = [registry.notifiers[one.notifier] for one in wanted]
    if not args.no_report:
        report.rehearse()
    return wanted


def _plan(args: argparse.Namespace) -> Plan:
    from chaos_runner.cli import plan
    from chaos_runner.cli.trouble import Usage

    if (args.file is None) == (args.plan is None):
        msg = "name an experiment file, or a plan with --plan FILE"
        raise Usage(msg)
    return _renewed(read_plan(args.plan), args) if args.plan else plan.made(args)


def _renewed(plan: Plan, args: argparse.Namespace) -> Plan:
    """The plan's victims under the configuration of today; whatever else its file says counts for nothing."""
    import anyio

    from chaos_runner import configure

    configuration = common.configuration(args)
    name = configure.choose(configuration, args.environment or plan.environment)
    if name != plan.environment:
        from chaos_runner.cli.trouble import Usage

        msg = f"the plan was made for '{plan.environment}', not for '{name}'; make one with: chaos-runner plan"
        raise Usage(msg)
    return anyio.run(_held_to_today, plan, configure.connect(configuration, name, common.state_dir(args)))


async def _held_to_today(filed: Plan, connections: Any) -> Plan:
    from chaos_runner import conduct, container, planning, registry

    env = conduct.open_env(filed.environment, connections)
    try:
        guarded = container.guardian_survives()
        return await planning.renew(filed, env, registry.faults, registry.probes, guarded=guarded)
    finally:
        await env.aclose()


def read_plan(path: Path) -> Plan:
    """A plan that `plan --out` wrote. Raises Usage."""
    import msgspec

    from chaos_runner.cli.trouble import Usage
    from chaos_runner.plan import VERSION, Plan

    try:
        plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    except OSError as why:
        msg = f"{path}: {(why.strerror or 'cannot be read').lower()}"
        raise Usage(msg) from None
    except msgspec.DecodeError as why:
        msg = f"{path} is not a plan: {why}; write one with: chaos-runner plan FILE --out {path}"
        raise Usage(msg) from None
    if plan.version != VERSION:
        msg = f"{path} is a plan of version {plan.version}, this is version {VERSION}; make it anew"
        raise Usage(msg)
    return plan


def _as_whom(args: argparse.Namespace) -> tuple[str, str]:
    """Who starts this run, and its id: reserved by a game day, or a new one."""
    from chaos_runner import conduct
    from chaos_runner.cli import daywise

    return daywise.reserved(args) if args.day else (common.actor(), conduct.new_run_id())


def confirm(environment: str, asked: str, *, yes: bool) -> None:
    """A person types the environment's name; without a terminal only --yes will do. Raises Refusal."""
    from chaos_runner.plan import Refusal

    if asked != "type-name" or yes:
        return
    if not sys.stdin.isatty():
        msg = f"not started: '{environment}' asks for confirmation and there is no terminal; say --yes"
        raise Refusal(msg)
    print(f"This harms {environment}. Type its name to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != environment:
        msg = "not started: the environment was not confirmed"
        raise Refusal(msg)


def _conducted(order: Any, plan: Plan, args: argparse.Namespace) -> Finished:
    import anyio

    from chaos_runner import conduct

    with _view(plan, args) as view:
        return anyio.run(conduct.run, order, view)


def _view(plan: Plan, args: argparse.Namespace) -> Any:
    from chaos_runner.cli import live

    quiet = args.output == "json" or args.events == "-"
    return live.viewing(plan, events=args.events, quiet=quiet, redraw=common.colourful(sys.stderr) and not quiet)


def _notify(finished: Finished, headline: str, state: Path, plan: Plan, wanted: tuple[Notification, ...]) -> None:
    """Notifications belong to the operator's file; a plan that is run again uses those of today."""
    if not wanted:
        return
    import functools

    import anyio

    from chaos_runner import conduct, notifying, registry
    from chaos_runner.plan import Refusal

    try:
        env = conduct.open_env(plan.environment, plan.connections, frozenset(one.reference for one in wanted))
    except Refusal as why:
        common.tell(f"warning: not notified: {why}")
        return
    send = functools.partial(notifying.notify, wanted, headline, env, conduct.past(finished.run, state))
    anyio.run(send, registry.notifiers, common.tell)


def _reports(finished: Finished, state: Path, folder: Path) -> list[Path]:
    from chaos_runner.cli import report
    from chaos_runner.cli.trouble import Usage
    from chaos_runner.store import StoreError

    try:
        return report.write(finished.run, state, folder)
    except (Usage, StoreError) as why:  # the run is over, and its exit code says how it went
        common.tell(f"warning: no report: {why}; write it with: chaos-runner report {finished.run}")
        return []


def _say(finished: Finished, headline: str, args: argparse.Namespace) -> None:
    """The outcome, before anything else can go wrong."""
    for trouble in finished.trouble:
        common.tell(f"warning: {trouble}")
    if args.output == "json":
        return
    why, stream = finished.outcome.why, _stream(args)
    print(f"{headline}: {why}" if why else headline, file=stream, flush=True)
    if headline == "NOT_REVERTED":
        print("  next: chaos-runner recover", file=stream, flush=True)


def _stream(args: argparse.Namespace) -> Any:
    return sys.stderr if args.events == "-" else sys.stdout


def _say_where(finished: Finished, headline: str, reports: list[Path], args: argparse.Namespace) -> None:
    if args.output == "json":
        common.write_json(
            {
                "schemaVersion": 1,
                "run": finished.run,
                "headline": headline,
                "outcome": finished.outcome,
                "reports": [str(path) for path in reports],
            }
        )
        return
    for path in reports:
        print(f"  report: {path}", file=_stream(args))
