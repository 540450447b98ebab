"""`use: checks/shop.yaml#shoppers`: a check of another file, put where it is named.

Nothing outside the project is read, a shared check cannot name another one, and what is wrong inside the shared file
is told with that file's name and place.
"""

from __future__ import annotations

import os
from pathlib import Path as FilePath

import msgspec

from chaos_runner import spelling
from chaos_runner.load import words
from chaos_runner.load.nodes import Node, Pair, Path
from chaos_runner.load.problems import Invalid, Problem, at
from chaos_runner.load.reading import Document, read

SHARED_KIND = "checks/v1"
_SHARED_MAX = 32


class Uses:
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
            allowed = spelling.listed(overridable, "and")
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
            raise ValueError(spelling.unknown("check", name, names) + f" (in {document.file})")
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
            msg = f"{spelling.shown(reference)} is not relative; name the file relative to this one"
            raise ValueError(msg)
        if not target.resolve().is_relative_to(self.root):
            msg = f"{spelling.shown(reference)} leads out of {self.root.name}/, where shared checks must stay"
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
