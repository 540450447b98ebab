"""`schedule preview` and `schedule explain`, as a person types them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from chaos_runner.cli.main import main
from chaos_runner.schedule import preview, slots
from chaos_runner.when import Every
from tests.schedule import kit
from tests.schedule.test_calendars import ONE, folder_of


def typed(capsys: pytest.CaptureFixture[str], path: Path, *words: str) -> tuple[int, str, str]:
    code = main(["schedule", *words, "--config", str(path), "--state", str(path.parent / "state")])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_next_slots_are_shown_in_any_zone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = typed(capsys, folder_of(tmp_path), "preview", "x-staging", "-n", "3", "--zone", "Asia/Tokyo")

    lines = out.splitlines()
    assert (code, len(lines)) == (0, 4)
    assert lines[0].split() == ["due", "schedule", "would", "be"]
    assert all(("19:00:00+09:00" in line or "18:00:00+09:00" in line) and line.endswith("run") for line in lines[1:])


def test_a_month_shows_runs_and_what_is_closed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder_of(tmp_path, "2026-12-24..2026-12-31 year's end")
    code, out, _ = typed(capsys, path, "preview", "--month", "2026-12")

    assert code == 0
    assert out == (
        "December 2026, Europe/Berlin\n"
        "Mon        Tue        Wed        Thu        Fri        Sat        Sun\n"
        "            1 11:00    2 11:00    3 11:00    4 11:00    5          6\n"
        " 7 11:00    8 11:00    9 11:00   10 11:00   11 11:00   12         13\n"
        "14 11:00   15 11:00   16 11:00   17 11:00   18 11:00   19         20\n"
        "21 11:00   22 11:00   23 11:00   24 x       25 x       26         27\n"
        "28 x       29 x       30 x       31 x\n"
    )


@pytest.mark.parametrize(
    ("at", "code", "said"),
    [
        ("2026-12-22T11:00", 0, "it would run, if every gate lets it"),
        ("2026-12-22T10:00:30+00:00", 0, "it is due at Tue 2026-12-22 11:00:00+01:00: 0 11 * * *"),
        ("2026-12-22T12:00", 3, "does not come up then; the next one is Wed 2026-12-23 11:00:00+01:00"),
        ("2026-12-26T11:00", 3, "Saturday 11:00 in Europe/Berlin is outside mon-fri 10:00-15:00 (work)"),
        ("2026-12-24T11:00", 3, "closed by work: Christmas"),
    ],
)
def test_explain_says_each_rule_and_what_comes_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], at: str, code: int, said: str
) -> None:
    got, out, _ = typed(capsys, folder_of(tmp_path, "2026-12-24 Christmas"), "explain", "x-staging", at)

    assert got == code
    assert said in out
    assert out.endswith("it would run, if every gate lets it\n" if code == 0 else "it would not run\n")


def test_a_coin_that_shows_tails_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder_of(tmp_path, "", ONE.replace("cron: 0 11 * * *", "every: 300 workdays"))
    outs = [typed(capsys, path, "explain", "x-staging", f"2026-12-{day}T12:00")[1] for day in (21, 22)]

    assert any("shows tails for staging/shop" in out for out in outs)


def test_json_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder_of(tmp_path)
    _, out, _ = typed(capsys, path, "preview", "-n", "2", "-o", "json")
    told = json.loads(out)
    _, why, _ = typed(capsys, path, "explain", "x-staging", "2026-12-26T11:00", "-o", "json")

    assert [one["would_run"] for one in told["slots"]] == [True, True]
    assert told["zone"] == "Europe/Berlin"
    assert [one["code"] for one in json.loads(why)["rules"] if not one["ok"]] == ["due", "hours"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["preview", "x-stagin"], "did you mean 'x-staging'?"),
        (["preview", "--zone", "Europe/Berln"], "did you mean 'Europe/Berlin'?"),
        (["preview", "--month", "12/2026"], "write one such as 2026-12"),
        (["explain", "x-staging", "noon"], "write AT as 2026-12-24T10:30"),
        (["explain"], "schedule explain NAME AT"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    code, _, err = typed(capsys, folder_of(tmp_path), *words)

    assert code == 2
    assert said in err


@pytest.mark.parametrize("every", [None, Every(workdays=2.0)])
def test_a_preview_of_twenty_slots_is_cheap(every: Every | None) -> None:
    case = kit.every(2.0) if every else kit.one("30 10 * * mon-fri", "Europe/Berlin", (600, 900))
    began = time.process_time()
    made = [
        one
        for one, _ in zip(
            slots.due(case.schedule, case.almanac, kit.START, kit.END, case.terms), range(20), strict=False
        )
    ]

    assert len(preview.rows(made, "Asia/Tokyo")) == 21
    assert time.process_time() - began < 1.0  # some 5 ms on a quiet machine
