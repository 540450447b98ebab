"""A number that Prometheus knows: what a query comes to now, or over a time that ends now."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from chaos_runner import promql
from chaos_runner.api import Doubt, Env, Metric, Reading, Refused, Unknown
from chaos_runner.environment import Query
from chaos_runner.expect import Duration
from chaos_runner.model import Where

LIMIT_S = 8.0
POINTS_MAX = 1000
POINTS_SHARE = 0.9  # of a range's points, as of a window's ticks: fewer are no measurement
_NOW = (Metric("value", "gauge", "any", "what the query comes to now"),)
_RANGE = (
    Metric("last", "gauge", "any", "the newest point"),
    Metric("min", "gauge", "any", "the lowest point"),
    Metric("max", "gauge", "any", "the highest point"),
    Metric("mean", "gauge", "any", "the mean of all points"),
)


class PrometheusProbe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Asks the environment's Prometheus; anything but one fresh finite number is unknown, never zero.

    The server checks the query before anything is injected. Durations are seconds there: `value <= 300ms` works.
    """

    kind: ClassVar[str] = "prometheus"

    query: Annotated[Query, Meta(description="PromQL that comes to one number: one series, or a scalar")]
    range: Annotated[
        Duration, Meta(description="look at this long a time instead of now; clauses then name last, min, max, mean")
    ] = 0.0
    step: Annotated[Duration, Meta(description="between two points of the range", ge=1)] = 15.0
    max_age: Annotated[
        Duration,
        Meta(description="how long ago at least one of the series in the query must have been scraped", ge=1, le=3600),
    ] = 120.0
    fresh: Annotated[
        str, Meta(description="the selector to look at for `max_age`; by default those in the query", max_length=1000)
    ] = ""
    timeout: Annotated[Duration, Meta(description="how long an answer may take, at most 8s")] = 3.0

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        if not 0.1 <= self.timeout <= LIMIT_S:
            yield ("timeout",), f"between 100ms and {LIMIT_S:g}s"
        if self.range and not 2 <= self._points() <= POINTS_MAX:
            yield ("step",), f"the range has {self._points()} points; 2 to {POINTS_MAX} are possible"

    def _points(self) -> int:
        return math.floor(self.range / self.step) + 1

    def metrics(self) -> tuple[Metric, ...]:
        """What a clause may name: of a range its points, else the value now."""
        return _RANGE if self.range else _NOW

    def reads(self, env: Env) -> str:
        """The query. Raises Refused where the environment has no Prometheus."""
        if env.environment.prometheus is None:
            raise Refused(f"environment '{env.name}' has no `prometheus:`")
        return " ".join(self.query.split())

    async def understood(self, env: Env) -> None:
        """Has the server read the query, and what looks at its age. Raises Refused in its words, or Doubt."""
        from chaos_runner.clients import prometheus

        client = await prometheus.open_client(env)
        try:
            for query in (self.query, self._fresh()):
                if query:
                    await client.understood(query, limit_s=self.timeout)
        except Refused as why:
            told = f"the query '{query[:200]}': {why}"
            raise Refused(told if query == self.query else f"{told}; write `fresh: SELECTOR`") from None

    def _fresh(self) -> str:
        series = (self.fresh,) if self.fresh else promql.selectors(self.query)
        return promql.fresh(series, self.max_age) if series else ""

    async def read(self, env: Env) -> Reading:
        """One answer. Raises Unknown for whatever is not one fresh finite number."""
        from chaos_runner.clients import prometheus

        try:
            client = await prometheus.open_client(env)
            fresh = self._fresh()
            if fresh and not await client.count(fresh, limit_s=self.timeout):
                raise Unknown(f"stale: no series of the query was scraped in the last {self.max_age:g} s")
            if not self.range:
                return Reading({"value": await client.value(self.query, limit_s=self.timeout)})
            points = await client.points(self.query, self.range, self.step, limit_s=self.timeout)
        except (Refused, Doubt) as why:
            raise Unknown(str(why)) from None
        return Reading(self._over(points))

    def _over(self, points: list[float]) -> dict[str, float]:
        due = self._points()
        if len(points) < POINTS_SHARE * due:
            raise Unknown(f"the range has {len(points)} of {due} points, {math.ceil(POINTS_SHARE * due)} are needed")
        mean = math.fsum(points) / len(points)
        return {"last": points[-1], "min": min(points), "max": max(points), "mean": mean}
