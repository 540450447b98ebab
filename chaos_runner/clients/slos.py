"""Error budgets and burn rates as Prometheus has them now. Network only; the arithmetic is in `slo`."""

from __future__ import annotations

import math

import anyio

from chaos_runner import promql, slo
from chaos_runner.api import Doubt, Refused
from chaos_runner.clients.prometheus import Client
from chaos_runner.environment import Burn, Slo

ASK_S = 8.0  # for all queries of one SLO: a month of data takes its time
MAX_AGE_S = 300.0


async def budget_left(client: Client, objective: Slo, now: float) -> slo.Known | slo.Unknown:
    """How much of the error budget is left at this Unix time. Raises nothing: what cannot be told is Unknown."""
    bad = await bad_share(client, objective, objective.over, now)
    return bad if isinstance(bad, slo.Unknown) else slo.budget(objective, bad)


async def burns(client: Client, objective: Slo, limit: Burn, now: float) -> bool | slo.Unknown:
    """Whether the budget burns faster than this now."""
    shares = [await bad_share(client, objective, window, now) for window in (limit.long_s, limit.short_s)]
    unknown = next((one for one in shares if isinstance(one, slo.Unknown)), None)
    if unknown is not None:
        return unknown
    long, short = (slo.burn_rate(objective, one) for one in shares if not isinstance(one, slo.Unknown))
    return slo.burning(limit, long, short)


async def bad_share(client: Client, objective: Slo, window_s: float, now: float) -> float | slo.Unknown:
    """The share of all events, or of the time, that was bad in a window that ends at this Unix time."""
    try:
        with anyio.fail_after(ASK_S):
            return await _asked(client, objective, window_s, now)
    except (Refused, Doubt, ValueError) as why:
        return slo.Unknown(str(why))
    except TimeoutError:
        return slo.Unknown(f"{client.url} did not answer within {ASK_S:g} s")


async def _asked(client: Client, objective: Slo, window_s: float, now: float) -> float | slo.Unknown:
    asked = slo.queries(objective, window_s)
    if asked.series and not await client.count(promql.fresh(asked.series, MAX_AGE_S), at=now, limit_s=ASK_S):
        return slo.Unknown(f"nothing that the SLO counts was scraped in the last {MAX_AGE_S:g} s")
    part = await client.value(asked.part, at=now, limit_s=ASK_S)
    whole = await client.value(asked.whole, at=now, limit_s=ASK_S) if asked.whole else 1.0
    bad = slo.bad_share(part, whole, asked.part_is_good)
    return slo.Unknown("nothing was counted: there is no share of no events") if math.isnan(bad) else bad
