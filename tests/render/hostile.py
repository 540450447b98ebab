"""Histories whose every free text carries something hostile in front: names, reasons, keys, all of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import msgspec

from chaos_runner import records
from chaos_runner.history import Run
from chaos_runner.records import Entry, Sample
from chaos_runner.render import planned
from tools.sample_history import History

STRINGS = (
    "</script><script>alert(1)</script>",
    "</title></style></textarea><img src=x onerror=alert(1)>",
    "\"' onmouseover=alert(1) x='\" autofocus onfocus=alert(1) ",
    "<svg/onload=alert(1)><!-- --!> ]]> <![CDATA[ <?php ?>",
    "javascript:alert(1)//&lt;script&gt;&#60;b&#62; &amp &copy",
    "{{7*7}}{% raw %}{{ ''.__class__ }}${7*7}#{7*7}",
    "\x1b[31m\x1b]0;owned\x07\x00\x08\x7f\x9b\u202ekcab\u2066\u200f",
    "\ufffe\uffff\U0001fffe\ufdd0 no characters",  # lone surrogates cannot be in a record: they have no JSON
    "Ω≈ç√∫ 田中さん ̡͓̞ͅI̗̘̦͝n͇͇͙v̮̫ok̲̫̙͈i̖͙̭̹̠̞n̡̻̮̣̺g 👩‍👩‍👧‍👦 ﷽",
    "a\r\nb\tc\n\n<br>\u2028</p>\u2029",
    "|`code`|**b**|[a](http://evil)|![i](http://evil/x.png)|@everyone #1 <details> ~~~",
    "-->'\"<style>*{display:none}</style><base href=//evil><meta http-equiv=refresh content=0>",
    "=cmd|' /C calc'!A0 ../../etc/passwd %s%n $(reboot) `reboot` ; rm -rf /",
    "﻿\u0000<\u0000script>alert(1)</\u0000script>",
    "x" * 3000,
)


def benign(text: str) -> str:
    """The harmless twin: the same places, changed the same way."""
    return "plain " + text


def mixed(turn: int) -> Callable[[str], str]:
    """Another of the strings in front of each text, always the same in front of the same."""
    return lambda plain: STRINGS[(zlib.crc32(plain.encode()) + turn) % len(STRINGS)] + plain


def poisoned(history: History, change: Callable[[str], str]) -> History:
    """The history with `change` applied to every free text in it."""
    return History([_entry(one, change) for one in history.entries], [_sample(one, change) for one in history.samples])


def _entry(entry: Entry, change: Callable[[str], str]) -> Entry:
    built: dict[str, Any] = msgspec.to_builtins(entry)
    for path in _paths(built["record"]):
        trial = _replaced(built, ("record", *path), change)
        if _still_readable(entry, trial):
            built = trial
    return msgspec.structs.replace(msgspec.convert(built, Entry), run=change(entry.run))


def _still_readable(entry: Entry, trial: dict[str, Any]) -> bool:
    try:
        record = msgspec.convert(trial, Entry).record
    except msgspec.ValidationError:
        return False
    if not isinstance(record, records.RunStarted) or type(record) is not type(entry.record):
        return type(record) is type(entry.record)
    return not planned.read(Run(id="", plan=record.plan)).unreadable


def _sample(sample: Sample, change: Callable[[str], str]) -> Sample:
    return msgspec.structs.replace(
        sample,
        check=change(sample.check),
        why=change(sample.why) if sample.why else "",
        values={change(name): value for name, value in sample.values.items()},
        exemplars=tuple(msgspec.structs.replace(one, error=change(one.error)) for one in sample.exemplars),
    )


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where strings are, and which tables have free keys; deepest first, so that changed keys lose no path."""
    found: list[tuple[Any, ...]] = []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _paths(inner, (*path, key))
        if path and path[-1] in ("figures", "versions", "services", "steady_state", "keep_available"):
            found.append((*path, None))
    elif isinstance(value, list | tuple):
        for n, inner in enumerate(value):
            found += _paths(inner, (*path, n))
    elif isinstance(value, str) and value:
        found.append(path)
    return found


def _replaced(value: Any, path: tuple[Any, ...], change: Callable[[str], str]) -> Any:
    if not path:
        return change(value)
    if path[0] is None:
        return {change(key): inner for key, inner in value.items()}
    if isinstance(value, dict):
        return {key: _replaced(inner, path[1:], change) if key == path[0] else inner for key, inner in value.items()}
    return type(value)(_replaced(inner, path[1:], change) if n == path[0] else inner for n, inner in enumerate(value))
