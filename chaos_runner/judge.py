"""The judge: may we start, must we stop, what was found, is it well again. No IO, no clock, no random.

One place to import from; each part lives in a module of its own.
"""

from __future__ import annotations

from chaos_runner.abort import AbortWatch, Tripped
from chaos_runner.finding import finding, judged
from chaos_runner.gate import Closed, Opened, gate, stuttered
from chaos_runner.recovery import RecoveryWatch
from chaos_runner.rule import Measured, Rule, min_events, planned_windows, rules
from chaos_runner.verdict import exit_code, headline, outcome

__all__ = [
    "AbortWatch",
    "Closed",
    "Measured",
    "Opened",
    "RecoveryWatch",
    "Rule",
    "Tripped",
    "exit_code",
    "finding",
    "gate",
    "headline",
    "judged",
    "min_events",
    "outcome",
    "planned_windows",
    "rules",
    "stuttered",
]
