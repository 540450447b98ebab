"""The outcome of a run and the one word for it. No IO, no clock."""

from __future__ import annotations

from collections.abc import Sequence

from chaos_runner.records import Cleanup, ClauseJudged, Headline, Outcome, StoppedBy


def outcome(
    clauses: Sequence[ClauseJudged],
    *,
    stopped_by: StoppedBy = "nothing",
    stopped_why: str = "",
    cleanup: Cleanup = "CLEAN",
    left: Sequence[str] = (),
    deviations: Sequence[str] = (),
    doubts: Sequence[str] = (),
) -> Outcome:
    """The three axes. `deviations` are reasons beside the clauses (not recovered in time, replaced late, alerts).

    `doubts` are reasons not to believe in HELD (effect not confirmed, fault absent in the middle); `left` says what
    is still on which target.
    """
    raise NotImplementedError


def headline(outcome: Outcome) -> Headline:
    """One word: what is left weighs most, then that it was stopped, then the finding."""
    raise NotImplementedError


def exit_code(headline: Headline | None, cleanup: Cleanup = "CLEAN", *, accept_unverified: bool = False) -> int:
    """The exit code, which is API; None: not started. HELD with an undo nobody verified is 3 unless accepted."""
    raise NotImplementedError
