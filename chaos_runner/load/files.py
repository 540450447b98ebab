"""Files into typed values, and places in them found again."""

from __future__ import annotations

import os
from pathlib import Path as FilePath
from typing import Any, Generic, TypeVar

import msgspec

from chaos_runner import project, spelling
from chaos_runner.load import words
from chaos_runner.load.nodes import Node, Path, locate
from chaos_runner.load.problems import Invalid, Problem, at
from chaos_runner.load.reading import Document, read
from chaos_runner.load.shapes import fields
from chaos_runner.load.shared import Uses
from chaos_runner.load.walk import Kinds, Parsers, walk

T = TypeVar("T")
_LOOKED_AT = 50


class Loaded(msgspec.Struct, Generic[T], frozen=True):
    """A valid file as a value. `shared` are the files its `use:` named, `notes` what its author may want to know."""

    value: T
    document: Document
    shared: tuple[Document, ...] = ()
    notes: tuple[Problem, ...] = ()

    def position(self, path: Path) -> tuple[int, int]:
        """Line and column of the value at a path, or of the nearest one above it."""
        node, _ = locate(self.document.root, path)
        return node.line, node.col


def load(
    path: str | os.PathLike[str] | Document,
    *types: type[T],
    kinds: Kinds | None = None,
    parsers: Parsers | None = None,
    root: str | os.PathLike[str] | None = None,
) -> Loaded[T]:
    """The file, or what was read of it, as one of the types, told by its `kind:`. Raises Invalid with every problem.

    `root` is the folder that `use:` may not leave; by default the one that holds `chaos-runner.yaml`, else the one
    named `experiments`, else the file's own.
    """
    document = path if isinstance(path, Document) else read(path)
    chosen = _chosen(document, types)
    uses = Uses(document, FilePath(root) if root is not None else project_root(document.file))
    value, problems = walk(document.root, chosen, parsers=parsers, kinds=kinds, shared=uses.resolve)
    problems = list(dict.fromkeys((*document.problems, *problems)))
    if problems:
        raise Invalid(_ordered(problems, document.file), uses.sources)
    return Loaded(value, document, tuple(used for _, used in sorted(uses.documents.items())))


def project_root(path: str | os.PathLike[str]) -> FilePath:
    """The folder that a file's references may not leave."""
    here = FilePath(path).resolve().parent
    configuration = project.find(here)
    if configuration is not None:
        return configuration.parent
    return next((folder for folder in (here, *here.parents) if folder.name == "experiments"), here)


def _chosen(document: Document, types: tuple[type[T], ...]) -> type[T]:
    """The type whose `kind:` the file states. Raises Invalid: without it nothing else can be judged."""
    heads = {head: type_ for type_ in types for head in heads_of(type_)}
    root, sources = document.root, {document.file: document.text}
    if root.kind != "map":
        problem = at(root, (), f"expected a mapping of keys and values, found {words.found(root)}")
        raise Invalid(document.problems or [problem], sources)
    kind = root.get("kind")
    if not heads or (kind is not None and kind.kind == "text" and kind.value in heads):
        return heads[str(kind.value)] if kind is not None and heads else types[0]
    raise Invalid(_ordered([*document.problems, *_headless(root, kind, list(heads))], document.file), sources)


def _headless(root: Node, kind: Node | None, heads: list[str]) -> list[Problem]:
    if kind is None:
        near = next(
            (pair.key for pair in root.pairs[:_LOOKED_AT] if spelling.nearest(str(pair.key.value), ["kind"])), root
        )
        return [at(near, (), f"missing key 'kind'; write `kind: {spelling.listed(heads)}`")]
    if kind.kind == "bad":
        return []
    if kind.kind != "text":
        return [at(kind, ("kind",), f"expected {spelling.listed(heads)}, found {words.found(kind)}")]
    return [at(kind, ("kind",), spelling.unknown("kind", str(kind.value), heads))]


def heads_of(type_: Any) -> tuple[str, ...]:
    """What `kind:` may say for a type; nothing when the type has no such key."""
    config = type_.__struct_config__
    if config.tag_field == "kind":
        return (str(config.tag),)
    return next((tuple(map(str, field.shape.choices)) for field in fields(type_) if field.key == "kind"), ())


def _ordered(problems: list[Problem], first: str) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.file != first, problem))
