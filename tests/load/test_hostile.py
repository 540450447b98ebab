"""No file, however made, crashes the loader, hangs it or eats the memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_hostile_and_random_files_break_no_promise():
    argv = [sys.executable, str(ROOT / "tools" / "fuzz_load.py"), "--count", "200", "--seed", "7"]

    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed" in done.stdout


def test_loading_imports_nothing_that_a_file_names_and_nothing_heavy():
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from chaos_runner import load, model
before = set(sys.modules)
def watch(event, args):
    if event in ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect"):
        raise SystemExit(f"{event} {args}")
sys.addaudithook(watch)
text = "kind: experiment/v1\\nname: !!python/object/apply:os.system [id]\\nx: !!python/module:antigravity y\\n"
root = load.guard(text, "x").root
load.walk(root, model.Experiment)
new = set(sys.modules) - before
assert not new & {"antigravity", "httpx2", "anyio", "jinja2", "rich", "apscheduler"}, new
loaded = {name for name in sys.modules if name.startswith("chaos_runner.")}
assert not {"chaos_runner.load.schema", "chaos_runner.load.explain"} & loaded, loaded
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
