"""Where a project begins: at the nearest chaos-runner.yaml. Looks whether files are there, and opens none."""

from __future__ import annotations

from pathlib import Path

FILE = "chaos-runner.yaml"


def find(start: Path) -> Path | None:
    """The configuration file in this folder, or in the nearest one above it."""
    return next((folder / FILE for folder in (start, *start.parents) if (folder / FILE).is_file()), None)
