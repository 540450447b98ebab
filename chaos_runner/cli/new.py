"""Writes an experiment from a template for one failure class; comments in it explain each block.

chaos-runner new --list                                               the failure classes
chaos-runner new slow-stock --class slow-dependency --target stock    writes experiments/slow-stock.yaml
"""

from __future__ import annotations

import argparse
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
    parser.add_argument("--list", action="store_true", help="list the failure classes")
    parser.add_argument("--service", default="shop", help="the service whose users must not notice (default: shop)")
    parser.add_argument("--path", default="/", help="what the steady state asks of it (default: /)")
    parser.add_argument("--target", default="payments", help="the proxy or process to harm (default: payments)")
    parser.add_argument("--owner", default="team-unnamed", help="who answers for the experiment")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="default: experiments beside chaos-runner.yaml")
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
        common.write_json({"schemaVersion": 1, "file": str(path), "class": args.failure})
        return 0
    print(f"wrote {path}")
    print(f"\nnext: edit it, then: chaos-runner plan {path}")
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

    if not args.name or not args.failure:
        msg = "say a name and a class: chaos-runner new NAME --class CLASS; classes: chaos-runner new --list"
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
    folder = args.dir or _near(root / "experiments")
    return root, folder / f"{args.name}.yaml"


def _near(path: Path) -> Path:
    """The path as a person here would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _text(args: argparse.Namespace, root: Path, path: Path) -> str:
    from chaos_runner.cli import templates

    words = {word: getattr(args, word) for word in ("name", "service", "target", "owner", "path")}
    words["steady_state"] = templates.filled(_STEADY, words)
    has_schema = (root / writing.SCHEMAS / "experiment.json").is_file()
    words["modeline"] = (
        writing.modeline(path.absolute(), root, "experiment")
        if has_schema
        else "# The keys are explained by: chaos-runner explain experiment"
    )
    return templates.experiment(args.failure, words)


def _check(path: Path) -> None:
    """What was written must be valid; a name that does not fit takes the file away again."""
    from chaos_runner import files
    from chaos_runner.load import Invalid

    try:
        files.read_experiment(path)
    except Invalid:
        path.unlink()
        raise
