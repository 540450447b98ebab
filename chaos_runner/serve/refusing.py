"""A request that is not answered with what it asked for: the status, and a sentence that says why and what next."""

from __future__ import annotations


class Refused(Exception):
    """Ends a request; `status` is HTTP's, `sentence` is for people."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def not_found() -> Refused:
    """Nothing is there."""
    return Refused(404, "There is no such page.")
