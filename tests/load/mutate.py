"""Seeded single mistakes in a good file, each with the lines where its one problem must be told."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from chaos_runner.load import Node, Pair, guard


class Mutation(NamedTuple):
    """A file with one mistake; `lines` are where it may be reported, all of them for a syntax error."""

    what: str
    text: str
    lines: range


class Spot(NamedTuple):
    """A pair of the file and the mapping it is in."""

    pair: Pair
    mapping: Node


def mutations(text: str, seed: int, count: int) -> Iterator[Mutation]:
    """`count` different mutations, the same for the same seed. Gives up quietly after many fruitless tries."""
    rng = random.Random(seed)
    page = _Page(text)
    seen = {text}
    for _ in range(count * 20):
        made = rng.choice(_MISTAKES)(page, rng)
        if made is not None and made.text not in seen:
            seen.add(made.text)
            yield made
        if len(seen) > count:
            return


class _Page:
    """A good file with the places of its parts."""

    def __init__(self, text: str) -> None:
        self.text = text
        root = guard(text, "good").root
        assert root is not None
        self.starts = [0]
        for line in text.split("\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.spots = list(_spots(root))
        self.values = [node for node in _all(root) if node.kind not in {"map", "list"}]
        self.flows = [node for node in _all(root) if node.kind in {"map", "list"} and self.source(node)[0] in "[{"]
        self.everywhere = range(1, len(self.starts) + 1)

    def index(self, line: int, col: int) -> int:
        return self.starts[line - 1] + col - 1

    def span(self, node: Node) -> tuple[int, int]:
        return self.index(node.line, node.col), self.index(node.end_line, node.end_col)

    def source(self, node: Node) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def replaced(self, node: Node, new: str, what: str) -> Mutation:
        start, end = self.span(node)
        tail = "\n" if self.text[start:end].endswith("\n") else ""
        return Mutation(what, self.text[:start] + new + tail + self.text[end:], range(node.line, node.end_line + 1))

    def own_line(self, spot: Spot) -> str | None:
        """The line of a pair that has one to itself."""
        line = self.text[self.starts[spot.pair.key.line - 1] : self.starts[spot.pair.key.line]]
        alone = not line[: spot.pair.key.col - 1].strip()
        return line if alone and spot.pair.value.end_line == spot.pair.key.line else None


def _all(node: Node) -> Iterator[Node]:
    yield node
    for pair in node.pairs:
        yield from _all(pair.value)
    for item in node.items:
        yield from _all(item)


def _spots(root: Node) -> Iterator[Spot]:
    for node in _all(root):
        yield from (Spot(pair, node) for pair in node.pairs)


def _typo(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word))
    kinds = (
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + rng.choice("qxz") + word[at + 1 :],
        word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :] if at else word + "x",
    )
    return rng.choice(kinds)


def mistyped_key(page: _Page, rng: random.Random) -> Mutation | None:
    key = rng.choice(page.spots).pair.key
    if any(node.value == key.value for node in page.values):
        return None  # something refers to this name: the problem would rightly be told there
    word = _typo(str(key.value), rng)
    return page.replaced(key, word, "mistyped key") if word.strip() else None


def junk_key(page: _Page, rng: random.Random) -> Mutation | None:
    spot = rng.choice(page.spots)
    if any(node.value == spot.pair.key.value for node in page.values):
        return None
    made = page.replaced(spot.pair.key, "zzzzz", "junk key")
    return made._replace(lines=range(spot.mapping.line, spot.pair.key.line + 1))


def mistyped_value(page: _Page, rng: random.Random) -> Mutation | None:
    node = rng.choice(page.values)
    source = page.source(node)
    if not source or source[0] in ">|'\"":
        return None
    word = _typo(source, rng)
    return page.replaced(node, word, "mistyped value") if word.strip() and word[0].isalnum() else None


def wrong_type(page: _Page, rng: random.Random) -> Mutation:
    new = rng.choice(
        ["[1]", "{a: 1}", "true", "~", "7", "''", ".nan", "-1", "no", "1:30", "9" * 5000, "-.inf", "1e999"]
    )
    return page.replaced(rng.choice(page.values), new, f"wrong type {new[:9]}")


def collection_lost(page: _Page, rng: random.Random) -> Mutation:
    return page.replaced(rng.choice(page.flows), rng.choice(["7", "word", "[]", "{}", "~"]), "collection lost")


def unit_lost(page: _Page, rng: random.Random) -> Mutation | None:
    node = rng.choice(page.values)
    digits = "".join(char for char in page.source(node) if char.isdigit())
    quantity = isinstance(node.value, str) and node.value[:1].isdigit()
    return page.replaced(node, digits, "unit lost") if quantity else None


def doubled(page: _Page, rng: random.Random) -> Mutation | None:
    spot = rng.choice(page.spots)
    line, end = page.own_line(spot), page.starts[spot.pair.key.line]
    if line is None:
        return None
    return Mutation(
        "doubled", page.text[:end] + line + page.text[end:], range(spot.pair.key.line + 1, spot.pair.key.line + 2)
    )


def deleted(page: _Page, rng: random.Random) -> Mutation | None:
    spot = rng.choice(page.spots)
    line = page.own_line(spot)
    if line is None or len(spot.mapping.pairs) < 2:
        return None
    at = page.starts[spot.pair.key.line - 1]
    lines = range(spot.mapping.line, spot.mapping.end_line + 1)
    return Mutation(f"deleted {spot.pair.key.value}", page.text[:at] + page.text[at + len(line) :], lines)


def strange_key(page: _Page, rng: random.Random) -> Mutation | None:
    key = rng.choice(page.spots).pair.key
    at = page.index(key.line, key.col)
    start = page.starts[key.line - 1]
    flow = page.text[start:at].strip(" -") != ""
    new = "zzzzz: 1, " if flow else "zzzzz: 1\n" + " " * (key.col - 1)
    return Mutation("strange key", page.text[:at] + new + page.text[at:], range(key.line, key.line + 1))


def decorated(page: _Page, rng: random.Random) -> Mutation | None:
    node = rng.choice(page.values)
    if page.source(node)[:1] in {">", "|", ""}:
        return None
    prefix = rng.choice(["&a ", "!!str ", "!x ", "!!python/name:os.system "])
    return page.replaced(node, prefix + page.source(node), f"decorated {prefix}")


def aliased(page: _Page, rng: random.Random) -> Mutation:
    return page.replaced(rng.choice(page.values), rng.choice(["*a ", '"\\a"', '"\\u202e"']), "aliased")


def unclosed(page: _Page, rng: random.Random) -> Mutation:
    node = rng.choice(page.values)
    made = page.replaced(node, rng.choice("'\"[{@`%") + page.source(node), "unclosed")
    return made._replace(lines=page.everywhere)


def tabbed(page: _Page, rng: random.Random) -> Mutation | None:
    key = rng.choice(page.spots).pair.key
    start = page.starts[key.line - 1]
    indent = len(page.text[start:]) - len(page.text[start:].lstrip(" "))
    if not indent:
        return None
    return Mutation("tabbed", page.text[:start] + "\t" + page.text[start + indent :], page.everywhere)


def invisible(page: _Page, rng: random.Random) -> Mutation:
    at = rng.randrange(len(page.text))
    char = rng.choice("\x00\x1b\x7f\x85\u2028\u202e\ufeff")
    line = page.text.count("\n", 0, at) + 1
    return (
        Mutation("invisible", page.text[:at] + char + page.text[at:], range(line, line + 1))
        if at
        else unclosed(page, rng)
    )


_MISTAKES: tuple[Callable[[_Page, random.Random], Mutation | None], ...] = (
    mistyped_key,
    mistyped_key,
    junk_key,
    mistyped_value,
    mistyped_value,
    wrong_type,
    wrong_type,
    collection_lost,
    unit_lost,
    doubled,
    deleted,
    strange_key,
    decorated,
    aliased,
    unclosed,
    tabbed,
    invisible,
)
