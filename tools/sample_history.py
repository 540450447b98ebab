"""Makes the same made-up run histories every time: for report tests, the docs' pictures, and looking at reports.

    python tools/sample_history.py held > held.html
    python tools/sample_history.py deviated --as junit > deviated.xml

Every number is invented from a seed; nothing is measured and nothing is touched.
"""

from __future__ import annotations

import argparse
import importlib
import math
import random
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from chaos_runner import environment, expect, model, plan, records
from chaos_runner.api import Undo
from chaos_runner.history import fold
from chaos_runner.records import ClauseCount, ClauseJudged, Entry, Outcome, Sample, Target
from chaos_runner.wire import Exemplar

START = 1_787_392_800.0  # 2026-08-22 10:00:00 UTC
BASELINE_S = 30
HOLD_S = 30
RATE = 40
SHOPPERS = ("success >= 99%", "p95 <= 1s")
SOURCE = "experiments/checkout-survives-slow-payments.yaml"
TEXT = """\
kind: experiment/v1
name: checkout-survives-slow-payments
title: Checkout survives a slow payment provider
hypothesis: >
  When the payment provider answers 400 ms late, shoppers still check out within a second,
  because checkout gives up on it after 300 ms and takes the order for later.
owner: team-checkout
service: checkout
steady_state:
  shoppers:
    title: Shoppers can check out
    probe: http
    with: {service: shop, path: /checkout, method: POST, rate: 40/s, timeout: 2s}
    expect: [success >= 99%, p95 <= 1s]
  replicas:
    title: Payments has its replicas
    probe: kubernetes
    with: {deployment: shop/payments}
    expect: [ready >= 2]
baseline: 30s
blast_radius: {at_once: 1, in_total: 1, max_duration: 2m}
abort: {violated_for: 10s}
method:
  - name: payments answers late
    fault: toxic
    target: {proxy: payments}
    with: {type: latency, latency: 400ms, jitter: 50ms, stream: downstream}
    for: 30s
recovery: {within: 60s}
"""


class History(NamedTuple):
    """What a renderer is given."""

    entries: list[Entry]
    samples: list[Sample]


class Book:
    """Appends records with their place, as the store would."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.entries: list[Entry] = []

    def add(self, t: float, record: records.AnyRecord) -> None:
        """Appends one record at `t` seconds since the run's start."""
        self.entries.append(Entry(self.run, len(self.entries), START + t, t, record))


def experiment() -> model.Experiment:
    """The experiment that all sample runs execute."""
    clauses = tuple(expect.clause(text) for text in SHOPPERS)
    return model.Experiment(
        kind="experiment/v1",
        name="checkout-survives-slow-payments",
        title="Checkout survives a slow payment provider",
        hypothesis="When the payment provider answers 400 ms late, shoppers still check out within a second, because "
        "checkout gives up on it after 300 ms and takes the order for later.",
        owner="team-checkout",
        service="checkout",
        steady_state={
            "shoppers": model.Check(
                probe="http",
                title="Shoppers can check out",
                with_={"service": "shop", "path": "/checkout", "method": "POST", "rate": RATE, "timeout": 2.0},
                expect=clauses,
            ),
            "replicas": model.Check(
                probe="kubernetes",
                title="Payments has its replicas",
                with_={"deployment": "shop/payments"},
                expect=(expect.clause("ready >= 2"),),
            ),
        },
        blast_radius=model.BlastRadius(),
        method=(_step(),),
        abort=model.Abort(violated_for=10.0),
    )


def _step() -> model.FaultStep:
    return model.FaultStep(
        fault="toxic",
        name="payments answers late",
        target={"proxy": "payments"},
        with_={"type": "latency", "latency": 0.4, "jitter": 0.05, "stream": "downstream"},
        for_=float(HOLD_S),
    )


def planned(hold_s: float = HOLD_S) -> dict[str, Any]:
    """The plan as a run stores it."""
    target = Target("proxy/payments")
    whole = plan.Plan(
        experiment=experiment(),
        environment="staging",
        connections=environment.Environment(
            toxiproxy=environment.Toxiproxy(url="https://toxi.stg:8474", token="env:TOXI_TOKEN"),
            services={"shop": "https://shop.stg"},
            ceilings=environment.Ceilings(at_once=1, in_total=3, percent_of_selector=25),
        ),
        seed=20260822,
        faults=(
            plan.PlannedFault(
                n=0,
                step=0,
                lane=0,
                name="payments answers late",
                kind="toxic",
                version=1,
                params=dict(_step().with_),
                target=target,
                aspect="toxic:downstream:latency",
                hold_s=hold_s,
                reversible=True,
            ),
        ),
        selections=(plan.Selection(0, 0, "proxy payments", ("proxy/payments",), ("proxy/payments",)),),
        forecasts=(plan.ClauseForecast("shoppers", SHOPPERS[0], 1200.0, 300),),
        layers=("runner", "guardian"),
        bound_s=7.0,
        worst_case_s=127.0,
        source=SOURCE,
        text=TEXT,
        sha256="5f0c0de0" * 8,
    )
    found: dict[str, Any] = msgspec.to_builtins(whole)
    return found


def held() -> History:
    """The shop copes: latency rises, the clauses hold."""
    book = _begun("r-held")
    _fault(book)
    _undone(book, 62.0)
    _recovered(book, "HELD", "CLEAN")
    return History(book.entries, _measured(93, lambda tick: (0.001, 0.33) if 32 <= tick < 62 else (0.001, 0.045)))


def deviated() -> History:
    """Some requests fail, too few to stop the run."""
    book = _begun("r-deviated")
    _fault(book)
    book.add(48.0, records.Noted("Ada", "Support reports two complaints about failed orders."))
    _undone(book, 62.0)
    judged = (
        ClauseJudged("shoppers", SHOPPERS[0], "violated", "3.4 % bad, 1 % allowed", 1159, 41, 0),
        *_judged("ok")[1:],
    )
    _recovered(book, "DEVIATED", "CLEAN", judged, "shoppers: success >= 99% violated: 3.4 % bad, 1 % allowed")
    return History(book.entries, _measured(93, lambda tick: (0.034, 0.36) if 32 <= tick < 62 else (0.002, 0.045)))


def aborted() -> History:
    """The shop collapses and the run stops itself after ten seconds."""
    book = _begun("r-aborted")
    _fault(book)
    _undone(book, 44.02, gone=44.164)
    _tripped(book, 44.012)
    _recovered(book, "DEVIATED", "CLEAN", _judged("violated"), "p95 above 1s for 10 s", "criterion", at=68.0)
    return History(book.entries, _measured(70, _collapse(44)))


def not_reverted() -> History:
    """The undo never succeeds: something is left behind."""
    book = _begun("r-stuck")
    _fault(book)
    _tripped(book, 44.012)
    book.add(44.3, records.UndoBegan("f0", 44.02))
    for attempt in range(1, 4):
        book.add(44.3 + attempt, records.UndoFailed("f0", "https://toxi.stg:8474: connection refused", attempt))
    book.add(104.4, records.FaultStuck("f0", "https://toxi.stg:8474: connection refused, 31 attempts in 60 s"))
    book.add(104.5, records.PhaseBegan("ended"))
    outcome = Outcome("DEVIATED", "criterion", "LEFT", "proxy/payments still carries the fault")
    book.add(104.5, records.RunEnded(outcome, _judged("violated")))
    return History(book.entries, _measured(104, _collapse(999)))


def unknown() -> History:
    """The probe goes blind for a third of the window: no verdict without evidence."""
    book = _begun("r-unknown")
    _fault(book)
    _undone(book, 62.0)
    judged = (
        ClauseJudged("shoppers", SHOPPERS[0], "unknown", "66 % of ticks valid, 90 % needed", 790, 1, 400),
        ClauseJudged("shoppers", SHOPPERS[1], "unknown", "66 % of ticks valid, 90 % needed", 788, 3, 400),
        *_judged("ok")[2:],
    )
    _recovered(book, "UNKNOWN", "CLEAN", judged, "shoppers was measured in 66 % of ticks, 90 % needed")
    shape = _measured(93, lambda tick: (0.001, 0.33) if 32 <= tick < 62 else (0.001, 0.045))
    return History(book.entries, [_blinded(sample) if 45 <= sample.tick < 55 else sample for sample in shape])


def not_started() -> History:
    """The baseline is not steady, so nothing is injected."""
    book = _begun("r-refused")
    why = "not started: the baseline is not steady: shoppers: success >= 99% had 4.1 % bad requests, 1 % allowed"
    book.add(30.2, records.NotStarted(why))
    book.add(30.2, records.PhaseBegan("ended"))
    book.add(30.3, records.RunEnded(Outcome("UNKNOWN", "nothing", "CLEAN", why)))
    return History(book.entries, _measured(30, lambda _tick: (0.041, 0.05)))


def crashed() -> History:
    """The records stop in the middle of the fault window, as after a power cut."""
    book = _begun("r-crashed")
    _fault(book)
    return History(book.entries, _measured(41, lambda tick: (0.001, 0.33) if tick >= 32 else (0.001, 0.045)))


def lever() -> History:
    """A person stops a healthy run."""
    book = _begun("r-lever")
    _fault(book)
    book.add(40.2, records.AbortTripped("lever", "the lever environment/staging was pulled by Ada", 40.12))
    _undone(book, 40.13, gone=40.2)
    _recovered(book, "UNKNOWN", "CLEAN", (), "stopped by a lever before there was evidence", "lever", at=50.0)
    return History(book.entries, _measured(52, lambda tick: (0.001, 0.33) if 32 <= tick < 40 else (0.001, 0.045)))


def hour() -> History:
    """One hour at 1 000 requests a second, with a fault of ten minutes: the size and speed of a big report."""
    book = Book("r-hour")
    whole = planned(600.0)
    book.add(0.0, records.RunStarted(whole, _versions(), "ci", ("chaos-runner", "run", SOURCE, "-e", "staging")))
    book.add(0.1, records.PhaseBegan("baseline"))
    _fault(book, at=1200.0)
    _undone(book, 1800.0)
    book.add(1801.0, records.RecoveryMeasured(True, 4.0, 0))
    book.add(3600.0, records.RunEnded(Outcome("HELD", "nothing", "CLEAN"), _judged("ok")))
    rng = random.Random(7)
    shapes = {latency: [_latencies(rng, 1000, latency) for _ in range(40)] for latency in (0.045, 0.33)}
    samples = []
    for tick in range(3600):
        histogram = shapes[0.33 if 1200 <= tick < 1800 else 0.045][tick % 40]
        samples.append(_tick("shoppers", tick, histogram, 1000, rng.randrange(3)))
        samples.append(_replicas(tick))
    return History(book.entries, samples)


HISTORIES: dict[str, Callable[[], History]] = {
    "held": held,
    "deviated": deviated,
    "aborted": aborted,
    "not_reverted": not_reverted,
    "unknown": unknown,
    "not_started": not_started,
    "crashed": crashed,
    "lever": lever,
}


def _versions() -> dict[str, str]:
    return {"chaos-runner": "0.1.0", "python": "3.11.7", "toxiproxy": "2.12.0"}


def _begun(run: str) -> Book:
    book = Book(run)
    command = ("chaos-runner", "run", SOURCE, "-e", "staging", "--seed", "20260822")
    book.add(0.0, records.RunStarted(planned(), _versions(), "ada@ops-1", command))
    book.add(0.2, records.GuardianReady(4711, ("https://toxi.stg:8474", "https://shop.stg")))
    book.add(0.3, records.PhaseBegan("baseline"))
    return book


def _fault(book: Book, at: float = 30.4) -> None:
    if at < 100:
        counts = (("shoppers", SHOPPERS[0], 1199, 1, 0), ("shoppers", SHOPPERS[1], 1198, 2, 0))
        book.add(at - 0.2, records.BaselineHeld((*counts, ("replicas", "ready >= 2", 30, 0, 0))))
    book.add(at, records.PhaseBegan("fault", 0))
    target, mark = Target("proxy/payments"), f"cx.{book.run}.0.1787393000"
    undo = Undo("toxic", 1, mark, target, dict(_step().with_), {"enabled": True})
    aspect = "toxic:downstream:latency"
    book.add(at + 0.1, records.IntentCommitted("f0", target, "toxic", 0, aspect, msgspec.to_builtins(undo)))
    book.add(at + 0.23, records.FaultInjected("f0", 0.12))
    evidence = "64 of 64 connections with payload were delayed by the proxy, by 398 ms in the median"
    book.add(at + 1.6, records.FaultConfirmed("f0", "counters", evidence))


def _tripped(book: Book, decided: float) -> None:
    why = "shoppers: p95 <= 1s was violated for 10 s: 97 % of requests were slower, 5 % allowed"
    book.add(decided + 0.2, records.AbortTripped("criterion", why, decided, "shoppers", SHOPPERS[1]))


def _undone(book: Book, sent: float, gone: float | None = None) -> None:
    gone = sent + 0.081 if gone is None else gone
    book.add(gone + 0.01, records.UndoBegan("f0", sent))
    book.add(gone + 0.02, records.FaultReverted("f0", gone))
    book.add(gone + 0.03, records.FaultClosed("f0"))
    figures = {"streams": 64.0, "streams affected": 64.0, "bytes": 181_220.0}
    book.add(gone + 0.04, records.Evidence("f0", "The proxy's counters over the fault window", figures))
    book.add(gone + 0.05, records.PhaseBegan("recovery", 0))


def _recovered(
    book: Book,
    finding: records.Finding,
    cleanup: records.Cleanup,
    judged: tuple[ClauseJudged, ...] | None = None,
    why: str = "",
    stopped_by: records.StoppedBy = "nothing",
    at: float = 92.0,
) -> None:
    book.add(at - 2, records.RecoveryMeasured(True, 7.0, 0))
    book.add(at, records.PhaseBegan("ended"))
    outcome = Outcome(finding, stopped_by, cleanup, why)
    book.add(at + 0.1, records.RunEnded(outcome, _judged("ok") if judged is None else judged))


def _judged(state: records.ClauseState) -> tuple[ClauseJudged, ...]:
    bad = state == "violated"
    return (
        ClauseJudged("shoppers", SHOPPERS[0], state, "38 % bad, 1 % allowed" if bad else "0.1 % bad, 1 % allowed",
                     298 if bad else 1199, 182 if bad else 1, 0),
        ClauseJudged("shoppers", SHOPPERS[1], state, "94 % slower, 5 % allowed" if bad else "0.2 % slower, 5 % allowed",
                     29 if bad else 1198, 451 if bad else 2, 0),
        ClauseJudged("replicas", "ready >= 2", "ok", "ok in every tick", 12 if bad else 30, 0, 0),
    )  # fmt: skip


def _collapse(until: int) -> Callable[[int], tuple[float, float]]:
    def shape(tick: int) -> tuple[float, float]:
        if not 31 <= tick < until + 4:
            return 0.001, 0.045
        return (0.02, 0.4 + 0.35 * (tick - 31)) if tick < 34 else (0.45 if tick < until else 0.2, 1.75)

    return shape


def _measured(ticks: int, shape: Callable[[int], tuple[float, float]]) -> list[Sample]:
    rng = random.Random(ticks)
    found: list[Sample] = []
    for tick in range(1, ticks):
        share, median = shape(tick)
        failed = sum(rng.random() < share for _ in range(RATE))
        found += [_tick("shoppers", tick, _latencies(rng, RATE, median), RATE, failed), _replicas(tick)]
    return found


def _tick(check: str, tick: int, histogram: tuple[tuple[int, int], ...], rate: int, failed: int) -> Sample:
    slow = sum(count for bucket, count in histogram if 1e-6 * 1.02**bucket > 1.0)
    slow = max(slow, failed if slow else 0)
    examples = (Exemplar(tick + 0.5, 0.412, 503, "status"),) if failed else ()
    counts = (ClauseCount(0, rate - failed, failed, 0), ClauseCount(1, rate - slow, slow, 0))
    return Sample(check, tick, counts, histogram=histogram, exemplars=examples, scheduled=rate, errors=failed)


def _replicas(tick: int) -> Sample:
    return Sample("replicas", tick, (ClauseCount(0, 1, 0, 0),), values={"ready": 2.0})


def _latencies(rng: random.Random, count: int, median: float) -> tuple[tuple[int, int], ...]:
    found: dict[int, int] = {}
    for _ in range(count):
        seconds = min(2.0, median * math.exp(rng.gauss(0.0, 0.28)))
        bucket = math.floor(math.log(seconds / 1e-6) / math.log(1.02))
        found[bucket] = found.get(bucket, 0) + 1
    return tuple(sorted(found.items()))


def _blinded(sample: Sample) -> Sample:
    counts = tuple(ClauseCount(one.clause, 0, 0, one.good + one.bad) for one in sample.counts)
    why = "https://shop.stg/checkout: no route to host"
    return Sample(sample.check, sample.tick, counts, why=why) if sample.check == "shoppers" else sample


def main() -> None:
    """Writes one sample report to stdout."""
    asked = argparse.ArgumentParser(description="Write a sample report to stdout.")
    asked.add_argument("history", choices=[*HISTORIES, "hour"])
    asked.add_argument("--as", dest="kind", default="html", choices=["html", "junit", "markdown", "json"])
    told = asked.parse_args()
    entries, samples = hour() if told.history == "hour" else HISTORIES[told.history]()
    renderer = importlib.import_module(f"chaos_runner.render.{told.kind}")
    sys.stdout.buffer.write(renderer.render(fold(entries), entries, samples))


if __name__ == "__main__":
    main()
