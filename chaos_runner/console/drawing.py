"""Draws the scene for a terminal, as lines that fit its width. Needs rich; imported only when there is a terminal."""

from __future__ import annotations

import io

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from chaos_runner.console.scene import SPARK, Scene
from chaos_runner.gameday.running import CheckShown, Running
from chaos_runner.render import text
from chaos_runner.render.words import PHASES

COLOURS = {"ok": "green", "violated": "bold red", "unknown": "yellow"}
WIDTH_MAX = 120
BAR = 10


def frame(scene: Scene, width: int, height: int) -> list[str]:
    """The picture, line by line; never wider nor higher than asked for."""
    return lines(scene.shown(), width)[: max(1, height - 2)]


def lines(shown: Running, width: int) -> list[str]:
    """A run in as many lines as it takes."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=max(20, min(width - 1, WIDTH_MAX)), highlight=False)
    console.print(picture(shown, width), no_wrap=True, crop=True)
    return out.getvalue().rstrip("\n").split("\n")


def picture(shown: Running, width: int) -> Group:
    """A run as rich draws it."""
    return Group(_head(shown), _checks(shown, _bars(width)), _faults(shown))


def _head(shown: Running) -> Text:
    phase = PHASES.get(shown.phase, shown.phase)
    step = f" (step {shown.step + 1} of {shown.steps})" if shown.step >= 0 else ""
    most = "at most " if shown.phase == "recovery" else ""
    left = f", {most}{_seconds(shown.left_s)} left" if shown.left_s >= 1 else ""
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(f"{int(shown.now) // 60:02d}:{int(shown.now) % 60:02d}  ", "dim")
    head.append(f"{phase}{step}{left}", "bold")
    head.append(f"  {shown.title} on {shown.environment}", "dim")
    return head


def _bars(width: int) -> int:
    """How many bars of the curve there is room for beside the words."""
    return SPARK if width >= 110 else SPARK // 2 if width >= 90 else 0


def _checks(shown: Running, bars: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("check", no_wrap=True, overflow="ellipsis", min_width=12, max_width=34)
    table.add_column("so far", no_wrap=True, min_width=8)
    table.add_column("now", no_wrap=True, overflow="ellipsis", min_width=20)
    table.add_column("", no_wrap=True, overflow="crop", min_width=bars)
    table.add_column("to abort", no_wrap=True)
    for view in shown.checks:
        table.add_row(
            Text(view.title),
            Text(view.word, COLOURS[view.word]),
            Text(view.now or "no sample yet"),
            Text(view.spark[-bars:] if bars else "", "cyan"),
            _bar(view),
        )
    return table


def _bar(view: CheckShown) -> Text:
    """How near an abort is; empty while no fault is open."""
    if view.margin is None:
        return Text("")
    share = min(1.0, max(0.0, view.margin))
    full = round(share * BAR)
    colour = "red" if share >= 0.7 else "yellow" if share >= 0.3 else "green"
    bar = Text("█" * full, colour)
    bar.append("░" * (BAR - full), "dim")
    bar.append(f" {share * 100:3.0f} %")
    return bar


def _faults(shown: Running) -> Group:
    rows = []
    for line in shown.faults:
        left = "" if line.left_s is None else f", {_seconds(line.left_s)} left"
        colour = "bold red" if line.state == "NOT REVERTED" else "magenta" if line.left_s is not None else "dim"
        told = Text("fault  ", "dim", no_wrap=True, overflow="ellipsis")
        told.append(f"{line.title}  ").append(f"{line.state}{left}", colour)
        rows.append(told)
    return Group(*rows)


def _seconds(left: float) -> str:
    """A countdown: whole seconds."""
    whole = max(0, round(left))
    return f"{whole} s" if whole < 100 else text.duration(whole)
