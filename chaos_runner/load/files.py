"""Files into typed values: reads a file without ever blocking on it, follows `use:`, and finds places again."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path as FilePath
from typing import Any, Generic, TypeVar

import msgspec

from chaos_runner.load import words
from chaos_runner.load.guard import BYTES_MAX, guard
from chaos_runner.load.nodes import Node, Pair, Path, nearest
from chaos_runner.load.problems import Invalid, Problem, at
from chaos_runner.load.shapes import fields
from chaos_runner.load.walk import Kinds, Parsers, walk

T = TypeVar("T")
CONFIG = "chaos-runner.yaml"
SHARED_KIND = "checks/v1"
_ENTRIES_MAX = 1000
_SHARED_MAX = 32


class Document(msgspec.Struct, frozen=True):
    """A guarded file: its text, the digest of its bytes, its root node and what the guard refused."""

    file: str
    text: str
    sha256: str
    root: Node
    problems: tuple[Problem, ...] = ()


class Loaded(msgspec.Struct, Generic[T], frozen=True):
    """A valid file as a value. `shared` holds name and digest of every file it used."""

    value: T
    document: Document
    shared: tuple[tuple[str, str], ...] = ()

    def position(self, path: Path) -> tuple[int, int]:
        """Line and column of the value at a path, or of the nearest one above it."""
        node = nearest(self.document.root, path)
        return node.line, node.col


def load(
    path: str | os.PathLike[str],
    *types: type[T],
    kinds: Kinds | None = None,
    parsers: Parsers | None = None,
    root: str | os.PathLike[str] | None = None,
) -> Loaded[T]:
    """The file as one of the types, told by its `kind:`. Raises Invalid with every problem of the file.

    `root` is the folder that `use:` may not leave; by default the one that holds `chaos-runner.yaml`, else the one
    named `experiments`, else the file's own.
    """
    document = read(path)
    chosen = _chosen(document, types)
    uses = _Uses(document, FilePath(root) if root is not None else project_root(path))
    value, problems = walk(document.root, chosen, parsers=parsers, kinds=kinds, shared=uses.resolve)
    problems = list(dict.fromkeys((*document.problems, *problems)))
    if problems:
        raise Invalid(_ordered(problems, document.file), uses.sources)
    return Loaded(value, document, tuple(sorted((used.file, used.sha256) for used in uses.documents.values())))


def read(path: str | os.PathLike[str]) -> Document:
    """The guarded file. Raises Invalid when it cannot be read or has no usable root."""
    file = os.fspath(path)
    content = _content(file)
    tree = guard(content, file)
    text = content.decode("utf-8", "replace").removeprefix("\ufeff")
    if tree.root is None:
        raise Invalid(tree.problems, {file: text})
    return Document(file, text, hashlib.sha256(content).hexdigest(), tree.root, tree.problems)


def project_root(path: str | os.PathLike[str]) -> FilePath:
    """The folder that a file's references may not leave."""
    here = FilePath(path).resolve().parent
    above = (here, *here.parents)
    configured = (folder for folder in above if (folder / CONFIG).is_file())
    named = (folder for folder in above if folder.name == "experiments")
    return next(configured, None) or next(named, here)


def _content(file: str) -> bytes:
    """The bytes of a regular file; anything that could block or never end is refused unread."""
    try:
        # Opening a FIFO would wait for a writer; O_NONBLOCK does not, and means nothing for regular files.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                folder = stat.S_ISDIR(mode)
                raise _unreadable(file, "is a folder; name a file in it" if folder else "is not a regular file")
            return _bytes(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise _unreadable(file, _reason(file, error)) from None


def _bytes(descriptor: int) -> bytes:
    """At most one byte more than the guard reads, so that it can say that the file is too long."""
    parts: list[bytes] = []
    left = BYTES_MAX + 1
    while left and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _unreadable(file: str, sentence: str) -> Invalid:
    return Invalid([Problem(file, 0, 0, "", sentence)])


def _reason(file: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        near = words.nearest(FilePath(file).name, _siblings(FilePath(file).parent))
        return f"does not exist; did you mean '{FilePath(file).parent / near}'?" if near else "does not exist"
    if isinstance(error, OSError):
        return f"cannot be read: {(error.strerror or type(error).__name__).lower()}"
    return "is not a file name"


def _siblings(folder: FilePath) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry, _ in zip(entries, range(_ENTRIES_MAX), strict=False)]
    except OSError:
        return []


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
        near = next((pair.key for pair in root.pairs if words.nearest(str(pair.key.value), ["kind"])), root)
        return [at(near, (), f"missing key 'kind'; write `kind: {words.listed(heads)}`")]
    if kind.kind == "bad":
        return []
    if kind.kind != "text":
        return [at(kind, ("kind",), f"expected {words.listed(heads)}, found {words.found(kind)}")]
    return [at(kind, ("kind",), words.unknown("kind", str(kind.value), heads))]


def heads_of(type_: Any) -> tuple[str, ...]:
    """What `kind:` may say for a type; nothing when the type has no such key."""
    config = type_.__struct_config__
    if config.tag_field == "kind":
        return (str(config.tag),)
    return next((tuple(map(str, field.shape.choices)) for field in fields(type_) if field.key == "kind"), ())


def _ordered(problems: list[Problem], first: str) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.file != first, problem))


class _Uses:
    """The shared files of one load: each read once, none outside the root."""

    def __init__(self, document: Document, root: FilePath) -> None:
        self.document, self.root = document, root.resolve()
        self.documents: dict[str, Document] = {}
        self.failures: dict[str, Invalid | ValueError] = {}
        self.sources = {document.file: document.text}

    def resolve(self, node: Node, overridable: tuple[str, ...], path: Path) -> Node | list[Problem]:
        """The shared mapping with this one's own keys laid over it, or why not."""
        use = node.get("use")
        assert use is not None
        strange = [pair.key for pair in node.pairs if pair.key.value not in ("use", *overridable)]
        if strange:
            allowed = words.listed(overridable, "and")
            return [at(strange[0], path, f"'{strange[0].value}' cannot stand beside `use`; only {allowed} can")]
        try:
            return self._laid_over(self._fragment(use), node, path)
        except Invalid as invalid:
            self.sources |= invalid.sources
            return list(invalid.problems)
        except ValueError as wrong:
            return [] if use.kind == "bad" else [at(use, (*path, "use"), str(wrong))]

    def _fragment(self, use: Node) -> Node:
        """The check that a reference names, marked with where it stands."""
        file, _, name = str(use.value).partition("#") if use.kind == "text" else ("", "", "")
        if not file or not name:
            msg = f"expected FILE#NAME such as checks/shop.yaml#shoppers, found {words.found(use)}"
            raise ValueError(msg)
        document = self._document(file)
        checks = document.root.get("checks")
        names = [str(pair.key.value) for pair in checks.pairs] if checks is not None else []
        found = checks.get(name) if checks is not None else None
        if found is None:
            raise ValueError(words.unknown("check", name, names) + f" (in {document.file})")
        if found.get("use") is not None:
            msg = f"{file}#{name} itself says `use`; name the check it stands for"
            raise ValueError(msg)
        return msgspec.structs.replace(found, base=("checks", name))

    def _document(self, reference: str) -> Document:
        """The shared file, read once. Raises what is wrong with the reference or with the file."""
        shown = os.path.normpath(FilePath(self.document.file).parent / reference)
        self._allow(reference, FilePath(shown))
        if shown in self.failures:
            raise self.failures[shown]
        if shown not in self.documents:
            try:
                self.documents[shown] = self._shared(shown)
            except (Invalid, ValueError) as failure:
                self.failures[shown] = failure
                raise
        return self.documents[shown]

    def _shared(self, shown: str) -> Document:
        if len(self.documents) + len(self.failures) >= _SHARED_MAX:
            msg = f"more than {_SHARED_MAX} files of shared checks"
            raise ValueError(msg)
        document = self._readable(shown)
        self.sources[shown] = document.text
        kind = document.root.get("kind")
        if kind is None or kind.value != SHARED_KIND:
            msg = f"{shown} is not a file of shared checks; it must say `kind: {SHARED_KIND}`"
            raise ValueError(msg)
        if document.problems:
            raise Invalid(document.problems, self.sources)
        return document

    def _readable(self, shown: str) -> Document:
        """A file that cannot be read is a problem of the reference; one that cannot be parsed is its own."""
        try:
            return read(shown)
        except Invalid as invalid:
            if invalid.problems[0].line:
                raise
            msg = f"{shown} {invalid.problems[0].message}"
            raise ValueError(msg) from None

    def _allow(self, reference: str, target: FilePath) -> None:
        if reference.startswith(("/", "~")) or "\\" in reference:
            msg = f"{words.shown(reference)} is not relative; name the file relative to this one"
            raise ValueError(msg)
        if not target.resolve().is_relative_to(self.root):
            msg = f"{words.shown(reference)} leads out of {self.root.name}/, where shared checks must stay"
            raise ValueError(msg)

    def _laid_over(self, shared: Node, node: Node, path: Path) -> Node:
        if shared.kind != "map":
            return shared
        own = [
            Pair(pair.key, msgspec.structs.replace(pair.value, base=(*path, str(pair.key.value))))
            for pair in node.pairs
            if pair.key.value != "use"
        ]
        names = {pair.key.value for pair in own}
        kept = [pair for pair in shared.pairs if pair.key.value not in names]
        return msgspec.structs.replace(shared, pairs=(*kept, *own))
