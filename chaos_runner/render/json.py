"""The JSON report: everything, for programs. No IO.

`schemaVersion` rises when a field changes its meaning or goes; fields may be added without that.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chaos_runner.history import Run
from chaos_runner.records import Entry, Sample
from chaos_runner.render import fingerprint, planned, story, text, windows, words

SCHEMA_VERSION = 1


def render(run: Run, entries: list[Entry], samples: list[Sample]) -> bytes:
    """The run, its story, its records and its samples. What is missing is null, never 0."""
    plan = planned.read(run)
    tale = story.told(run, plan, windows.spans(run, entries, samples))
    report = {
        "schemaVersion": SCHEMA_VERSION,
        "run": run.id,
        "verdict": tale.key,
        "started": text.iso(run.started_at) or None,
        "ended": text.iso(run.ended_at) or None,
        "durationS": run.ended_t,
        "summary": {
            "meaning": tale.meaning,
            "believed": tale.believed,
            "did": tale.did,
            "happened": tale.happened,
            "soWhat": tale.so_what,
            "left": tale.left,
            "recover": tale.recover if tale.left else None,
            "caution": tale.caution or None,
        },
        "outcome": run.outcome,
        "notStarted": run.not_started or None,
        "clauses": run.clauses,
        "stop": _stop(run),
        "faults": list(run.faults.values()),
        "recoveries": run.recoveries,
        "evidence": run.evidence,
        "reproduce": plan.reproduce() or None,
        "actor": run.actor or None,
        "command": run.command,
        "versions": run.versions,
        "plan": run.plan or None,
        "unreadable": plan.unreadable,
        "recordsSha256": fingerprint.of(entries),
        "timeline": words.sentences(entries),
        "records": entries,
        "samples": samples,
    }
    return _encoded(report)


def _stop(run: Run) -> dict[str, Any] | None:
    if run.tripped is None:
        return None
    latency = story.halt_latency(run)
    return {
        "by": run.tripped.stopped_by,
        "why": run.tripped.why,
        "check": run.tripped.check or None,
        "clause": run.tripped.clause or None,
        "decidedT": run.tripped.decided_t,
        "haltLatencyS": None if latency is None else round(latency, 6),
    }


def _encoded(report: object) -> bytes:
    return text.harmless_json(msgspec.json.encode(report)) + b"\n"
