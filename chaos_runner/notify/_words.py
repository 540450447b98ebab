"""What happened, and what is about to happen, in one sentence for a chat or a timeline. No IO."""

from __future__ import annotations

from datetime import UTC, datetime

from chaos_runner import judge
from chaos_runner.api import Notice
from chaos_runner.history import Run


def before(notice: Notice) -> str:
    """Whom it hits, by when it is over, how to stop it."""
    until = datetime.fromtimestamp(notice.undone_by, UTC).strftime("%H:%M:%S UTC")
    return (
        f"chaos: {notice.experiment} begins in {notice.environment} on {', '.join(notice.targets) or 'no target'}; "
        f"undone by {until} at the latest; to stop it: {notice.halt}"
    )


def after(run: Run) -> str:
    """The verdict and why."""
    experiment = run.plan.get("experiment", {}).get("name", "")
    headline = judge.headline(run.outcome) if run.outcome else "NOT STARTED"
    why = (run.outcome.why if run.outcome else "") or run.not_started
    about = f"chaos: {experiment} in {run.plan.get('environment', '')}: {headline}"
    return f"{about}: {why} (run {run.id})" if why else f"{about} (run {run.id})"
