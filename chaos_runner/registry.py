"""Kinds by name: own ones from the files of their folders, others from entry points, each imported when asked for.

No list of kinds exists anywhere: a file `faults/toxic.py` is the fault `toxic`, and a test keeps pyproject's entry
points equal to the files. Packages of others are looked for only when a name is not our own, or when all are wanted.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")
_HOME = Path(__file__).parent


class Broken(Exception):
    """A kind that is registered cannot be used; the sentence says which, by whom, and why."""


class Kinds(Mapping[str, _T], Generic[_T]):
    """Kind -> class (or renderer) of one sort of plug-in, imported when looked up.

    Iterating gives our own names, and those of other packages once `find_all` was called or an unknown name asked for.
    """

    def __init__(self, group: str, folder: str, function: str = "") -> None:
        self.group = group
        self._folder = folder
        self._function = function  # a kind is this function of its module; without: the class with the kind's name
        self._loaded: dict[str, _T] = {}
        self._own_names: tuple[str, ...] | None = None
        self._others: dict[str, Any] | None = None

    def names(self) -> tuple[str, ...]:
        """Our own kinds, in order; nothing is imported."""
        if self._own_names is None:
            self._own_names = self._files()
        return self._own_names

    def _files(self) -> tuple[str, ...]:
        with os.scandir(_HOME / self._folder) as entries:
            found = {entry.name.removesuffix(".py"): entry.path for entry in entries if entry.name[0] not in "._"}
        return tuple(sorted(name for name, path in found.items() if self._is_kind(Path(path))))

    def _is_kind(self, path: Path) -> bool:
        source = path if path.suffix == ".py" else path / "__init__.py"
        return source.is_file() and (not self._function or f"\ndef {self._function}(" in source.read_text("utf-8"))

    def find_all(self) -> tuple[str, ...]:
        """Every kind, those of other installed packages included."""
        return tuple(sorted({*self.names(), *self._other()}))

    def __getitem__(self, kind: str) -> _T:
        if kind not in self._loaded:
            self._loaded[kind] = self._load(kind)
        return self._loaded[kind]

    def __contains__(self, kind: object) -> bool:
        return isinstance(kind, str) and (kind in self.names() or kind in self._other())

    def __iter__(self) -> Iterator[str]:
        return iter(self.names() if self._others is None else self.find_all())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _load(self, kind: str) -> _T:
        if kind in self.names():
            return self._own(kind)
        if kind not in self._other():
            raise KeyError(kind)
        return self._foreign(kind)

    def _own(self, kind: str) -> _T:
        module = importlib.import_module(f"chaos_runner.{self._folder}.{kind}")
        if self._function:
            function: _T = getattr(module, self._function)
            return function
        mine: list[_T] = [
            value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__
        ]
        return next(value for value in mine if getattr(value, "kind", None) == kind)

    def _other(self) -> dict[str, Any]:
        """Entry points of other packages; one of ours cannot be replaced, and of two the first by package name wins."""
        if self._others is None:
            import importlib.metadata

            points = importlib.metadata.entry_points(group=self.group)
            foreign = [point for point in points if not point.value.startswith("chaos_runner.")]
            foreign.sort(key=lambda point: point.dist.name if point.dist else "", reverse=True)
            own = set(self.names())
            self._others = {point.name: point for point in foreign if point.name not in own}
        return self._others

    def _foreign(self, kind: str) -> _T:
        point = self._other()[kind]
        by = point.dist.name if point.dist else point.value
        try:
            found: _T = point.load()
        except (ImportError, AttributeError, SyntaxError) as why:
            raise Broken(f"'{kind}' of the package {by} cannot be loaded: {why}") from None
        if getattr(found, "kind", kind) != kind:
            raise Broken(f"'{kind}' of the package {by} says that its kind is '{getattr(found, 'kind', '')}'")
        return found


faults: Kinds[type[Any]] = Kinds("chaos_runner.faults", "faults")
probes: Kinds[type[Any]] = Kinds("chaos_runner.probes", "probes")
notifiers: Kinds[type[Any]] = Kinds("chaos_runner.notifiers", "notify")
reports: Kinds[Any] = Kinds("chaos_runner.reports", "render", function="render")
