"""The outcome of a run and the one word for it. No IO, no clock."""

from __future__ import annotations

from collections.abc import Sequence

from chaos_runner import finding as findings
from chaos_runner.records import ClauseJudged, Cleanup, Finding, Headline, Outcome, StoppedBy

EXIT_CODES: dict[Headline, int] = {"HELD": 0, "DEVIATED": 1, "UNKNOWN": 3, "ABORTED": 4, "NOT_REVERTED": 5}
NOTHING_LEARNED = 3


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
    found = _finding(clauses, stopped_by, bool(deviations), bool(doubts))
    reasons = [*left, *([stopped_why] if stopped_why else []), *deviations]
    reasons += [_told(clause) for clause in clauses if clause.state == "violated"] + list(doubts)
    reasons += [_told(clause) for clause in clauses if clause.state == "unknown"]
    if found == "HELD":
        reasons += [_told(clause) for clause in clauses]
    elif not reasons:
        reasons = ["nothing was judged"]
    return Outcome(found, stopped_by, cleanup, "; ".join(reasons))


def _finding(clauses: Sequence[ClauseJudged], stopped_by: StoppedBy, deviated: bool, doubted: bool) -> Finding:
    """The worst of everything; a run that was stopped never held, for it did not see its window through."""
    found = findings.finding(clauses)
    if found == "DEVIATED" or deviated or stopped_by == "criterion":
        return "DEVIATED"
    return "UNKNOWN" if doubted or stopped_by != "nothing" else found


def _told(clause: ClauseJudged) -> str:
    return f"{clause.check}: {clause.clause}: {clause.why}"


def headline(outcome: Outcome) -> Headline:
    """One word: what is left weighs most, then that it was stopped, then the finding."""
    if outcome.cleanup == "LEFT":
        return "NOT_REVERTED"
    return "ABORTED" if outcome.stopped_by != "nothing" else outcome.finding


def exit_code(headline: Headline | None, cleanup: Cleanup = "CLEAN", *, accept_unverified: bool = False) -> int:
    """The exit code, which is API; None: not started. HELD with an undo nobody verified is 3 unless accepted."""
    if headline is None or (headline == "HELD" and cleanup == "UNVERIFIED" and not accept_unverified):
        return NOTHING_LEARNED
    return EXIT_CODES[headline]
