"""`python -m chaos_runner` is `chaos-runner`."""

import sys

from chaos_runner.cli.main import program

sys.exit(program())
