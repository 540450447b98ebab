"""Reads Chaos Toolkit experiments, JSON or YAML: what they say as plain values, or every problem with its place.

Whatever Chaos Toolkit would refuse is refused, and so is what it lets pass and then fails by: a rollback that refers
to nothing, a tolerance that is never met. Unknown keys are noted, as they do no harm there. Nothing is imported, no
command is looked for, no variable is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from chaos_runner.chaostoolkit import activities
from chaos_runner.chaostoolkit.places import Found, Place, expected, needed, strange
from chaos_runner.load import Dialect, Invalid, Loaded, Node, Problem, older, plain, read
from chaos_runner.load.nodes import resolve
from chaos_runner.load.problems import at

ALIASED_MAX = 10_000
YAML = Dialect(resolve=older.resolve, aliased_max=ALIASED_MAX)
JSON = Dialect(resolve=resolve)

_KEYS = (
    *("version", "title", "description", "tags", "contributions", "configuration", "secrets", "method", "rollbacks"),
    *("steady-state-hypothesis", "controls", "extensions", "runtime", "dry", "blast_radius", "abort"),
)
_HEADS = frozenset({"title", "description", "steady-state-hypothesis", "rollbacks", "configuration"})
_STRATEGIES = {
    "hypothesis": ("default", "before-method-only", "after-method-only", "during-method-only", "continuously", "skip"),
    "rollbacks": ("default", "always", "never", "deviated"),
}


def is_one(root: Node) -> bool:
    """Whether a file looks like a Chaos Toolkit experiment: it has a method, and no `kind:` of ours."""
    keys = root.children() if root.kind == "map" else {}
    return "kind" not in keys and "method" in keys and not _HEADS.isdisjoint(keys)


def loaded(path: str | os.PathLike[str]) -> Loaded[dict[str, Any]]:
    """The experiment as plain values. Raises Invalid with every problem of the file."""
    document = read(path, JSON if os.fspath(path).lower().endswith(".json") else YAML)
    found = list(_whole(Place(document.root, ())))
    problems = [*document.problems, *(_told(one) for one in found if not one.note)]
    if problems:
        raise Invalid(sorted(set(problems)), {document.file: document.text})
    experiment: Any = plain(document.root)
    return Loaded(experiment, document, notes=tuple(sorted({_told(one) for one in found if one.note})))


def _told(found: Found) -> Problem:
    return at(found.node, found.path, found.message)


def _whole(root: Place) -> Iterator[Found]:
    if not root.is_a("map"):
        yield from expected(root, "map")
        return
    yield from strange(root, _KEYS)
    yield from needed(root, "title")
    yield from needed(root, "description")
    yield from _tags(root)
    yield from _named(root, "extensions", "an extension")
    yield from _controls(root)
    yield from _runtime(root)
    for key in ("configuration", "secrets"):
        if (below := root / key) is not None:
            yield from expected(below, "map", "null")
    refs = _names(root)
    yield from _hypothesis(root, refs)
    yield from _method(root, refs)


def _tags(root: Place) -> Iterator[Found]:
    tags = root / "tags"
    if tags is None:
        return
    yield from expected(tags, "list", "null")
    for tag in tags.items():
        if not tag.text and tag.node.kind != "bad":
            yield tag.wrong("a tag is text that is not empty")


def _named(root: Place, key: str, what: str) -> Iterator[Found]:
    listed = root / key
    if listed is None:
        return
    yield from expected(listed, "list", "null")
    for one in listed.items():
        yield from expected(one, "map")
        if one.node.kind == "map" and not (one / "name" or one).text.strip():
            yield one.wrong(f"{what} needs a name")


def _controls(root: Place) -> Iterator[Found]:
    yield from _named(root, "controls", "a control")
    controls = root / "controls"
    for one in controls.items() if controls is not None else ():
        if one.node.kind == "map" and one / "ref" is None and one / "provider" is None:
            yield one.wrong("a control needs a provider")
        scope = one / "scope"
        if scope is not None and scope.text not in {"before", "after"}:
            yield scope.wrong("a scope is `before` or `after`")


def _runtime(root: Place) -> Iterator[Found]:
    runtime = root / "runtime"
    if runtime is None:
        return
    yield from expected(runtime, "map", "null")
    for key, known in _STRATEGIES.items():
        strategy = (runtime / key or runtime) / "strategy"
        if strategy is not None and strategy.text not in known and not strategy.text.startswith("${"):
            yield strategy.wrong(f"unknown strategy '{strategy.text[:60]}'; known: {', '.join(known)}")


def _names(root: Place) -> frozenset[str]:
    """What a `ref:` may mean: activities of the method and of the hypothesis, and none of the rollbacks."""
    hypothesis = root / "steady-state-hypothesis"
    lists = (root / "method", hypothesis / "probes" if hypothesis is not None else None)
    places = [one for listed in lists if listed is not None for one in listed.items()]
    return frozenset(name.text for one in places if (name := one / "name") is not None and name.text)


def _hypothesis(root: Place, refs: frozenset[str]) -> Iterator[Found]:
    hypothesis = root / "steady-state-hypothesis"
    if hypothesis is None or hypothesis.node.kind == "null":
        return
    yield from expected(hypothesis, "map")
    if hypothesis.node.kind != "map":
        return
    yield from needed(hypothesis, "title")
    yield from strange(hypothesis, ("title", "probes", "controls"))
    probes = hypothesis / "probes"
    if probes is None:
        return
    yield from expected(probes, "list", "null")
    for one in probes.items():
        yield from activities.problems(one, refs)
        allowed = one / "tolerance"
        if allowed is not None:
            yield from activities.tolerance(allowed)
        elif one.node.kind == "map":
            yield one.wrong("a probe of the hypothesis needs a tolerance: what may its output be?")


def _method(root: Place, refs: frozenset[str]) -> Iterator[Found]:
    method, rollbacks = root / "method", root / "rollbacks"
    if method is None:
        yield root.wrong("missing key 'method'; an empty list only checks the hypothesis")
    for listed in (method, rollbacks):
        if listed is None or (listed is rollbacks and listed.node.kind == "null"):
            continue
        yield from expected(listed, "list")
        for one in listed.items():
            yield from activities.problems(one, refs)
