"""Alerts as one reading of their source told them, and which of them is meant. No IO, no clock."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

_LABELS = re.compile(r'\s*[a-zA-Z_]\w*\s*=\s*("[^"]*"|[^,"]*)\s*(,\s*[a-zA-Z_]\w*\s*=\s*("[^"]*"|[^,"]*)\s*)*')
_PAIR = re.compile(r'([a-zA-Z_]\w*)\s*=\s*(?:"([^"]*)"|([^,"]*))')

State = Literal["firing", "suppressed", "pending"]


class Alert(msgspec.Struct, frozen=True):
    """One alert. Times are Unix seconds by the source's clock; `why` says who suppresses it."""

    labels: dict[str, str]
    state: State
    starts_at: float
    fired_at: float | None = None  # None where the source tells only since when its condition has held
    heard_at: float | None = None  # when the source itself heard it last; None where it evaluates the rule
    why: str = ""

    @property
    def name(self) -> str:
        """Its name, as people know it."""
        return self.labels.get("alertname", "(without a name)")

    @property
    def identity(self) -> tuple[tuple[str, str], ...]:
        """What tells it from every other alert."""
        return tuple(sorted(self.labels.items()))


class Rule(msgspec.Struct, frozen=True):
    """A rule that makes an alert, with the labels that it states itself; `trouble` is why it cannot be evaluated."""

    name: str
    labels: dict[str, str]
    trouble: str = ""


class Heard(msgspec.Struct, frozen=True):
    """One reading of a source: what is there of what was asked for, and the source's own time."""

    alerts: tuple[Alert, ...]
    at: float


def labels_of(ref: str) -> dict[str, str]:
    """What the labels of an alert that is meant must be: `DataLoss`, `severity=page`, `alertname=A,team=shop`."""
    if not _LABELS.fullmatch(ref):
        return {"alertname": ref.strip()}
    return {found[1]: found[2] if found[2] is not None else found[3].strip() for found in _PAIR.finditer(ref)}


def meant(ref: str, alert: Alert) -> bool:
    """Whether this alert is one of those that are meant."""
    return all(alert.labels.get(label) == value for label, value in labels_of(ref).items())


def unheard(ref: str, heard_within_s: float, heard: Heard) -> str:
    """Why the absence of an alert means nothing now, in a sentence; empty while the always-on alert is heard."""
    always = [alert for alert in heard.alerts if meant(ref, alert) and alert.state != "pending"]
    if not always:
        return f"the always-on alert {ref} is not there"
    ages = [0.0 if alert.heard_at is None else heard.at - alert.heard_at for alert in always]
    if min(ages) > heard_within_s:
        return f"the always-on alert {ref} was not heard for {min(ages):.0f} s"
    return ""
