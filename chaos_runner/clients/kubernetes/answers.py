"""What an answer of the API server means: a yes, a definite no of some type, or doubt. No IO.

Only the server's own words count: a Status whose code is the answer's. What a gateway says instead is doubt where it
would be read as "gone" or "changed meanwhile".
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from chaos_runner.api import Doubt, Refused
from chaos_runner.clients.http import Answer
from chaos_runner.clients.kubernetes import refusals
from chaos_runner.clients.kubernetes.status import Cause, Details, Status

_T = TypeVar("_T")
_SENTENCE_MAX = 600
_BLANK = "the server rejected our request due to an error in our request"  # all that a failed JSON patch is told
_NO_KIND = "the server could not find the requested resource"
_TWO_BUDGETS = "more than one PodDisruptionBudget"


def judged(answer: Answer, what: str) -> Answer:
    """The answer, where it is a yes; otherwise raises a type of `refusals`, Refused or Doubt."""
    if 200 <= answer.status < 300:
        return answer
    said = said_in(answer.body)
    if said is not None and said.code == answer.status:
        raise refusal(said, what, retry_after(answer))
    why = f"{what}: {answer.status}, not in Kubernetes' words: {_shown(answer.body)}"
    if answer.status == 429:
        raise refusals.Overload(f"{what}: the server takes no more requests now", retry_after(answer))
    if answer.status == 401:
        raise refusals.Unauthorized(why)
    if answer.status in {400, 403, 405, 406, 413, 415, 422}:  # what a gateway does not let pass
        raise Refused(why)
    raise Doubt(why)


def refusal(said: Status, what: str, retry_after_s: float = 0.0) -> Exception:
    """The type for what the server said; also for the errors inside a watch."""
    sentence = f"{what}: {said.message or said.reason}"[:_SENTENCE_MAX]
    details = said.details or Details()
    if said.code == 429:
        return _too_many(sentence, details, retry_after_s)
    if said.code == 404:
        return (refusals.NoSuchKind if said.message == _NO_KIND else refusals.NotFound)(sentence)
    if said.code == 409:
        taken = said.reason == "AlreadyExists"
        return (refusals.AlreadyExists if taken else refusals.Conflict)(sentence)
    if said.code == 422:
        return _unaccepted(said, sentence, details.causes or ())
    if said.code == 500 and _TWO_BUDGETS in said.message:
        return refusals.TwoBudgets(sentence)
    kind = _KINDS.get(said.code)
    return kind(sentence) if kind is not None else Doubt(f"{sentence} ({said.code})")


_KINDS: dict[int, type[Refused]] = {
    400: refusals.Invalid,
    401: refusals.Unauthorized,
    403: refusals.Forbidden,
    405: refusals.NoSuchKind,
    406: refusals.Invalid,
    410: refusals.Expired,
    413: refusals.Invalid,
    415: refusals.Invalid,
}


def _too_many(sentence: str, details: Details, retry_after_s: float) -> Exception:
    budget = next((cause for cause in details.causes or () if cause.reason == "DisruptionBudget"), None)
    wait_s = retry_after_s or details.retry_after_seconds
    if budget is None:
        return refusals.Overload(sentence, wait_s)
    return refusals.Budget(f"{sentence} {budget.message}", wait_s)


def _unaccepted(said: Status, sentence: str, causes: tuple[Cause, ...]) -> Exception:
    if said.message == _BLANK and not causes:
        return refusals.Unmatched(f"{sentence} (a `test` failed, or a path is absent)")
    if any(cause.field == "metadata.uid" for cause in causes):  # nodes answer so to another uid
        return refusals.Conflict(sentence)
    return refusals.Invalid(sentence)


def said_in(body: bytes) -> Status | None:
    """The Status that the body is; None for anything else."""
    try:
        said = msgspec.json.decode(body, type=Status)
    except (msgspec.DecodeError, RecursionError):
        return None
    return said if said.kind == "Status" else None


def retry_after(answer: Answer) -> float:
    """The seconds of `Retry-After`; 0 where there are none."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0


def read(type_: type[_T], answer: Answer, what: str) -> _T:
    """The body as an object. Raises Doubt where it is none."""
    try:
        return msgspec.json.decode(answer.body, type=type_)
    except (msgspec.DecodeError, RecursionError) as why:
        raise Doubt(f"{what}: the answer is not in Kubernetes' words ({why}): {_shown(answer.body)}") from None


def _shown(body: bytes) -> str:
    return repr(body[:120].decode("utf-8", "replace"))
