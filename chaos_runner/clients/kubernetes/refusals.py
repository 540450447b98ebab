"""How the API server says no, as types. Every one but Hung is definite: nothing was changed. No IO."""

from __future__ import annotations

from chaos_runner.api import Doubt, Refused


class Unreachable(Refused):
    """No connection: not one byte was sent. Says nothing about what is in the cluster."""


class Unauthorized(Refused):
    """The server does not know who is asking (401); credentials were renewed once where they can be."""


class Forbidden(Refused):
    """The user may not do it (403). Comes before "not found": it says nothing about whether the object exists."""


class NotFound(Refused):
    """There is no such object, in the server's own words."""


class NoSuchKind(Refused):
    """The server does not serve this kind of object at all; says nothing about any object."""


class Conflict(Refused):
    """The object is not what the request said it is: another uid, or changed since it was read (409)."""


class AlreadyExists(Conflict):
    """The name is taken."""


class Unmatched(Conflict):
    """A JSON patch did not apply: a `test` failed or a path is absent; the server does not say which."""


class Invalid(Refused):
    """The server understood, and does not accept (400, 422)."""


class Budget(Refused):
    """A PodDisruptionBudget allows no eviction now; `retry_after_s` where the server named a time."""

    def __init__(self, sentence: str, retry_after_s: float = 0.0) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class TwoBudgets(Refused):
    """More than one PodDisruptionBudget selects the pod: it can never be evicted."""


class Overload(Refused):
    """The server took no more requests (429 in no budget's words) for as long as the call's limit."""

    def __init__(self, sentence: str, retry_after_s: float = 0.0) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class Expired(Refused):
    """What was asked for is older than what the server remembers (410): list again."""


class WrongCluster(Refused):
    """The cluster that answers is not the one that the environment names."""


class Hung(Doubt):
    """The server took the request and gave no answer within the limit."""
