"""What the store says when it cannot do its work. No IO."""

from __future__ import annotations


class StoreError(Exception):
    """The ledger cannot be read or written; a sentence. It forbids injecting and never delays reverting."""


class NoLedger(StoreError):
    """There is no ledger to read: nothing has run here."""


class Fenced(StoreError):
    """The run has another owner by now, or has ended: nothing was written and nothing may be injected."""


class Busy(StoreError):
    """The place is taken: an open fault on the same target's aspect, or too many runs. `run` holds it."""

    def __init__(self, sentence: str, *, run: str, fault: str = "") -> None:
        super().__init__(sentence)
        self.run = run
        self.fault = fault
