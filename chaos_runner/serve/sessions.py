"""What is known of visitors, in memory alone: one-time codes, sessions, failed tries. All bounded, all run out."""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from collections.abc import Callable

import msgspec

from chaos_runner.serve.tokens import Role

SESSION_S = 12 * 3600.0
SESSIONS_MAX = 64
CODE_S = 600.0
CODES_MAX = 16
FAILURES_MAX = 10
FAILURES_S = 60.0

Monotonic = Callable[[], float]


class Session(msgspec.Struct):
    """One browser that showed a code. `name` is who sits there, as they said."""

    key: str
    role: Role
    csrf: str
    until: float
    name: str = ""


class Sessions:
    """The browsers that may come in; the oldest goes where there are too many."""

    def __init__(self, now: Monotonic) -> None:
        self._now = now
        self._known: dict[str, Session] = {}

    def begin(self, role: Role) -> tuple[str, Session]:
        """A new session with the secret that only its browser gets."""
        self._forget()
        while len(self._known) >= SESSIONS_MAX:
            self._known.pop(next(iter(self._known)))
        secret = secrets.token_urlsafe(32)
        session = Session(_digest(secret), role, secrets.token_urlsafe(24), self._now() + SESSION_S)
        self._known[session.key] = session
        return secret, session

    def of(self, secret: str) -> Session | None:
        """The session of this secret, if it lasts."""
        session = self._known.get(_digest(secret))
        return session if session is not None and self.lasts(session) else None

    def lasts(self, session: Session) -> bool:
        """Whether it still is one."""
        return session.key in self._known and self._now() < session.until

    def end(self, session: Session) -> None:
        """It is none any more."""
        self._known.pop(session.key, None)

    def _forget(self) -> None:
        self._known = {key: one for key, one in self._known.items() if self._now() < one.until}


class Codes:
    """One-time codes: each opens one session."""

    def __init__(self, now: Monotonic) -> None:
        self._now = now
        self._known: dict[str, tuple[Role, float]] = {}

    def new(self, role: Role) -> str:
        """A code that lasts ten minutes."""
        self._known = {key: one for key, one in self._known.items() if self._now() < one[1]}
        while len(self._known) >= CODES_MAX:
            self._known.pop(next(iter(self._known)))
        code = secrets.token_urlsafe(24)
        self._known[_digest(code)] = (role, self._now() + CODE_S)
        return code

    def take(self, code: str) -> Role | None:
        """The role of this code, once."""
        role, until = self._known.pop(_digest(code), (None, 0.0))
        return role if role is not None and self._now() < until else None


class Failures:
    """Wrong codes: after ten in a minute none is taken until the minute is over."""

    def __init__(self, now: Monotonic) -> None:
        self._now = now
        self._at: deque[float] = deque(maxlen=FAILURES_MAX)

    def too_many(self) -> bool:
        """Whether nothing more is tried now."""
        return len(self._at) == FAILURES_MAX and self._now() - self._at[0] < FAILURES_S

    def add(self) -> None:
        """One more."""
        self._at.append(self._now())


def _digest(secret: str) -> str:
    """Looking up a digest tells nothing about the secret by the time that it takes."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
