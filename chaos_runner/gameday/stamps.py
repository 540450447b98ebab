"""The moments that the metrics of a game day are made of, each with who or what says so. No IO, no clock.

`t_inject` is when the fault was confirmed, not when it was asked for. What nobody stamped is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from chaos_runner import alerts, history, records
from chaos_runner.gameday.day import Day
from chaos_runner.gameday.facts import AlertFired, Entry, Marked, Source
from chaos_runner.gameday.harm import Harm, harm

Moment = Literal[
    "injected", "symptom", "evidence", "detected", "acknowledged", "mitigated", "halt_asked", "halt_done", "reverted",
    "restored",
]  # fmt: skip
CLOCKS_S = 1.0  # the clocks of alert sources and ours are compared by whole seconds


class Stamp(msgspec.Struct, frozen=True):
    """A moment in Unix time, and its provenance: the kind of source, and its name."""

    at: float
    source: Source
    name: str
    text: str = ""


class Executed(msgspec.Struct, frozen=True):
    """One attempt of a step; -1 is the drill."""

    step: int
    run: history.Run
    entries: tuple[records.Entry, ...] = ()
    samples: tuple[records.Sample, ...] = ()

    def at(self, t: float) -> float:
        """Unix time of a moment of this run."""
        return self.run.started_at + t


class Told(msgspec.Struct, frozen=True):
    """All that is known of the moments of one run, each list in the order of time."""

    ran: Executed
    moments: dict[str, tuple[Stamp, ...]]
    harm: Harm

    def first(self, *moments: Moment) -> Stamp | None:
        """The earliest stamp of any of these."""
        return min((one for name in moments for one in self.moments.get(name, ())), key=_order, default=None)


def _order(stamp: Stamp) -> tuple[float, str, str]:
    return stamp.at, stamp.source, stamp.name


def told(day: Day, entries: Sequence[Entry], ran: Executed, runs: Sequence[Executed]) -> Told:
    """The moments of one run: its own records, the alerts that were expected, what people stamped."""
    hurt = harm(ran.run, ran.samples)
    found: dict[str, list[Stamp]] = {}
    for name, stamp in (*_recorded(ran, hurt), *_alerted(day, entries, ran, runs), *_said(day, ran, runs)):
        found.setdefault(name, []).append(stamp)
    return Told(ran, {name: tuple(sorted(stamps, key=_order)) for name, stamps in found.items()}, hurt)


def injected_t(run: history.Run) -> float | None:
    """When the first fault was confirmed, in seconds since the run's start."""
    known = [one.confirmed_t for one in run.faults.values() if one.confirmed_t is not None]
    return min((t for t, one in zip(known, _confirmed(run), strict=True) if one != "none"), default=None)


def _confirmed(run: history.Run) -> list[str]:
    return [one.confirmed_how for one in run.faults.values() if one.confirmed_t is not None]


def reverted_t(run: history.Run) -> float | None:
    """When the last fault was read back as gone; None while one was not, or where nothing could be undone."""
    views = [one for one in run.faults.values() if one.reversible and one.injected_t is not None]
    gone = [one.gone_t for one in views if one.gone_t is not None and one.verified]
    return max(gone) if gone and len(gone) == len(views) else None


def restored_t(run: history.Run) -> float | None:
    """When the steady state held again after the last fault, by the rule that judged the run."""
    if not run.recoveries or not all(one.recovered for one in run.recoveries):
        return None
    last = run.recoveries[-1]
    since = [t for t, phase, step in run.phases if phase == "recovery" and step == last.step]
    return since[-1] + last.seconds if since else None


def _recorded(ran: Executed, hurt: Harm) -> Iterator[tuple[Moment, Stamp]]:
    run, tripped = ran.run, ran.run.tripped
    if (t := injected_t(run)) is not None:
        yield "injected", Stamp(ran.at(t), "tool", "fault confirmed")
    if hurt.first_t is not None:
        yield "symptom", Stamp(ran.at(hurt.first_t), "tool", "first violation of the steady state", hurt.where)
    if tripped is not None:
        yield "halt_asked", Stamp(ran.at(tripped.decided_t), "tool", "decision to stop", tripped.why)
    if (gone := reverted_t(run)) is not None:
        yield "reverted", Stamp(ran.at(gone), "tool", "last fault read back as gone")
        if tripped is not None:
            yield "halt_done", Stamp(ran.at(gone), "tool", "last fault read back as gone")
    if (well := restored_t(run)) is not None:
        yield "restored", Stamp(ran.at(well), "tool", "steady state holds again")
        if hurt.last_t is not None:
            yield "mitigated", Stamp(ran.at(hurt.last_t), "tool", "last violation of the steady state ended")


def _alerted(
    day: Day, entries: Sequence[Entry], ran: Executed, runs: Sequence[Executed]
) -> Iterator[tuple[Moment, Stamp]]:
    """When an expected alert fired for somebody to see; one from before the fault tells of something else."""
    began = min((one.injected_t for one in ran.run.faults.values() if one.injected_t is not None), default=None)
    if began is None:
        return
    wanted = [one.name for one in day.scenario.alerts.expect] if day.scenario else []
    since = ran.at(began) - CLOCKS_S
    for at, fact in fired(entries):
        if since <= at and running(runs, at) is ran and any(alerts.meant(ref, alert(fact)) for ref in wanted):
            yield "detected", Stamp(at, "alertmanager", fact.name)
    own = {str(one.get("name")) for one in _expected(ran.run)}
    for view in ran.run.alerts:
        if view.ref in own and view.fired_t is not None and view.starts_t >= began - CLOCKS_S:
            yield "detected", Stamp(ran.at(view.fired_t), "alertmanager", view.name)


def _expected(run: history.Run) -> list[dict[str, object]]:
    experiment = run.plan.get("experiment")
    told = experiment.get("alerts") if isinstance(experiment, dict) else None
    found = told.get("expect", ()) if isinstance(told, dict) else ()
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list | tuple) else []


def fired(entries: Sequence[Entry]) -> Iterator[tuple[float, AlertFired]]:
    """Each alert of the day's facts with when it fired: by its own start, or by the reading after it was pending."""
    waiting: set[tuple[tuple[str, str], ...]] = set()
    for entry in entries:
        fact = entry.fact
        if not isinstance(fact, AlertFired):
            continue
        key = tuple(sorted(fact.labels.items()))
        if fact.state != "firing":
            waiting.add(key)
        else:
            yield (entry.at if key in waiting else fact.starts_at), fact
            waiting.discard(key)


def alert(fact: AlertFired) -> alerts.Alert:
    """The alert as it can be compared with how the file names it."""
    return alerts.Alert({"alertname": fact.name, **fact.labels}, fact.state, fact.starts_at)


def _said(day: Day, ran: Executed, runs: Sequence[Executed]) -> Iterator[tuple[Moment, Stamp]]:
    for _entry, mark in day.marks:
        if _place(mark, runs) is ran:
            yield mark.mark, Stamp(mark.happened_at, mark.source, mark.who, mark.text)
    pulls = [(halt.asked_at, halt.who, halt.reason) for _, halt in day.halts]
    if day.incident is not None:
        pulls.append((day.incident[0], day.incident[1].who, day.incident[1].text))
    for at, who, why in pulls:
        if running(runs, at) is ran and ran.run.tripped is not None:
            yield "halt_asked", Stamp(at, "person", who, why)


def _place(mark: Marked, runs: Sequence[Executed]) -> Executed | None:
    """The run that a mark is about: of its step if that had begun, else the one that went on or had just ended.

    Words are filed under the step that goes on when they are said; a backdated one may mean the step before.
    """
    mine = [one for one in runs if one.step == mark.step]
    then = running(mine, mark.happened_at) or running(runs, mark.happened_at)
    return then or min(mine, key=lambda one: one.run.started_at, default=None)


def unplaced(day: Day, runs: Sequence[Executed]) -> list[Marked]:
    """The marks that are about no run: from before the first one."""
    return [mark for _, mark in day.marks if _place(mark, runs) is None]


def running(runs: Sequence[Executed], at: float) -> Executed | None:
    """The run that went on then, or the last one before."""
    return max((one for one in runs if one.run.started_at <= at), key=lambda one: one.run.started_at, default=None)
