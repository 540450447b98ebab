"""The JUnit report: one suite for the run, one case for each clause. No IO.

failure = violated · error = the tool's own trouble, or something left behind · skipped = unknown, or not started.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from chaos_runner.history import Run
from chaos_runner.records import ClauseJudged, Entry, Sample
from chaos_runner.render import planned, story, tables, text, windows
from chaos_runner.render.planned import Planned
from chaos_runner.render.story import Story


def render(run: Run, entries: list[Entry], samples: list[Sample]) -> bytes:
    """The suite as XML 1.0 in UTF-8."""
    plan = planned.read(run)
    tale = story.told(run, plan, windows.spans(run, entries, samples))
    cases = [_case(one, plan) for one in run.clauses] or [
        _unjudged(row, plan, tale) for row in tables.clauses(run, plan)
    ]
    cases.append(_run_case(run, plan, tale))
    return "\n".join(_suite(run, plan, tale, cases)).encode()


def _suite(run: Run, plan: Planned, tale: Story, cases: list[str]) -> list[str]:
    counts = {kind: sum(f"<{kind} " in case for case in cases) for kind in ("failure", "error", "skipped")}
    totals = [("name", "chaos-runner"), ("tests", str(len(cases))), ("failures", str(counts["failure"]))]
    totals += [("errors", str(counts["error"])), ("skipped", str(counts["skipped"])), ("time", _time(run.ended_t))]
    named = [("name", plan.name or run.id), *totals[1:]]
    stamp = text.iso(run.started_at)
    named += [("timestamp", stamp.removesuffix("Z"))] if stamp else []
    return [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites{_attributes(totals)}>",
        f"<testsuite{_attributes(named)}>",
        *_properties(run, plan, tale),
        *cases,
        f"<system-out>{escape(text.clean(_tale(tale)))}</system-out>",
        "</testsuite>",
        "</testsuites>",
        "",
    ]


def _properties(run: Run, plan: Planned, tale: Story) -> list[str]:
    pairs = [
        ("verdict", tale.key),
        ("run", run.id),
        ("environment", plan.environment or text.MISSING),
        ("owner", plan.owner or text.MISSING),
        ("service", plan.service or text.MISSING),
        ("hypothesis", text.one_line(plan.hypothesis, 4000) or text.MISSING),
        ("seed", text.MISSING if plan.seed is None else str(plan.seed)),
        ("finding", run.outcome.finding if run.outcome else text.MISSING),
        ("stopped_by", run.outcome.stopped_by if run.outcome else text.MISSING),
        ("cleanup", run.outcome.cleanup if run.outcome else text.MISSING),
        ("reproduce", plan.reproduce() or text.MISSING),
    ]
    return [
        "<properties>",
        *(f"<property{_attributes([('name', n), ('value', v)])}/>" for n, v in pairs),
        "</properties>",
    ]


def _case(one: ClauseJudged, plan: Planned) -> str:
    said = f"{one.check}: {one.clause}: {one.why}"
    if one.state == "violated":
        return _element(one.check, one.clause, plan, "failure", said, "violated")
    return _element(one.check, one.clause, plan, "" if one.state == "ok" else "skipped", said)


def _unjudged(row: tables.ClauseRow, plan: Planned, tale: Story) -> str:
    return _element(row.check, row.clause, plan, "skipped", f"{tale.word.label}: {tale.happened}")


def _run_case(run: Run, plan: Planned, tale: Story) -> str:
    """The run itself: that it came to its end, left nothing, and found out something."""
    kind, type_ = {
        "NOT_REVERTED": ("error", "not_reverted"),
        "UNFINISHED": ("error", "unfinished"),
        "ABORTED": ("failure", "aborted"),
        "DEVIATED": ("failure", "deviated"),
        "UNKNOWN": ("skipped", ""),
        "NOT_STARTED": ("skipped", ""),
    }.get(tale.key, ("", ""))
    if run.tripped is not None and run.tripped.stopped_by == "bug":
        kind, type_ = "error", "bug"
    said = f"{tale.word.label}: {tale.happened}"
    if tale.left:
        said += f" Left: {', '.join(one.target for one in tale.left)}. Run: {tale.recover}"
    return _element("run", "ran to its end and left nothing behind", plan, kind, said, type_)


def _element(check: str, name: str, plan: Planned, kind: str, said: str, type_: str = "") -> str:
    head = _attributes([("classname", f"{plan.name or 'experiment'}.{check}"), ("name", name)])
    if not kind:
        return f"<testcase{head}/>"
    inner = [("message", text.one_line(said, 2000))] + ([("type", type_)] if type_ else [])
    return f"<testcase{head}><{kind}{_attributes(inner)}/></testcase>"


def _tale(tale: Story) -> str:
    return f"{tale.believed}\n{tale.did}\n{tale.happened}\n{tale.so_what}"


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f}"


def _attributes(pairs: list[tuple[str, str]]) -> str:
    return "".join(f" {name}={quoteattr(text.one_line(value, 4000))}" for name, value in pairs if value)
