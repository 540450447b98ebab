"""What a seed has in store: which run, and what goes wrong with it. Pure: a seed in, plans of trouble out."""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

LATE_S = 45.0  # no request lands later than so long after it was sent: the watch is made for this


class Kill(NamedTuple):
    """Where a process dies or stops: at an effect, or at a time; `lands`: that effect is still done."""

    effect: float = math.inf
    lands: bool = True
    t: float = math.inf
    stop_s: float = 0.0  # stopped for so long instead of killed


class Weather(NamedTuple):
    seed: int
    embedded: bool
    steps: tuple[tuple[tuple[str, str], ...], ...]  # each step: (kind, proxy) beside each other
    holds: tuple[float, ...]
    fragile: bool
    guarded: bool
    trouble: float  # share of requests that go wrong
    trouble_until: float
    cut: tuple[float, float]  # the network is cut, or the server frozen
    frozen: bool
    restart_t: float
    first_fate: str  # what becomes of the first injection
    store: tuple[str, int, int]  # what goes wrong with commits, from which on, how many
    runner: Kill
    guardian: Kill
    recoveries: tuple[tuple[float, Kill, bool], ...]  # when after the runner began, its death, and whether it is blind
    second: tuple[float, bool]  # a second runner, and whether the operator allows two at once
    operator: tuple[tuple[float, str], ...]
    steps_of_clock: tuple[tuple[float, float], ...]
    lever_t: float
    people: tuple[tuple[float, str], ...]  # Ctrl-C, a cancelled engine, a bug of the live view
    undo_fate: str  # what becomes of the first request of an undo


FATES = ("lost request", "lost reply", "late", "refused", "denied", "5xx", "twice", "slow", "stale")
_NOTHING = (math.inf, math.inf)


def forecast(seed: int) -> Weather:
    """Half of the seeds have one trouble, and exact bounds to keep; the others have many."""
    rng = Random(seed)
    calm = rng.random() < 0.5
    steps = _steps(rng)
    return Weather(
        seed=seed,
        embedded=rng.random() < 0.5,
        steps=steps,
        holds=tuple(round(rng.uniform(1, 8), 1) for _ in steps),
        fragile=rng.random() < 0.2,
        guarded=rng.random() < 0.95,
        trouble=0.0 if calm else rng.choice((0.0, 0.02, 0.1, 0.3)),
        trouble_until=rng.uniform(5, 120),
        cut=_cut(rng) if rng.random() < (0.05 if calm else 0.2) else _NOTHING,
        frozen=rng.random() < 0.5,
        restart_t=rng.uniform(6, 40) if rng.random() < (0.03 if calm else 0.1) else math.inf,
        first_fate=rng.choice(FATES) if rng.random() < 0.3 else "",
        store=_store(rng) if rng.random() < (0.15 if calm else 0.3) else ("", 0, 0),
        runner=_kill(rng, 160, 40.0, 0.6),
        guardian=_kill(rng, 25, 60.0, 0.25),
        recoveries=_recoveries(rng),
        second=(rng.uniform(5, 90), rng.random() < 0.5) if rng.random() < 0.25 else (math.inf, False),
        operator=_operator(rng, calm),
        steps_of_clock=tuple(_clock_step(rng) for _ in range(rng.choice((0, 0, 0, 1, 2)))),
        lever_t=rng.uniform(1, 30) if rng.random() < 0.1 else math.inf,
        people=_people(rng),
        undo_fate=rng.choice(FATES) if rng.random() < 0.3 else "",
    )


def _steps(rng: Random) -> tuple[tuple[tuple[str, str], ...], ...]:
    return tuple(_step(rng) for _ in range(rng.choice((1, 1, 2))))


def _step(rng: Random) -> tuple[tuple[str, str], ...]:
    names = rng.sample(("a", "b"), rng.choice((1, 1, 1, 2)))
    return tuple((rng.choice(("toxic", "toxic", "proxy_down")), name) for name in names)


def _cut(rng: Random) -> tuple[float, float]:
    begin = rng.uniform(5, 40)
    return begin, begin + rng.choice((rng.uniform(0.5, 10), rng.uniform(10, LATE_S), rng.uniform(60, 300)))


def _store(rng: Random) -> tuple[str, int, int]:
    kind = rng.choice(("full", "full", "doubt", "hangs before", "hangs after"))
    return kind, rng.randrange(1, 60), rng.choice((1, 3, 20, 10_000))


def _kill(rng: Random, effects: int, seconds: float, share: float) -> Kill:
    if rng.random() >= share:
        return Kill()
    stop_s = rng.choice((0.0, 0.0, 0.0, rng.uniform(0.5, 4), rng.uniform(6, 30)))
    if rng.random() < 0.7:
        return Kill(effect=rng.randrange(1, effects), lands=rng.random() < 0.5, stop_s=stop_s)
    return Kill(t=rng.uniform(0, seconds), stop_s=stop_s)


def _recoveries(rng: Random) -> tuple[tuple[float, Kill, bool], ...]:
    count = rng.choice((0, 1, 1, 2, 3))
    begin = rng.uniform(5, 80)
    told = []
    for _ in range(count):
        at = begin + rng.choice((0.0, rng.uniform(0, 2), rng.uniform(0, 100)))
        told.append((at, _kill(rng, 40, 150.0, 0.4), rng.random() < 0.25))
    return tuple(told)


OPERATOR = ("adds", "edits own", "removes own", "edits ours", "removes ours", "enables")


def _operator(rng: Random, calm: bool) -> tuple[tuple[float, str], ...]:
    if rng.random() < (0.8 if calm else 0.5):
        return ()
    return tuple(sorted((rng.uniform(0, 60), rng.choice(OPERATOR)) for _ in range(rng.randrange(1, 4))))


def _clock_step(rng: Random) -> tuple[float, float]:
    return rng.uniform(0, 100), rng.choice((-1, 1)) * rng.choice((3600.0, 31_536_000.0, 30.0))


def _people(rng: Random) -> tuple[tuple[float, str], ...]:
    what = rng.choice(("", "", "", "", "Ctrl-C", "Ctrl-C twice", "cancelled", "a bug of the view"))
    return ((rng.uniform(0.5, 30), what),) if what else ()
