"""Halt switches: one file each in `<state>/levers/`, named by its scope. They work with a locked or lost database.

A lever stops what runs and blocks what would start. Whatever cannot be read counts as pulled.
"""

from __future__ import annotations

from pathlib import Path

import msgspec


class Lever(msgspec.Struct, frozen=True):
    """A pulled lever; `garbled` says that its file could not be understood, which counts as pulled all the same."""

    scope: str
    path: str
    who: str = ""
    reason: str = ""
    at: float = 0.0
    garbled: bool = False


def pull(state_dir: Path, scope: str, who: str, reason: str) -> Path:
    """Pulls a lever and returns its file; one that is pulled already stays as it is."""
    raise NotImplementedError


def pulled(state_dir: Path, environment: str, service: str, experiment: str) -> Lever | None:
    """The first pulled lever that concerns this run, or None. One scandir, cheap enough for every tick."""
    raise NotImplementedError


def release(state_dir: Path, scope: str, who: str, reason: str) -> Path:
    """Moves the lever's file to `levers/released/` with who released it; returns the new place."""
    raise NotImplementedError


def all(state_dir: Path) -> tuple[Lever, ...]:
    """Every pulled lever."""
    raise NotImplementedError
