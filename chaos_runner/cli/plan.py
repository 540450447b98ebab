"""Shows exactly what a run would do: targets, rounding, undo, layers, event counts. Changes nothing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.model import Experiment
    from chaos_runner.plan import Plan, Selection


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `plan`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="an experiment")
    common.environment(parser)
    parser.add_argument("--seed", type=int, help="which victims are picked (default: a new seed, printed)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the plan there, for `run --plan`")
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """0 with a plan; 3 with a refusal."""
    import msgspec

    plan = made(args)
    if args.out:
        common.written(args.out, msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n")
    if args.output == "json":
        common.write_json(plan)
    else:
        print("\n".join(lines(plan)))
        again = f"--plan {args.out}" if args.out else f"{args.file} -e {plan.environment} --seed {plan.seed}"
        print(f"\nnothing was changed; to run exactly this: chaos-runner run {again}")
    return 0


def made(args: argparse.Namespace) -> Plan:
    """The plan that the arguments of `plan` and `run` ask for."""
    import anyio
    import msgspec

    from chaos_runner import conduct, configure, files

    loaded = files.read_experiment(args.file)
    configuration = common.configuration(args)
    name = configure.choose(configuration, args.environment)
    connections = configure.connect(configuration, name, common.state_dir(args))
    seed = conduct.new_seed() if args.seed is None else args.seed
    experiment = _within(loaded.value, getattr(args, "reach", None))
    plan = anyio.run(conduct.make_plan, experiment, name, connections, seed)
    document = loaded.document
    return msgspec.structs.replace(plan, source=document.file, text=document.text, sha256=document.sha256)


def _within(experiment: Experiment, reach: str | None) -> Experiment:
    """The experiment with a smaller blast radius, where one was asked for. Raises Usage."""
    if not reach:
        return experiment
    from chaos_runner import configure
    from chaos_runner.cli.trouble import Usage
    from chaos_runner.scheduler import growth

    try:
        return growth.narrowed(experiment, configure.pick(int(reach) if reach.isdecimal() else reach))
    except ValueError as why:
        msg = f"--reach: {why}"
        raise Usage(msg) from None


def lines(plan: Plan) -> list[str]:
    """The plan for people."""
    experiment, radius = plan.experiment, plan.experiment.blast_radius
    out = [
        f"experiment   {experiment.name}: {experiment.title or experiment.hypothesis.strip()}",
        f"environment  {plan.environment}",
        f"seed         {plan.seed}",
        f"checks       {', '.join(experiment.steady_state)}; baseline {experiment.baseline:g}s",
        "",
    ]
    for fault in plan.faults:
        out.append(f"step {fault.step + 1}       {fault.name}")
        out.append(f"  {fault.kind} on {fault.target.key} for {fault.hold_s:g}s  {fault.said}")
        out.append(f"  undo       {_undo(fault.reversible, fault.aspect)}")
    out += [_picked(chosen) for chosen in plan.selections if chosen.matched != chosen.picked or chosen.rounding]
    out += [f"  limit      {note}" for chosen in plan.selections for note in chosen.notes]
    touched = len({fault.target.key for fault in plan.faults})
    out += [
        "",
        f"blast radius {touched} of {radius.in_total} targets; {radius.at_once} at once, {radius.max_duration:g}s",
        f"undo layers  {', '.join(plan.layers)}: {_bound(plan)}",
        f"             {_both_dead(plan.layers)}",
        f"worst case   {plan.worst_case_s:g}s",
    ]
    out += [f"events       {f.check}: {f.clause}: {f.events:g} expected, {f.needed} needed" for f in plan.forecasts]
    return out + [f"note         {warning}" for warning in plan.warnings]


def _bound(plan: Plan) -> str:
    who = "a dead or hung runner" if "guardian" in plan.layers else "its pod, or its container,"
    if not plan.bound_s:
        return f"nothing undoes a fault that outlives {who} before the next run here"
    janitor = "" if len(plan.layers) > 1 else "; only if a janitor looks at this environment every minute"
    return f"a fault outlives {who} by at most {plan.bound_s:g}s{janitor}"


def _both_dead(layers: tuple[str, ...]) -> str:
    from chaos_runner.api import LEASE_TTL_S

    if "guardian" not in layers:
        return "a guardian ends with its pod, or with the first process of its container: it is not counted"
    if "lease" in layers:
        return f"runner and guardian dead: the target itself drops the fault {LEASE_TTL_S:g}s after the last renewal"
    return "runner and guardian dead: the fault stays until the next run here, or `chaos-runner recover`"


def _picked(chosen: Selection) -> str:
    matched = f"{len(chosen.matched)} match {chosen.asked}: {', '.join(chosen.matched[:10])}"
    rounding = f"; {chosen.rounding}" if chosen.rounding else ""
    return f"  picked     {', '.join(chosen.picked)} ({matched}){rounding}"


def _undo(reversible: bool, aspect: str) -> str:
    return f"put back, then read back ({aspect})" if reversible else "none: what is killed is replaced, not restored"
