"""Simulates runs through the real judge and checks DESIGN §7's table; exits 1 when a row does not reproduce.

`--breached` and `--threshold` put other numbers in the place of p1 and h (a share, a factor), to see the table fail.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from chaos_runner import judge
from chaos_runner.expect import clause
from chaos_runner.gate import over_chance
from chaos_runner.model import Abort, BlastRadius, Check, Experiment, FaultStep
from chaos_runner.records import ClauseCount, Sample
from chaos_runner.rule import Rule

SUCCESS, FAST = 0, 1
SLOW_ALWAYS = 0.01  # of the requests of a healthy system
LAG = {SUCCESS: 2, FAST: 1}  # ticks until a clause is final: the timeout, and the limit of 1s
OUTSIDE = 0.001  # a true figure lies outside its interval once in a thousand


Shares = Callable[[int], tuple[float, float]]  # second of the fault -> share that fails, share that is slow


@dataclass(frozen=True)
class Row:
    """A kind of system: what it does all the time and under the fault, and how its runs should end."""

    title: str
    always: float
    under_fault: Shares
    expected: dict[str, tuple[float, float]]  # DESIGN's figure, as the span that is rounded to it
    stops_at_once: bool = False  # exactly when `violated_for` is over
    stops_by_h: bool = False  # in the middle after h / (what a tick says for a breach), where patience is no matter


@dataclass(frozen=True)
class Setting:
    """How many requests a second, how long a baseline and a fault of the same length, how patient, which rows."""

    title: str
    rate: int
    fault: int
    patience: float
    rows: tuple[Row, ...]
    exactly: bool = True  # DESIGN's figures hold as they are; else they are the least

    @property
    def baseline(self) -> int:
        return self.fault

    def rules(self) -> tuple[Rule, ...]:
        shoppers = Check(probe="http", expect=(clause("success >= 99%"), clause("p95 <= 1s")))
        experiment = Experiment(
            kind="experiment/v1",
            name="calibration",
            hypothesis="The judge is calibrated.",
            steady_state={"shoppers": shoppers},
            blast_radius=BlastRadius(),
            method=(FaultStep(fault="toxic", for_=self.fault),),
            baseline=self.baseline,
            abort=Abort(violated_for=self.patience),
        )
        lags = [judge.Measured("event", self.rate, float(LAG[n])) for n in (SUCCESS, FAST)]
        return judge.rules(experiment, {"shoppers": lags})


def _steady(failing: float) -> Shares:
    return lambda _second: (failing, SLOW_ALWAYS)


def _collapsing(second: int) -> tuple[float, float]:
    """A queue that grows: most wait too long from the first second on, and later nobody gets an answer."""
    return min(1.0, 0.1 * second), min(1.0, 0.6 + 0.3 * second)


ROWS = (
    Row("resilient, 0 % fail anyway", 0.0, _steady(0.0), {"HELD": (0.995, 1.0)}),
    Row("resilient, 0.05 % fail anyway", 0.0005, _steady(0.0005), {"HELD": (0.995, 1.0)}),
    Row("resilient, 0.2 % fail anyway", 0.002, _steady(0.002), {"HELD": (0.955, 0.965), "refused": (0.035, 0.045)}),
    Row("slow", 0.0, lambda _second: (0.0, 1.0), {"ABORTED": (1.0, 1.0)}, stops_at_once=True),
    Row("collapsing", 0.0, _collapsing, {"ABORTED": (1.0, 1.0)}, stops_at_once=True),
    Row("10 % errors", 0.0, _steady(0.10), {"ABORTED": (0.955, 0.965)}),
    Row("3 % errors", 0.0, _steady(0.03), {"DEVIATED": (0.9975, 0.9985)}),
)
IMPATIENT = (
    Row("1 % errors, as allowed", 0.0, _steady(0.01), {"ABORTED": (0.0, 0.001)}),
    Row("10 % errors", 0.0, _steady(0.10), {}, stops_by_h=True),
)


def binomial(rng: random.Random, n: int, p: float) -> int:
    """One draw: by jumping from one hit to the next, so rare hits cost nothing."""
    if p <= 0 or p >= 1:
        return n if p >= 1 else 0
    if p > 0.5:
        return n - binomial(rng, n, 1 - p)
    hits, place, log_miss = 0, 0, math.log1p(-p)
    while True:
        place += int(math.log(1.0 - rng.random()) / log_miss) + 1
        if place > n:
            return hits
        hits += 1


def _tick(rng: random.Random, rate: int, tick: int, shares: tuple[float, float]) -> tuple[Sample, Sample]:
    """A tick as the load worker reports it: each clause by itself, as soon as it is final."""
    failed, slow = (binomial(rng, rate, share) for share in shares)
    return (
        Sample("shoppers", tick, (ClauseCount(SUCCESS, rate - failed, failed, 0),), scheduled=rate),
        Sample("shoppers", tick, (ClauseCount(FAST, rate - slow, slow, 0),), scheduled=rate),
    )


def simulate(rng: random.Random, rules: tuple[Rule, ...], setting: Setting, row: Row) -> tuple[str, int]:
    """How one run ends, and after how many seconds of fault it was stopped (0: not)."""
    start, end = setting.baseline, setting.baseline + setting.fault
    before = [s for t in range(start) for s in _tick(rng, setting.rate, t, (row.always, SLOW_ALWAYS))]
    if isinstance(judge.gate(rules, before, range(start)), judge.Closed):
        return "refused", 0
    watch = judge.AbortWatch(rules, start)
    during: list[Sample] = []
    for tick in range(start, end):
        during += _tick(rng, setting.rate, tick, row.under_fault(tick - start))
        # Of what has happened the judge sees what is final: see LAG.
        watch.observe(s for s in during[-6:] if s.tick == tick - LAG[s.counts[0].clause])
        tripped = watch.tripped(tick + 1)
        if tripped is not None:
            return _ended(rules, during, range(start, tick + 1), tripped), tripped.tick - start + 1
    return _ended(rules, during, range(start, end), None), 0


def _ended(rules: tuple[Rule, ...], during: list[Sample], window: range, tripped: judge.Tripped | None) -> str:
    clauses = judge.judged(rules, during, [window])
    stopped_by = tripped.stopped_by if tripped is not None else "nothing"
    return judge.headline(judge.outcome(clauses, stopped_by=stopped_by))


def runs(row: Row, setting: Setting, rules: tuple[Rule, ...], count: int) -> tuple[Counter[str], Counter[int]]:
    """How `count` seeded runs of a row ended, and when those that were stopped were."""
    ends, stops = Counter[str](), Counter[int]()
    for seed in range(count):
        end, stopped = simulate(random.Random(f"{setting.title}/{row.title}/{seed}"), rules, setting, row)
        ends[end] += 1
        stops[stopped] += stopped > 0
    return ends, stops


def interval(count: int, low: float, high: float) -> tuple[int, int]:
    """Between which counts a true share from `low` to `high` stays in 99.9 % of such simulations."""
    least = max((k for k in range(count + 1) if over_chance(count, 1 - low, 1 - k / count) <= OUTSIDE / 2), default=0)
    most = min((k for k in range(count + 1) if over_chance(count, high, k / count) <= OUTSIDE / 2), default=count)
    return least, most


def verify(setting: Setting, row: Row, ends: Counter[str], stops: Counter[int]) -> Iterator[str]:
    """What does not reproduce, in sentences."""
    count, name = ends.total(), f"{setting.title}: {row.title}"
    for end, figure in row.expected.items():
        low, high = interval(count, *figure)
        if not low <= ends[end] <= (high if setting.exactly else count):
            yield f"{name}: {end} {ends[end]} of {count}, it should be {low} to {high}"
    wrong = {second: n for second, n in stops.items() if n and second != setting.patience}
    if row.stops_at_once and wrong:
        yield f"{name}: stopped after {wrong} seconds instead of {setting.patience:g}"
    middle, wanted = median(stops), _wald_s(setting, 0.10)
    if row.stops_by_h and abs(middle - wanted) > 1:
        yield f"{name}: stopped after {middle} s in the middle, h and p1 of DESIGN say {wanted:.1f}"


def median(stops: Counter[int]) -> int:
    """The second after which half of the stopped runs were stopped; 0 when none was."""
    seconds = sorted(stops.elements())
    return seconds[len(seconds) // 2] if seconds else 0


def _wald_s(setting: Setting, failing: float) -> float:
    """DESIGN's formulas by themselves: seconds until Σℓ reaches h for `success >= 99%`, p0 1 % and p1 10 %."""
    h = math.log(setting.rate * setting.fault * 2 / 0.001)
    drift = failing * math.log(0.10 / 0.01) + (1 - failing) * math.log(0.90 / 0.99)
    return h / (setting.rate * drift)


def naive(rng: random.Random, setting: Setting, row: Row) -> dict[str, bool]:
    """Which simple rules refuse or fail this run of a healthy system."""
    ticks = setting.baseline + setting.fault
    failed = [binomial(rng, setting.rate, row.always) for _ in range(ticks)]
    slow = [binomial(rng, setting.rate, 2 * SLOW_ALWAYS) for _ in range(ticks)]
    level = peak = 0.0
    for n in failed:
        level = max(0.0, level + n - 0.01 * setting.rate)  # counts what is above the allowance, patience unknown
        peak = max(peak, level)
    return {
        "success of each tick": any(n / setting.rate > 0.01 for n in failed),
        "p95 of each tick": any(n / setting.rate > 0.05 for n in slow),
        "plain CUSUM, h = ln(1 / 5 %)": peak * math.log(10) > math.log(1 / 0.05),
    }


def changed(rules: tuple[Rule, ...], breached: float | None, threshold: float) -> tuple[Rule, ...]:
    """The rules with another p1 or h."""
    return tuple(
        msgspec.structs.replace(r, breached=breached or r.breached, threshold=r.threshold * threshold) for r in rules
    )


def table(setting: Setting, count: int, breached: float | None, threshold: float) -> list[str]:
    """Prints one table; what does not reproduce."""
    rules = changed(setting.rules(), breached, threshold)
    print(f"\n{setting.title}: {count} runs a row")
    problems: list[str] = []
    for row in setting.rows:
        ends, stops = runs(row, setting, rules, count)
        shown = ", ".join(f"{end} {n / count:.1%}" for end, n in ends.most_common())
        when = sorted(stops.elements())
        at = f"; stopped after {when[0]} to {when[-1]} s, half of them within {median(stops)} s" if when else ""
        print(f"  {row.title:32} {shown}{at}")
        problems += verify(setting, row, ends, stops)
    return problems


def naive_table(setting: Setting, count: int) -> None:
    print(f"\nsimple rules, healthy systems refused or failed ({count} runs a row)")
    for row in ROWS[:3]:
        found: Counter[str] = Counter()
        for seed in range(count):
            verdicts = naive(random.Random(f"naive/{row.title}/{seed}"), setting, row)
            found.update({name: int(wrong) for name, wrong in verdicts.items()})
        print(f"  {row.title:32} " + ", ".join(f"{name} {n / count:.0%}" for name, n in found.items()))


DESIGNED = Setting("20/s, baseline 30s, fault 30s, violated_for 10s", 20, 30, 10.0, ROWS)
DEMO = Setting("40/s, baseline 15s, fault 15s, violated_for 5s", 40, 15, 5.0, ROWS, exactly=False)
HASTY = Setting("20/s, baseline 30s, fault 30s, violated_for 1s", 20, 30, 1.0, IMPATIENT)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--breached", type=float, default=None, help="another p1, such as 0.3")
    parser.add_argument("--threshold", type=float, default=1.0, help="a factor for h, such as 3")
    chosen = parser.parse_args()
    began = time.perf_counter()
    problems = [
        problem
        for setting in (DESIGNED, DEMO, HASTY)
        for problem in table(setting, chosen.runs, chosen.breached, chosen.threshold)
    ]
    naive_table(DESIGNED, chosen.runs)
    print(f"\n{time.perf_counter() - began:.0f} s; " + ("the table reproduces" if not problems else "NOT reproduced:"))
    print("".join(f"  {problem}\n" for problem in problems), end="")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
