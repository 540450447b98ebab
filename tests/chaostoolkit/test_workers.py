"""Laws of the processes that run activities: always an answer or an end, and never in our own process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from chaos_runner.chaostoolkit.frames import FRAME_MAX, FrameError, Frames, framed
from chaos_runner.chaostoolkit.workers import Lost, Setting, Worker

pytest.importorskip("chaoslib", reason="Chaos Toolkit is not installed")

MODULE = """\
import os, subprocess, sys, time
count = 0

def fine(x=1): return {"x": x}
def counted():
    global count
    count += 1
    return count
def sleepy(seconds):
    time.sleep(seconds)
    return True
def raises(): raise ValueError("it broke")
def fails():
    from chaoslib.exceptions import ActivityFailed
    raise ActivityFailed("not today")
def exits(): sys.exit(7)
def dies(): os._exit(9)
def raw(): return {1, 2}
def big(): return "x" * 9_000_000
def loud():
    print("hello")
    return os.environ.get("SECRET", "not there")
def parent(file):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    open(file, "w").write(str(child.pid))
    time.sleep(60)
"""


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    (tmp_path / "mine.py").write_text(MODULE)
    return Setting(
        environ={"PATH": os.environ["PATH"]},
        path=(str(tmp_path),),
        modules=("mine", "nowhere_at_all"),
        log=str(tmp_path / "log"),
    )


@pytest.fixture
def started(setting: Setting) -> Iterator[Worker]:
    worker = Worker(setting)
    try:
        yield worker
    finally:
        worker.kill()


def call(func: str, **arguments: Any) -> dict[str, Any]:
    provider = {"type": "python", "module": "mine", "func": func, "arguments": arguments}
    activity = {"type": "action", "name": func, "provider": provider}
    return {"do": "activity", "activity": activity, "configuration": {}, "secrets": {}}


def asked(worker: Worker, *messages: dict[str, Any], limit_s: float = 20.0) -> list[dict[str, Any]]:
    async def run() -> list[dict[str, Any]]:
        if not worker.pid:
            await worker.start()
        return [await worker.ask(message, limit_s) for message in messages]

    return anyio.run(run)


def gone(pid: int, within_s: float = 5.0) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.02)
    return False


def test_an_activity_s_output_comes_back_and_module_state_is_kept(started: Worker) -> None:
    first, second, third = asked(started, call("fine", x=3), call("counted"), call("counted"))
    assert first == {"ok": True, "output": {"x": 3}}
    assert (second["output"], third["output"]) == (1, 2)
    assert list(started.missing) == ["nowhere_at_all"]
    assert "mine" not in sys.modules


@pytest.mark.parametrize(
    ("func", "error", "why"),
    [
        ("raises", "ActivityFailed", "it broke"),
        ("fails", "ActivityFailed", "not today"),
        ("exits", "SystemExit", "7"),
        ("absent", "AttributeError", "absent"),
    ],
)
def test_whatever_it_raises_is_an_answer_and_the_process_lives(
    started: Worker, func: str, error: str, why: str
) -> None:
    told, after = asked(started, call(func), call("fine"))
    assert (told["ok"], told["error"]) == (False, error)
    assert why in told["why"]
    assert after["ok"]


def test_output_that_is_no_json_or_too_long_is_said_to_be(started: Worker) -> None:
    raw, big, after = asked(started, call("raw"), call("big"), call("fine"))
    assert raw == {"ok": True, "output": None, "unlike_json": "{1, 2}"}
    assert big == {"ok": True, "output": None, "too_long": 9_000_002}
    assert after["ok"]


def test_nothing_of_our_environment_is_inherited(started: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "leaked")
    [told] = asked(started, call("loud"))
    assert told["output"] == "not there"
    assert Path(started.setting.log).read_text() == ""  # it is buffered there, and on no terminal


def test_what_is_late_is_killed_with_its_children(started: Worker, tmp_path: Path) -> None:
    asked(started, call("fine"))
    began = time.monotonic()
    with pytest.raises(Lost, match="no answer within 1 s: it was killed"):
        asked(started, call("parent", file=str(tmp_path / "pid")), limit_s=1.0)
    assert time.monotonic() - began < 10
    assert gone(started.pid)
    assert gone(int((tmp_path / "pid").read_text()))
    with pytest.raises(Lost, match="it is gone"):
        asked(started, call("fine"))


def test_a_process_that_dies_says_how(started: Worker) -> None:
    with pytest.raises(Lost, match="exit code 9"):
        asked(started, call("dies"))
    assert not started.alive


def test_whoever_is_cancelled_leaves_nothing_running(started: Worker) -> None:
    async def run() -> None:
        await started.start()
        with anyio.move_on_after(0.5):
            await started.ask(call("sleepy", seconds=60), 120)

    anyio.run(run)
    assert gone(started.pid)


def test_tolerances_that_need_code_are_judged_there(started: Worker) -> None:
    provider = {"type": "python", "module": "mine", "func": "fine", "arguments": {"x": 1}}
    probe = {"type": "probe", "name": "p", "provider": {**provider, "func": "raises"}}
    base = {"do": "tolerance", "value": 3, "configuration": {}, "secrets": {}}
    inside = {"type": "range", "range": [1, 4]}
    met, broken = asked(started, {**base, "tolerance": inside}, {**base, "tolerance": probe})
    assert met == {"ok": True, "met": True}
    assert not broken["ok"] or broken["met"] is False


def test_configuration_and_secrets_are_settled_there(started: Worker) -> None:
    message = {
        "do": "settle",
        "configuration": {"a": {"type": "env", "key": "PATH"}, "b": 2, "n": {"type": "env", "key": "NO", "default": 1}},
        "secrets": {"g": {"t": {"type": "env", "key": "PATH"}}},
        "variables": {"configuration": {"b": 3}},
    }
    [told] = asked(started, message)
    assert told["configuration"]["b"] == 3
    assert told["secrets"] == {"g": {"t": os.environ["PATH"]}}


def test_frames_are_cut_wherever_bytes_end() -> None:
    stream = framed({"a": 1}) + framed({"b": ["x" * 100]})
    for size in (1, 3, 7, 1000):
        frames, came = Frames(), []
        for start in range(0, len(stream), size):
            came += frames.feed(stream[start : start + size])
        assert came == [{"a": 1}, {"b": ["x" * 100]}]


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(FrameError, match="too long"):
        Frames().feed((FRAME_MAX + 1).to_bytes(4, "big"))
    with pytest.raises(FrameError, match="cannot be read"):
        Frames().feed(b"\0\0\0\x02[]")
