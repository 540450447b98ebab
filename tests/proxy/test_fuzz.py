"""A sample of tools/fuzz_proxy.py: any bytes at the API and through the proxies, on both loops."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.proxy.toxi import ROOT

NOT_RUN = 3
LIMIT_S = 240


@pytest.mark.parametrize("how", [[], ["--without-uvloop"]], ids=["uvloop", "asyncio"])
def test_no_bytes_crash_hang_or_confuse_the_proxy(how: list[str]) -> None:
    command = [sys.executable, "tools/fuzz_proxy.py", "--count", "1000", "--seed", "20261122", *how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode == NOT_RUN:
        pytest.skip(done.stdout)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("it held\n")
