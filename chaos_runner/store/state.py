"""Which folder holds the state: one for all commands of a checkout, wherever in it they are typed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from chaos_runner import project

NAME = ".chaos-runner"
VARIABLE = "CHAOS_RUNNER_STATE"


def state_dir(option: str | None = None, environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> Path:
    """The folder that `--state` names, else CHAOS_RUNNER_STATE, else `.chaos-runner` beside the nearest config file.

    Without a config file upwards it is `.chaos-runner` in the current folder. Nothing is made.
    """
    here = (cwd or Path.cwd()).absolute()
    if named := option or environ.get(VARIABLE):
        return here / Path(named).expanduser()
    configuration = project.find(here)
    return (configuration.parent if configuration else here) / NAME
