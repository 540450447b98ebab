"""Writes what a folder needs to begin: chaos-runner.yaml, a first experiment with its check, schemas for editors.

Nothing is overwritten: what is there already is left alone, and named.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from chaos_runner.cli import common, writing

IGNORED = (".chaos-runner/", "reports/")
FIRST = "slow-payments"


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `init`."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="DIR", help="default: this folder")
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """0; what was written and what was left alone is listed."""
    wrote: list[str] = []
    left: list[str] = []
    for name, text in _contents(args.folder).items():
        (wrote if writing.placed(args.folder / name, text) else left).append(name)
    (wrote if _ignore(args.folder / ".gitignore") else left).append(".gitignore")
    _say(args, wrote, left)
    return 0


def _contents(root: Path) -> dict[str, str]:
    """Path -> text, the configuration first."""
    from chaos_runner.cli import templates

    def modeline(name: str, kind: str) -> dict[str, str]:
        return {"modeline": writing.modeline(root / name, root, kind)}

    config, checks, first = "chaos-runner.yaml", "experiments/checks/shop.yaml", f"experiments/{FIRST}.yaml"
    words = {"name": FIRST, "service": "checkout", "target": "payments", "owner": "team-shop"}
    words |= modeline(first, "experiment")
    words["steady_state"] = '  shoppers: {use: "checks/shop.yaml#shoppers"}'
    texts = {
        config: templates.filled(templates.read("chaos-runner.yaml"), modeline(config, "config")),
        checks: templates.filled(templates.read("checks.yaml"), modeline(checks, "checks")),
        first: templates.experiment("slow-dependency", words),
    }
    return texts | {f"{writing.SCHEMAS}/{kind}.json": writing.schema_text(kind) for kind in writing.KINDS}


def _ignore(path: Path) -> bool:
    """Adds what git should not keep; False when it is all there."""
    from chaos_runner.cli.trouble import Usage

    try:
        text = path.read_text("utf-8") if path.exists() else ""
        known = {line.strip().strip("/") for line in text.splitlines()}
        missing = [line for line in IGNORED if line.strip("/") not in known]
        if missing:
            with path.open("a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in [*([""] if text and text[-1] != "\n" else []), *missing]))
    except (OSError, UnicodeDecodeError) as why:
        msg = f"{path} cannot be added to: {why}"
        raise Usage(msg) from None
    return bool(missing)


def _say(args: argparse.Namespace, wrote: list[str], left: list[str]) -> None:
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "folder": str(args.folder), "wrote": wrote, "left_alone": left})
        return
    for name in wrote:
        print(f"wrote       {args.folder / name}")
    for name in left:
        print(f"left alone  {args.folder / name} (it was there already)")
    there = "" if args.folder == Path() else f"cd {args.folder} && "
    print(f"\nnext: {there}chaos-runner demo up && chaos-runner run experiments/{FIRST}.yaml -e demo-resilient")
