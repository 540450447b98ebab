"""Writes an experiment from a template for one failure class, or a game day of experiments that are there already.

chaos-runner new --list                                               the failure classes
chaos-runner new slow-stock --class slow-dependency --target stock    writes experiments/slow-stock.yaml
chaos-runner new friday --scenario experiments/slow-stock.yaml        writes scenarios/friday.yaml

Comments in the file explain each block.
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from chaos_runner.cli import common, writing

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")
_STEADY = """\
  users:
    title: Users of {{service}} are served
    probe: http
    with: {service: {{service}}, path: {{path}}, rate: 40/s, timeout: 2s}
    expect: [success >= 99%, p95 <= 1s]"""


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `new`."""
    from chaos_runner.cli import templates

    parser.add_argument("name", nargs="?", metavar="NAME", help="a-z, 0-9 and -; the file is called so too")
    parser.add_argument(
        "--class", dest="failure", choices=list(templates.classes()), metavar="CLASS", help="see --list"
    )
    parser.add_argument(
        "--scenario", nargs="+", type=Path, metavar="FILE", help="write a game day of these experiments instead"
    )
    parser.add_argument("--list", action="store_true", help="list the failure classes")
    parser.add_argument("--service", default="shop", help="the service whose users must not notice (default: shop)")
    parser.add_argument("--path", default="/", help="what the steady state asks of it (default: /)")
    parser.add_argument("--target", default="payments", help="the proxy or process to harm (default: payments)")
    parser.add_argument("--owner", default="team-unnamed", help="who answers for the experiment")
    parser.add_argument(
        "--dir", type=Path, metavar="DIR", help="default: experiments, or scenarios, beside chaos-runner.yaml"
    )
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """0 with a valid new file; 2 when a word does not fit or the file is there already."""
    if args.list:
        return _list(args)
    root, path = _place(args)
    if not writing.placed(path, _text(args, root, path)):
        from chaos_runner.cli.trouble import Usage

        msg = f"{path} is there already; choose another name"
        raise Usage(msg)
    _check(path)
    if args.output == "json":
        kind = {"class": args.failure} if args.failure else {"scenario": [str(file) for file in args.scenario]}
        common.write_json({"schemaVersion": 1, "file": str(path), **kind})
        return 0
    print(f"wrote {path}")
    print(f"\nnext: edit it, then: chaos-runner {'plan' if args.failure else 'gameday check'} {path}")
    return 0


def _list(args: argparse.Namespace) -> int:
    from chaos_runner.cli import templates

    known = templates.classes()
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "classes": known})
        return 0
    width = max(len(name) for name in known)
    for name, summary in known.items():
        print(f"{name:<{width}}  {summary}")
    print("\nnext: chaos-runner new NAME --class CLASS --service SERVICE --target TARGET")
    return 0


def _place(args: argparse.Namespace) -> tuple[Path, Path]:
    """The root that has the schemas, and the new file."""
    from chaos_runner import project
    from chaos_runner.cli.trouble import Usage

    if not args.name or bool(args.failure) == bool(args.scenario):
        msg = (
            "say a name and a class: chaos-runner new NAME --class CLASS (classes: chaos-runner new --list);"
            " or its experiments: chaos-runner new NAME --scenario FILE..."
        )
        raise Usage(msg)
    for option in ("service", "target", "owner"):
        if not _WORD.fullmatch(getattr(args, option)):
            msg = f"--{option} '{getattr(args, option)}': letters, digits, dots, dashes; a letter first"
            raise Usage(msg)
    if not re.fullmatch(r"/[A-Za-z0-9._/~%?=&-]*", args.path):
        msg = f"--path '{args.path}' is not a path such as /checkout"
        raise Usage(msg)
    config = project.find(Path.cwd())
    root = config.parent if config else Path.cwd()
    folder = args.dir or _near(root / ("experiments" if args.failure else "scenarios"))
    return root, folder / f"{args.name}.yaml"


def _near(path: Path) -> Path:
    """The path as a person here would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _text(args: argparse.Namespace, root: Path, path: Path) -> str:
    from chaos_runner.cli import templates

    if args.scenario:
        return templates.scenario(args.name, _modeline(root, path, "scenario"), _steps(args.scenario, path))
    words = {word: getattr(args, word) for word in ("name", "service", "target", "owner", "path")}
    words["steady_state"] = templates.filled(_STEADY, words)
    words["modeline"] = _modeline(root, path, "experiment")
    return templates.experiment(args.failure, words)


def _modeline(root: Path, path: Path, kind: str) -> str:
    if (root / writing.SCHEMAS / f"{kind}.json").is_file():
        return writing.modeline(path.absolute(), root, kind)
    return f"# The keys are explained by: chaos-runner explain {kind}"


def _steps(experiments: list[Path], path: Path) -> list[tuple[str, str]]:
    """For each experiment how the scenario names its file, and what people see of it. Raises Invalid."""
    from chaos_runner import files

    folder = path.absolute().parent
    return [
        (os.path.relpath(file.absolute(), folder), files.read_experiment(file).value.name.replace("-", " "))
        for file in experiments
    ]


def _check(path: Path) -> None:
    """What was written must be valid; a name that does not fit takes the file away again."""
    from chaos_runner import files
    from chaos_runner.load import Invalid

    try:
        files.read_any(path)
    except Invalid:
        path.unlink()
        raise
