"""Trouble on request: slow, refused and lost answers, dropped watches, forgotten versions; and what was asked so far.

Everything here is bounded in time, and needs the same rights as everything else: those of a master.
"""

from __future__ import annotations

import random
import time
from collections import deque
from typing import Literal

import msgspec

from chaos_runner.pocket.cluster import refusal
from chaos_runner.pocket.cluster.api import answers
from chaos_runner.pocket.cluster.api.answers import Answer, Query
from chaos_runner.pocket.cluster.store import Store

ROOT = "/chaos-runner/v1/pocket"
LOG_MAX = 20_000
RULES_MAX = 32
TTL_MAX_S = 600.0
LATENCY_MAX_S = 60.0
BUSY = "Too many requests, please try again later.\n"


class Trouble(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule: what happens to requests that fit it. The first rule that fits counts."""

    path: str = "/"  # how the path begins
    method: str = ""
    user: str = ""
    latency_s: float = 0.0  # before it is carried out
    answer: Literal["", "429", "500", "lost", "cut"] = ""  # lost: carried out, not answered; cut: not carried out
    share: float = 1.0
    times: int = 1_000_000
    ttl_s: float = 60.0


class Asked(msgspec.Struct, frozen=True):
    """One request that was answered."""

    method: str
    path: str
    user: str
    status: int
    bytes: int
    ms: float


class Rule:
    """A trouble under way."""

    def __init__(self, trouble: Trouble, now: float) -> None:
        self.trouble = trouble
        self.left = trouble.times
        self.until = now + min(trouble.ttl_s, TTL_MAX_S)

    def hits(self, query: Query, user: str, now: float) -> bool:
        """Whether this request is in for it; then it is counted."""
        trouble = self.trouble
        fits = query.path.startswith(trouble.path) and trouble.method in ("", query.method)
        fits = fits and trouble.user in ("", user)
        if not fits or self.left <= 0 or now >= self.until or random.random() >= trouble.share:
            return False
        self.left -= 1
        return True


class Knobs:
    """The rules in force and the requests so far."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._log: deque[Asked] = deque(maxlen=LOG_MAX)

    def trouble(self, query: Query, user: str) -> Trouble | None:
        """What is in for this request."""
        now = time.monotonic()
        return next((rule.trouble for rule in self._rules if rule.hits(query, user, now)), None)

    def note(self, asked: Asked) -> None:
        """Remembers a request."""
        self._log.append(asked)

    def set(self, body: bytes) -> None:
        """Replaces all rules. Raises Refusal."""
        try:
            given = msgspec.json.decode(body or b"[]", type=list[Trouble])
        except msgspec.DecodeError as why:
            raise refusal.bad_request(f"not a list of troubles: {why}") from why
        if len(given) > RULES_MAX or any(not 0 <= one.latency_s <= LATENCY_MAX_S for one in given):
            raise refusal.bad_request(f"at most {RULES_MAX} troubles, each at most {LATENCY_MAX_S:g} s of latency")
        now = time.monotonic()
        self._rules = [Rule(one, now) for one in given]

    def answer(self, query: Query, store: Store, dropped: int) -> Answer:
        """GET and PUT troubles, GET requests, POST compact, POST drop-watches. Raises Refusal."""
        deed = (query.method, query.path.removeprefix(ROOT))
        if deed == ("PUT", "/troubles"):
            self.set(query.body)
        elif deed == ("POST", "/compact"):
            store.compact()
        elif deed == ("GET", "/requests"):
            return answers.json_answer(200, list(self._log))
        elif deed == ("POST", "/drop-watches"):
            return answers.json_answer(200, {"dropped": dropped})
        elif deed != ("GET", "/troubles"):
            raise refusal.nowhere()
        now = time.monotonic()
        return answers.json_answer(200, [rule.trouble for rule in self._rules if rule.left > 0 and rule.until > now])


def busy() -> Answer:
    """What an overloaded server says: words, and no Status."""
    return answers.text_answer(429, BUSY, {"retry-after": "1", "x-content-type-options": "nosniff"})


def broken() -> Answer:
    """What a server says that cannot reach its own store."""
    return answers.refused(refusal.Refusal(500, "InternalError", "Internal error occurred: trouble on request", {}))
