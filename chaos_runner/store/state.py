"""Which folder holds the state: one for all commands of a checkout, wherever in it they are typed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

NAME = ".chaos-runner"
CONFIG = "chaos-runner.yaml"
VARIABLE = "CHAOS_RUNNER_STATE"


def state_dir(option: str | None = None, environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> Path:
    """The folder that `--state` names, else CHAOS_RUNNER_STATE, else `.chaos-runner` beside the nearest config file.

    Without a config file upwards it is `.chaos-runner` in the current folder. Nothing is made.
    """
    here = (cwd or Path.cwd()).absolute()
    if named := option or environ.get(VARIABLE):
        return here / Path(named).expanduser()
    for folder in (here, *here.parents):
        if (folder / CONFIG).is_file():
            return folder / NAME
    return here / NAME
