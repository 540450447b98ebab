"""Numbers drawn from a secret and some words: the same for whoever asks, and not to be foreseen without it. No IO."""

from __future__ import annotations

import hashlib


def share(secret: bytes, *words: str) -> float:
    """A number from 0 to 1, without 1."""
    return _number(secret, words) / 2**53


def below(limit: int, secret: bytes, *words: str) -> int:
    """A whole number from 0 to limit, without the limit."""
    return _number(secret, words) * limit >> 53


def _number(secret: bytes, words: tuple[str, ...]) -> int:
    digest = hashlib.blake2b("\0".join(words).encode(), key=secret[:64], digest_size=8).digest()
    return int.from_bytes(digest) >> 11
