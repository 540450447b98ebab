"""A good experiment, and a few kinds and parsers of our own, so that these tests depend on no fault or probe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from chaos_runner import expect, load
from chaos_runner.expect import Clause, Duration, Rate
from chaos_runner.load.walk import Kinds, Parsers
from chaos_runner.model import Check, Confirmation, Experiment, Pick, Value


class ProxyTarget(Value, frozen=True):
    """One proxy."""

    proxy: str


class Toxic(Value, frozen=True):
    """Harms the traffic of a proxy."""

    selector: ClassVar[type] = ProxyTarget
    type: Annotated[Literal["latency", "timeout"], Meta(extra={"noun": "toxic"}, description="the toxic")]
    latency: Annotated[Duration, Meta(description="how late")] = 0.0
    jitter: Duration = 0.0
    stream: Literal["downstream", "upstream"] = "downstream"

    def problems(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """What one field alone cannot show."""
        if self.type == "latency" and not self.latency:
            yield ("latency",), "a latency toxic needs a latency"


class PodTarget(Value, frozen=True):
    """Pods of a namespace."""

    pods: str
    selector: str
    pick: Pick = Pick(1)


class PodKill(Value, frozen=True):
    """Kills pods."""

    selector: ClassVar[type] = PodTarget
    replaced_within: Duration = 60.0


class Http(Value, frozen=True):
    """Sends requests."""

    service: str
    path: str = "/"
    method: Literal["GET", "POST"] = "GET"
    rate: Rate = 1.0
    timeout: Duration = 2.0


class Kubernetes(Value, frozen=True):
    """Reads a deployment."""

    deployment: str


class SharedCheck(Check, frozen=True, kw_only=True):
    """A check that may be `use:`d."""

    overridable: ClassVar[tuple[str, ...]] = ("expect", "during")


class Watch(Value, frozen=True):
    """A file with nothing but checks."""

    kind: Literal["watch/v1"]
    steady_state: dict[str, SharedCheck]


def pick(value: Any) -> Pick:
    """1, or 50%."""
    if isinstance(value, int):
        return Pick(number=value)
    if isinstance(value, str) and value.endswith("%"):
        return Pick(share=expect.quantity("percent", value))
    raise ValueError(f"{value!r} is neither a number nor a share; write 1 or 50%")


def confirmation(value: Any) -> Confirmation:
    """Any text will do here."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a confirmation; write read-back")
    return Confirmation(value)


KINDS: Kinds = {"fault": {"toxic": Toxic, "pod_kill": PodKill}, "probe": {"http": Http, "kubernetes": Kubernetes}}
PARSERS: Parsers = {Clause: expect.clause, Pick: pick, Confirmation: confirmation}

GOOD = """\
kind: experiment/v1
name: checkout-survives-slow-payments          # [a-z0-9-], at most 63
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
    with: {service: shop, path: /checkout, method: POST, rate: 20/s, timeout: 2s}
    expect: [success >= 99%, p95 <= 1s]
  replicas:
    probe: kubernetes
    with: {deployment: shop/payments}
    expect: [ready >= 2]
    during: [ready >= 1]
baseline: 30s
blast_radius:
  at_once: 1
  in_total: 2
  percent_of_selector: 50
  keep_available: {deployment/shop/payments: 1}
  max_duration: 2m
abort:
  violated_for: 10s
  error_budget: {check: shoppers, slo: 99.9%, over: 30d, spend: 2%}
alerts: {expect: [{name: CheckoutSlow, within: 2m}], forbid: [DataLoss]}
method:
  - name: payments answers late
    fault: toxic
    target: {proxy: payments}
    with: {type: latency, latency: 400ms, jitter: 50ms, stream: downstream}
    for: 30s
  - pause: 10s
  - name: a payments pod dies
    fault: pod_kill
    target: {pods: shop, selector: app=payments, pick: 1}
    with: {replaced_within: 60s}
recovery: {within: 60s}
"""


def problems_of(text: str | bytes, type_: Any = Experiment, file: str = "x.yaml") -> list[load.Problem]:
    """Every problem of a text."""
    tree = load.guard(text, file)
    if tree.root is None:
        return list(tree.problems)
    return [*tree.problems, *load.walk(tree.root, type_, kinds=KINDS, parsers=PARSERS)[1]]


def changed(old: str, new: str) -> list[str]:
    """The problems of the good experiment after one change, as `line:col: path: message`."""
    assert old in GOOD
    return [str(problem).removeprefix("x.yaml:") for problem in problems_of(GOOD.replace(old, new, 1))]


def value_of(text: str, type_: Any) -> Any:
    """The value of a text without problems."""
    tree = load.guard(text, "x.yaml")
    assert tree.root is not None
    value, problems = load.walk(tree.root, type_, kinds=KINDS, parsers=PARSERS)
    assert [*tree.problems, *problems] == []
    return value
