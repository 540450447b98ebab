"""Laws of activities carried out: an entry of the journal whatever happens, in time, and without secrets."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

from chaos_runner.chaostoolkit.crew import Crew, Known, deadline
from chaos_runner.chaostoolkit.workers import Lost, Setting

execute = pytest.importorskip("chaoslib.activity", reason="Chaos Toolkit is not installed").execute_activity

T = TypeVar("T")
MODULE = """\
import os, time
count = 0
def counted():
    global count
    count += 1
    return count
def sleepy(seconds=60): time.sleep(seconds)
def tells(secret="x"): return {"said": ["it is " + secret]}
def breaks(secret="x"): raise ValueError("no " + secret)
def raw(): return {1}
def dies(): os._exit(3)
"""
KNOWN = Known({"n": 1}, {"shop": {"token": "hunter2"}})


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    (tmp_path / "own.py").write_text(MODULE)
    return Setting(environ={"PATH": os.environ["PATH"]}, path=(str(tmp_path),), log=str(tmp_path / "log"))


def acting(setting: Setting, work: Callable[[Crew], Awaitable[T]]) -> T:
    async def run() -> T:
        crew = Crew(setting, time.time)
        try:
            return await work(crew)
        finally:
            crew.close()

    return anyio.run(run)


def activity(func: str, **more: Any) -> dict[str, Any]:
    provider = {"type": "python", "module": "own", "func": func, "arguments": more.pop("arguments", {})}
    return {"type": "action", "name": func, "provider": provider, **more}


def process(*words: str, **more: Any) -> dict[str, Any]:
    provider = {"type": "process", "path": words[0], "arguments": [*words[1:]]}
    return {"type": "probe", "name": "p", "provider": provider | more}


def exists(path: Any) -> dict[str, Any]:
    provider = {"type": "python", "module": "os.path", "func": "exists", "arguments": {"path": path}}
    return {"type": "probe", "name": "x", "provider": provider}


def plain(item: dict[str, Any]) -> dict[str, Any]:
    """Without times, and of an exception only its last line."""
    kept = {key: one for key, one in item.items() if key not in {"start", "end", "duration"}}
    if "exception" in kept:
        kept["exception"] = kept["exception"][-1].partition(":")[0]
    return kept


@pytest.mark.parametrize(
    "one",
    [process("echo", "hello"), process("false"), exists("/"), exists(1.5)],
    ids=["output", "exit code", "a function", "a function that raises"],
)
def test_an_entry_is_the_one_that_chaos_toolkit_writes(setting: Setting, one: dict[str, Any]) -> None:
    ours = acting(setting, lambda crew: crew.run(one, Known({}, {})))
    theirs = execute({}, one, {}, {}, None)
    assert plain(ours) == plain(theirs)
    assert list(ours)[:3] == list(theirs)[:3]
    assert ours["duration"] >= 0


def test_modules_keep_their_state_and_background_has_its_own(setting: Setting) -> None:
    async def work(crew: Crew) -> list[Any]:
        one, two = activity("counted"), activity("counted", background=True)
        return [(await crew.run(each, KNOWN))["output"] for each in (one, one, two, one)]

    assert acting(setting, work) == [1, 2, 1, 3]


def test_secrets_reach_no_entry(setting: Setting) -> None:
    async def work(crew: Crew) -> list[dict[str, Any]]:
        names = ("tells", "breaks")
        return [await crew.run(activity(name, arguments={"secret": "${token}"}), KNOWN) for name in names]

    told, broken = acting(setting, work)
    assert told["output"] == {"said": ["it is ***"]}
    assert "hunter2" not in str(broken)
    assert "no ***" in str(broken["exception"])


def test_what_has_no_json_is_an_entry_all_the_same(setting: Setting) -> None:
    item = acting(setting, lambda crew: crew.run(activity("raw"), KNOWN))
    assert (item["status"], item["output"]) == ("succeeded", "{1}")


def test_what_is_late_or_dies_has_failed_and_the_next_one_runs(setting: Setting) -> None:
    async def work(crew: Crew) -> list[dict[str, Any]]:
        many = (activity("sleepy", timeout=0.2), activity("counted"), activity("dies"), activity("counted"))
        return [await crew.run(one, KNOWN) for one in many]

    late, after, dead, last = acting(setting, work)
    assert (late["status"], late["lost"]) == ("failed", True)
    assert "it was killed" in late["exception"][0]
    assert "exit code 3" in dead["exception"][0]
    assert (after["output"], last["output"]) == (1, 1)


def test_a_rollback_has_a_process_of_its_own_that_outlives_the_one_that_acts(setting: Setting) -> None:
    async def work(crew: Crew) -> Any:
        await crew.prepare()
        await crew.run(activity("counted"), KNOWN)
        crew.stop_acting()
        return (await crew.run(activity("counted"), KNOWN, undoing=True))["output"]

    assert acting(setting, work) == 1


def test_tolerances_are_judged_and_what_cannot_be_is_not_met(setting: Setting) -> None:
    async def work(crew: Crew) -> list[dict[str, Any]]:
        item = await crew.run(process("echo", "hello"), KNOWN)
        broken = {"type": "probe", "name": "b", "provider": {"type": "python", "module": "own", "func": "breaks"}}
        allowed = (0, [5, 6], {"type": "regex", "pattern": "hell", "target": "stdout"}, "${n}", broken)
        return [await crew.judge(item, one, KNOWN) for one in allowed]

    zero, ranged, regex, text, broken = acting(setting, work)
    assert [one["tolerance_met"] for one in (zero, ranged, regex, text, broken)] == [True, False, True, False, False]
    assert "arguments" in broken["unjudged"] or broken["unjudged"]


def test_settling_what_cannot_be_had_is_said(setting: Setting) -> None:
    async def work(crew: Crew) -> Known:
        return await crew.settle({}, {"g": {"t": {"type": "env", "key": "NOT_THERE"}}}, {}, 10.0)

    with pytest.raises(Lost, match="NOT_THERE"):
        acting(setting, work)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({}, 60.0),
        ({"timeout": 3}, 4.0),
        ({"provider": {"timeout": 2}}, 3.0),
        ({"provider": {"timeout": [1, 4]}}, 6.0),
        ({"timeout": 3, "provider": {"timeout": 9}}, 4.0),
        ({"provider": {"timeout": "${n}"}}, 2.0),
        ({"provider": {"timeout": "soon"}}, 60.0),
    ],
)
def test_a_limit_is_the_activity_s_or_its_provider_s(told: dict[str, Any], seconds: float) -> None:
    assert deadline(told, KNOWN) == seconds
