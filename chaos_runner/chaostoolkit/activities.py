"""What is wrong with an activity of a Chaos Toolkit file: its provider, its tolerance, its pauses. No IO, no import.

Nothing that an activity names is looked for here: importing a module runs its code, and validating runs none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from chaos_runner import spelling
from chaos_runner.chaostoolkit.places import Found, Place, expected, needed, strange

TYPES = ("probe", "action")
ACTIVITY = (
    *("type", "name", "ref", "provider", "background", "pauses", "controls", "tolerance", "dry", "timeout"),
    *("secrets", "configuration", "title", "description", "undo"),
)
PROVIDERS: dict[str, tuple[str, ...]] = {
    "python": ("module", "func"),
    "process": ("path",),
    "http": ("url",),
}
_PROVIDER = {
    "python": ("type", "module", "func", "arguments", "secrets"),
    "process": ("type", "path", "arguments", "timeout", "secrets"),
    "http": ("type", "url", "method", "headers", "arguments", "timeout", "verify_tls", "max_retries", "secrets"),
}
_PATTERN = re.compile(r"\$\{\w+\}", re.ASCII)


def problems(place: Place, refs: frozenset[str]) -> Iterator[Found]:
    """All that is wrong with one activity; `refs` are the names that a `ref:` may mean."""
    if not place.is_a("map"):
        yield from expected(place, "map")
        return
    ref = place / "ref"
    if ref is not None:
        yield from _reference(ref, refs)
        return
    yield from strange(place, ACTIVITY)
    yield from needed(place, "name")
    yield from _chosen(place, "type", TYPES, "an activity is a probe or an action")
    provider = place / "provider"
    if provider is None:
        yield place.wrong("missing key 'provider': what does the activity call?")
    else:
        yield from _provider(provider)
    yield from _timing(place)


def tolerance(place: Place) -> Iterator[Found]:
    """All that is wrong with a tolerance."""
    kind = place.node.kind
    if kind == "float":
        yield place.wrong("a tolerance cannot be a fraction; write `{type: range, range: [low, high]}`")
    elif kind == "null":
        yield place.wrong("a tolerance of nothing is never met; remove the probe, or say what is tolerated")
    elif kind == "map":
        yield from _chosen(place, "type", _TOLERANCES, "a mapping says of which type it is")
        check = _TOLERANCES.get((place / "type" or place).text)
        if check is not None:
            yield from check(place)


def number_or_pattern(place: Place) -> Iterator[Found]:
    """A number, or `${name}` that becomes one."""
    if place.node.kind == "text" and _PATTERN.fullmatch(place.text):
        return
    if not place.is_a("int", "float"):
        yield place.wrong("expected seconds as a number, or ${name}")
    elif place.node.kind != "bad" and float(place.node.value or 0) < 0:
        yield place.wrong("a time cannot be negative")


def _reference(ref: Place, refs: frozenset[str]) -> Iterator[Found]:
    if not ref.text:
        yield ref.wrong("`ref` is the name of another activity")
    elif ref.text not in refs:
        yield ref.wrong(spelling.unknown("activity", ref.text, sorted(refs)))


def _chosen(place: Place, key: str, known: object, why: str) -> Iterator[Found]:
    words = list(known)  # type: ignore[call-overload]
    below = place / key
    if below is None:
        yield place.wrong(f"missing key '{key}': {why} ({spelling.listed(words)})")
    elif below.text not in words and below.node.kind != "bad":
        yield below.wrong(spelling.unknown(key, str(below.node.value), words))


def _provider(place: Place) -> Iterator[Found]:
    if not place.is_a("map"):
        yield from expected(place, "map")
        return
    yield from _chosen(place, "type", PROVIDERS, "what kind of call is it?")
    kind = (place / "type" or place).text
    for key in PROVIDERS.get(kind, ()):
        yield from needed(place, key)
    if kind in _PROVIDER:
        yield from strange(place, _PROVIDER[kind])
    yield from _arguments(place, kind)
    headers, timeout = place / "headers", place / "timeout"
    if headers is not None:
        yield from expected(headers, "map", "null")
    if timeout is not None:
        yield from _limit(timeout, kind)


def _arguments(place: Place, kind: str) -> Iterator[Found]:
    arguments = place / "arguments"
    if arguments is None:
        return
    yield from expected(arguments, *(("map", "null") if kind == "python" else ("map", "list", "text", "null")))
    if kind == "process" and arguments.node.kind == "text":
        yield arguments.noted("arguments as one text are run by a shell; a list is passed on as it is")


def _limit(timeout: Place, kind: str) -> Iterator[Found]:
    if kind == "http" and timeout.node.kind == "list":
        for one in timeout.items():
            yield from number_or_pattern(one)
    elif timeout.node.kind != "null":
        yield from number_or_pattern(timeout)


def _timing(place: Place) -> Iterator[Found]:
    timeout, background, pauses = place / "timeout", place / "background", place / "pauses"
    if timeout is not None:
        yield from expected(timeout, "int", "float", "null")
    if background is not None:
        yield from expected(background, "bool")
    if pauses is None:
        return
    yield from expected(pauses, "map")
    for _key, one in pauses.pairs():
        yield from number_or_pattern(one)


def _regex(place: Place) -> Iterator[Found]:
    yield from needed(place, "pattern")
    pattern = place / "pattern"
    if pattern is not None and pattern.text:
        try:
            re.compile(pattern.text)
        except re.error as why:
            yield pattern.wrong(f"this is no regular expression: {why}")


def _range(place: Place) -> Iterator[Found]:
    bounds = place / "range"
    if bounds is None:
        yield place.wrong("missing key 'range': two numbers, the lowest and the highest")
    elif bounds.node.kind != "list" or len(bounds.node.items) != 2:
        yield bounds.wrong("a range is a list of two numbers")
    else:
        for one in bounds.items():
            yield from expected(one, "int", "float")
        low, high = (one.node.value for one in bounds.items())
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            yield bounds.wrong(f"nothing lies between {low} and {high}; write the lower number first")


def _jsonpath(place: Place) -> Iterator[Found]:
    yield from needed(place, "path")


def _probe(place: Place) -> Iterator[Found]:
    yield from problems(place, frozenset())


_TOLERANCES = {"probe": _probe, "regex": _regex, "jsonpath": _jsonpath, "range": _range}
