"""Runs experiments on their own, as `schedules:` of chaos-runner.yaml says, and shows what was decided and why.

chaos-runner schedule run                              the daemon; a second one on this host is a warm spare
chaos-runner schedule list                             every schedule: when next, blocked or paused, how fresh
chaos-runner schedule status                           who leads, what is armed, what runs, what is blocked
chaos-runner schedule history [NAME]                   decisions, newest first; `skips` shows only those not to run
chaos-runner schedule arm ENV --by NAME --until 8h     lets schedules run there; `disarm ENV` takes it back
chaos-runner schedule pause NAME --by YOU --reason WHY puts one aside; `resume NAME` takes it up again
chaos-runner schedule preview [NAME]                   what comes next; --month 2026-12 for a month, --zone for any zone
chaos-runner schedule explain NAME AT                  why it would run at that time, or why not
chaos-runner schedule ack NAME --by YOU --reason WHY   a failure was looked at: the schedule may run again
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from chaos_runner.cli import common

# verb -> the module that has a function of that name
VERBS = {
    "run": "schedule_daemon",
    "list": "schedule_list",
    "status": "schedule_status",
    "history": "schedule_history",
    "skips": "schedule_history",
    "arm": "schedule_word",
    "disarm": "schedule_word",
    "pause": "schedule_word",
    "resume": "schedule_word",
    "ack": "schedule_word",
    "preview": "schedule_preview",
    "explain": "schedule_preview",
}


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `schedule`."""
    parser.add_argument("verb", choices=list(VERBS), metavar="VERB", help=", ".join(VERBS))
    parser.add_argument(
        "name", nargs="?", default="", metavar="NAME", help="a schedule; for arm, disarm: an environment"
    )
    parser.add_argument("at", nargs="?", default="", metavar="AT", help="explain: a time such as 2026-12-24T10:30")
    parser.add_argument("--zone", default="", metavar="ZONE", help="preview: by the clocks of this zone")
    parser.add_argument("--month", default="", metavar="YYYY-MM", help="preview: this month, week by week")
    parser.add_argument("--by", default="", metavar="NAME", help="arm, pause, ack: who says so")
    parser.add_argument("--until", default="", metavar="TIME", help="arm: 8h, or 2026-12-24T16:00+01:00")
    parser.add_argument("--reason", default="", metavar="WHY", help="pause, ack: kept with it")
    parser.add_argument("--ticket", default="", metavar="ID", help="ack: where the failure is worked on")
    parser.add_argument("-n", "--number", type=int, default=20, metavar="N", help="preview, history, skips: how many")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="run: where reports go")
    parser.add_argument(
        "--on-stop",
        choices=["finish", "abort"],
        default="finish",
        help="run: what becomes of a run under way when the daemon is stopped (default: it goes on to its end)",
    )
    parser.add_argument(
        "--listen", default="", metavar="PORT", help="run: serve /health and /metrics on this port of 127.0.0.1"
    )
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """Does what the verb says."""
    module = importlib.import_module(f"chaos_runner.cli.{VERBS[args.verb]}")
    code: int = getattr(module, args.verb if args.verb != "list" else "list_")(args)
    return code
