"""What makes a shop fragile or resilient: numbers, and nothing else. Both run the same code."""

from __future__ import annotations

import msgspec

NEVER = 1_000_000_000  # a limit nobody thought about


class LinkRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one service calls another."""

    connections: int
    queue_max: int  # requests waiting for a connection
    timeout_s: float | None  # for the whole call: queue, connect, retries
    retries: int
    retry_share: float  # of all calls; the budget that keeps retries from becoming the outage
    breaker_calls_min: int
    breaker_share: float  # of failed calls among the last ones
    breaker_open_for_s: float


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row per link, and what a service may fall back to."""

    payments: LinkRules
    catalog: LinkRules
    checkout: LinkRules
    later_max: int  # orders taken for later that may wait; 0: no such fallback
    stale_for_s: float  # how old the last known product list may be; 0: no such fallback


TRUSTING = LinkRules(
    connections=4,
    queue_max=NEVER,
    timeout_s=None,
    retries=0,
    retry_share=0.0,
    breaker_calls_min=NEVER,
    breaker_share=1.0,
    breaker_open_for_s=0.0,
)

CAREFUL = LinkRules(
    connections=16,
    queue_max=32,
    timeout_s=0.3,
    retries=1,
    retry_share=0.1,
    breaker_calls_min=5,
    breaker_share=0.5,
    breaker_open_for_s=1.0,
)

MODES = {
    "fragile": Rules(
        payments=TRUSTING,
        catalog=TRUSTING,
        checkout=msgspec.structs.replace(TRUSTING, connections=1024),
        later_max=0,
        stale_for_s=0.0,
    ),
    "resilient": Rules(
        payments=CAREFUL,
        catalog=CAREFUL,
        # No retries: a repeated checkout would be a second order, while a repeated charge names the order it pays.
        checkout=msgspec.structs.replace(CAREFUL, connections=64, queue_max=128, timeout_s=0.9, retries=0),
        later_max=10_000,
        stale_for_s=300.0,
    ),
}
