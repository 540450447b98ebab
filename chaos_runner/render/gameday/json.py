"""The day as JSON for programs. What is missing is null, never 0. No IO.

`schemaVersion` rises when a field changes its meaning or goes; fields may be added without that.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chaos_runner.gameday.figures import Metric
from chaos_runner.render import fingerprint, text
from chaos_runner.render.gameday import answers, before, timeline
from chaos_runner.render.gameday.told import Seen, Told, Whole

SCHEMA_VERSION = 1


def render(told: Told) -> bytes:
    """The day, its answers, figures, runs, actions and timeline."""
    whole = Whole(told)
    day, found = whole.day, whole.measured
    report = {
        "schemaVersion": SCHEMA_VERSION,
        "day": day.id or None,
        "title": whole.title(),
        "exercise": day.incident is None,
        "verdict": answers.headline(whole),
        "started": text.iso(day.started_at) or None,
        "ended": text.iso(day.ended_at) or None,
        "how": day.ended.how if day.ended else None,
        "scenario": day.started.scenario if day.started else None,
        "files": day.started.files if day.started else {},
        "versions": day.started.versions if day.started else {},
        "answers": {one.key: {"question": one.question, "short": one.short, "rest": one.rest} for one in
                    answers.answers(whole)},
        "metrics": [_metric(one) for one in found.day],
        "runs": [_run(whole, seen) for seen in whole.runs],
        "drill": day.drill,
        "unreadableRuns": told.lost,
        "harm": found.harm,
        "alerts": found.alerts,
        "predictions": [
            {"at": text.iso(one.at), **msgspec.to_builtins(one.said), "result": one.result, "penalty": one.penalty}
            for one in found.guesses
        ],
        "objectives": found.objectives,
        "marksOfNoRun": found.unplaced,
        "actions": [_action(one) for one in day.actions.values()],
        "comparison": before.compared(whole),
        "roles": day.roles,
        "timeline": [
            {"at": round(one.at, 3), "since": one.since, "kind": one.kind, "said": one.said, "gone": one.gone or None}
            for one in timeline.lines(whole)
        ],
        "recordsSha256": whole.digest(),
        "facts": told.entries,
    }  # fmt: skip
    return text.harmless_json(msgspec.json.encode(report)) + b"\n"


def _run(whole: Whole, seen: Seen) -> dict[str, Any]:
    step = whole.of(seen)
    return {
        "step": seen.ran.step,
        "run": seen.run.id,
        "counts": any(one is seen for one in whole.counted),
        "experiment": seen.plan.name or None,
        "verdict": seen.story.key,
        "outcome": seen.run.outcome,
        "started": text.iso(seen.run.started_at) or None,
        "metrics": [_metric(one) for one in step.metrics],
        "moments": step.told.moments,
        "harm": step.told.harm,
        "reproduce": seen.plan.reproduce() or None,
        "report": whole.told.links.get(seen.run.id) or None,
        "recordsSha256": fingerprint.of(seen.entries),
    }


def _metric(one: Metric) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(one)
    return built


def _action(one: Any) -> dict[str, Any]:
    return {**msgspec.to_builtins(one.added), "state": one.state, "settled": one.settled}
