"""The view tells what happens and can neither delay nor break a run, whatever it is shown and whoever reads it."""

from __future__ import annotations

import io
import os
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from chaos_runner import histogram
from chaos_runner.cli import live
from chaos_runner.cli.picture import Picture
from chaos_runner.cli.pump import Pump, writer
from chaos_runner.console import drawing
from chaos_runner.console.scene import Scene
from chaos_runner.environment import Environment
from chaos_runner.expect import clause
from chaos_runner.model import BlastRadius, Check, Experiment, FaultStep
from chaos_runner.plan import Plan, PlannedFault
from chaos_runner.records import (
    ClauseCount,
    Entry,
    FaultClosed,
    FaultInjected,
    FaultReverted,
    FaultStuck,
    IntentCommitted,
    Noted,
    PhaseBegan,
    Sample,
    Target,
)
from chaos_runner.ticks import Status

ESCAPE = "\x1b[31mred\x1b[0m\x07\u202e"


def plan(title: str = "Shoppers can check out") -> Plan:
    check = Check(probe="http", title=title, expect=(clause("success >= 99%"), clause("p95 <= 1s")))
    experiment = Experiment(
        kind="experiment/v1",
        name="x",
        hypothesis="h",
        title=title,
        steady_state={"shoppers": check},
        blast_radius=BlastRadius(),
        method=(FaultStep(fault="toxic"),),
    )
    fault = PlannedFault(0, 0, 0, "", "toxic", 1, {}, Target(key="proxy/payments"), "a", 30.0, True)
    return Plan(experiment=experiment, environment="demo", connections=Environment(), seed=1, faults=(fault,))


def entry(record: Any, t: float, seq: int = 1) -> Entry:
    return Entry("r1", seq, 1_800_000_000.0 + t, t, record)


def intent(target: str = "proxy/payments") -> IntentCommitted:
    return IntentCommitted("r1.0", Target(key=target), "toxic", 0, "a", {})


def sample(tick: int, good: int, bad: int, latency: float | None = 0.4) -> Sample:
    counts = (ClauseCount(0, good, bad, 0), ClauseCount(1, good, bad, 0))
    drawn = ((histogram.bucket(latency), good),) if latency is not None else ()
    return Sample("shoppers", tick, counts, histogram=drawn)


def status(tick: int, *fresh: Sample, until: float = 60.0, **margin: float) -> Status:
    return Status(tick, "fault", fresh, margin, until)


def scene_in_fault() -> Scene:
    scene = Scene(plan())
    scene.hear(entry(PhaseBegan("fault", 0), 20.0))
    scene.hear(entry(intent(), 20.1))
    scene.hear(entry(FaultInjected("r1.0", 0.01), 20.2))
    return scene


def plain(lines: list[str]) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))


# --- what it knows ------------------------------------------------------------------------------------------------


def test_a_fault_counts_down_and_is_told_until_it_is_closed() -> None:
    scene = scene_in_fault()
    scene.see(status(30))
    assert "toxic on proxy/payments  injected, 20 s left" in plain(drawing.frame(scene, 120, 30))

    scene.hear(entry(FaultReverted("r1.0", 50.0), 50.0))
    assert "gone, read back" in plain(drawing.frame(scene, 120, 30))
    scene.hear(entry(FaultStuck("r1.0", "no answer"), 51.0))
    assert "NOT REVERTED" in plain(drawing.frame(scene, 120, 30))
    scene.hear(entry(FaultClosed("r1.0"), 52.0))
    scene.hear(entry(PhaseBegan("fault", 1), 60.0))
    assert "toxic on" not in plain(drawing.frame(scene, 120, 30))


def test_a_check_says_ok_violated_or_unknown_and_never_guesses() -> None:
    scene = scene_in_fault()
    assert scene.checks["shoppers"].word(True) == "unknown"
    scene.see(status(21, sample(20, 40, 0)))
    assert scene.checks["shoppers"].word(True) == "ok"
    scene.see(status(22, sample(21, 0, 40, None)))
    assert scene.checks["shoppers"].word(True) == "violated"
    assert "success 0 %, p95 no answer" in plain(drawing.frame(scene, 120, 30))
    scene.hear(entry(PhaseBegan("recovery", 0), 50.0))
    assert scene.checks["shoppers"].word(False) == "unknown"


def test_the_margin_is_a_bar_while_there_is_one() -> None:
    scene = scene_in_fault()
    assert "%" not in plain(drawing.frame(scene, 120, 30))
    scene.see(status(25, shoppers=0.42))
    assert "████░░░░░░  42 %" in plain(drawing.frame(scene, 120, 30))


def test_the_curve_has_a_bar_a_tick_and_a_dot_where_nothing_came() -> None:
    scene = scene_in_fault()
    for tick, latency in enumerate([0.1, 0.4, 0.8, None]):
        scene.see(status(20 + tick, sample(20 + tick, 40, 0, latency)))
    assert scene.checks["shoppers"].spark() == "▂▅█·"


@pytest.mark.parametrize(("width", "height"), [(120, 40), (80, 24), (41, 5), (300, 100)])
def test_a_picture_is_never_larger_than_the_terminal(width: int, height: int) -> None:
    scene = scene_in_fault()
    for tick in range(100):
        scene.see(status(tick, sample(tick, 40, 0), shoppers=0.5))
    lines = drawing.frame(scene, width, height)

    assert len(lines) < height
    assert all(len(line) < width for line in plain(lines).split("\n"))
    assert "Shop" in plain(lines)


# --- what reaches the terminal --------------------------------------------------------------------------------------


def test_no_text_of_a_file_or_a_target_can_command_the_terminal() -> None:
    scene = Scene(plan(title=ESCAPE))
    scene.hear(entry(PhaseBegan("fault", 0), 1.0))
    scene.hear(entry(intent(f"proxy/{ESCAPE}"), 1.1))
    shown = plain(drawing.frame(scene, 120, 30))
    lines = live.Lines(lambda _content: None).of([entry(Noted("ann", ESCAPE), 1.0), f"warning: {ESCAPE}"])

    for text in (shown, *lines):
        assert "red" in text
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", text)


def test_lines_scroll_above_the_picture_and_the_end_takes_it_away() -> None:
    written: list[bytes] = []
    lines = live.Lines(written.append)
    picture = Picture(plan(), lines, written.append, lambda: os.terminal_size((100, 30)))
    picture.deal([entry(PhaseBegan("baseline"), 1.0), status(2)])
    picture.deal([status(3)])
    picture.deal(["hurrying"])
    height = int(re.match(rb"\x1b\[(\d+)F", written[1])[1])  # type: ignore[index]
    picture.deal([])

    assert b"Baseline began" in written[0]
    assert b"Baseline began" not in written[1]
    assert written[2].split(b"\n")[0].endswith(b"hurrying\x1b[K")
    assert written[3] == f"\x1b[{height}F\x1b[J".encode()


# --- the run goes on ------------------------------------------------------------------------------------------------


@pytest.fixture
def stuck() -> Iterator[int]:
    """The writing end of a pipe that is full and that nobody reads."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 65536)
    except BlockingIOError:
        os.set_blocking(writing, True)
    yield writing
    os.close(reading)
    os.close(writing)


def test_a_terminal_that_stands_still_delays_nothing(stuck: int) -> None:
    lines = live.Lines(lambda content: live_write(stuck, content))
    pump = Pump(lines.deal, room=100)
    pump.start()

    began = time.monotonic()
    for n in range(10_000):
        pump.put(f"line {n}")
    assert time.monotonic() - began < 1
    assert pump.dropped > 9000
    assert not pump.close(0.05)


def live_write(fd: int, content: bytes) -> None:
    os.write(fd, content)


def test_a_reader_that_left_ends_the_view_and_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    pump = Pump(live.Lines(lambda content: live_write(writing, content)).deal)
    pump.start()
    pump.put("a line")
    pump.join(5)
    os.close(writing)

    assert "BrokenPipeError" in pump.trouble
    pump.put("another")
    assert pump.dropped == 1


def test_a_picture_that_fails_gives_way_to_lines_and_says_why_once() -> None:
    written: list[bytes] = []
    lines = live.Lines(written.append)

    def fail(_items: list[Any]) -> None:
        raise KeyError("shoppers")

    pump = Pump(fail, otherwise=lines.deal)
    pump.start()
    pump.put("first")
    pump.put("second")
    assert pump.close(5)

    out = b"".join(written).decode().splitlines()
    assert [line for line in out if "picture" not in line] == ["first", "second"]
    assert [line for line in out if "picture" in line] == [
        "the picture failed (KeyError: 'shoppers'); going on with lines"
    ]
    assert pump.trouble == ""


def test_at_most_one_batch_each_pace_and_the_end_does_not_wait() -> None:
    batches: list[list[Any]] = []
    pump = Pump(batches.append, pace_s=0.2)
    pump.start()
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        pump.put("x")
        time.sleep(0.001)
    began = time.monotonic()
    assert pump.close(5)

    assert len(batches) <= 6
    assert batches[-1] == []
    assert time.monotonic() - began < 0.5


def test_events_are_whole_and_in_order(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [entry(Noted("ann", f"note {n}"), float(n), n) for n in range(2000)]
    with live.viewing(plan(), events=str(tmp_path / "events"), quiet=True, redraw=False) as view:
        for one in entries:
            view.entry(one)

    lines = (tmp_path / "events").read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=Entry) for line in lines] == entries
    assert capsys.readouterr().err == ""


def test_quiet_still_tells_what_must_be_told(capsys: pytest.CaptureFixture[str]) -> None:
    with live.viewing(plan(), events=None, quiet=True, redraw=False) as view:
        view.entry(entry(Noted("ann", "note"), 1.0))
        view.status(status(1))
        view.tell("stopping: undoing first")

    assert capsys.readouterr().err == "stopping: undoing first\n"


@pytest.mark.parametrize("reason", [{"NO_COLOR": "1"}, {"CI": "true"}, {"TERM": "dumb"}, {}])
def test_no_colour_ci_dumb_terminals_and_pipes_get_plain_lines(
    reason: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from chaos_runner.cli import common

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return bool(reason)

    for name in ("NO_COLOR", "CI", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert common.colourful(Terminal()) is bool(reason)
    for name, value in reason.items():
        monkeypatch.setenv(name, value)
    assert not common.colourful(Terminal())


def test_a_stream_without_a_file_is_written_through_its_own_methods() -> None:
    stream = io.StringIO()
    writer(stream)("schön\n".encode())

    assert stream.getvalue() == "schön\n"


def test_the_view_runs_in_one_thread_that_ends() -> None:
    with live.viewing(plan(), events=None, quiet=True, redraw=False):
        assert [thread.name for thread in threading.enumerate()].count("view") == 1
    assert "view" not in [thread.name for thread in threading.enumerate()]
