"""Error budgets and burn rates as arithmetic, the queries they ask, and OpenSLO files."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos_runner import configure, openslo, promql, slo
from chaos_runner.environment import Ratio, Slo, Threshold
from chaos_runner.load import Invalid

SHOP = Slo(objective=0.999, ratio=Ratio(bad="bad_total", total="all_total"))


@pytest.mark.parametrize(
    ("text", "rate", "long_s", "short_s"),
    [
        ("14.4", 14.4, 3600, 300),
        ("6", 6, 21600, 1800),
        ("3", 3, 86400, 7200),
        ("1", 1, 259200, 21600),
        ("14.4x", 14.4, 3600, 300),
        ("2 %/h", 14.4, 3600, 300),
        ("5%/6h", 6, 21600, 1800),
        ("10 % / d", 3, 86400, 7200),
        ("10%/3d", 1, 259200, 21600),
        ("5 %/d", 1.5, 86400, 7200),
    ],
)
def test_a_burn_rate_is_a_preset_or_a_share_of_a_month_in_a_time(
    text: str, rate: float, long_s: float, short_s: float
) -> None:
    told = slo.burn(text)

    assert (told.rate, told.long_s, told.short_s) == pytest.approx((rate, long_s, short_s))


@pytest.mark.parametrize("text", ["", "fast", "2", "2 %", "%/h", "0 %/h", "2 %/0h", "-2 %/h", "2 %/m", "2 %/h/h"])
def test_any_other_burn_rate_is_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is no burn rate; write"):
        slo.burn(text)


@pytest.mark.parametrize(
    ("bad", "left"), [(0.0, 1.0), (0.0005, 0.5), (0.001, 0.0), (0.01, -9.0), (1.0, -999.0), (-1e-12, 1.0)]
)
def test_what_is_left_is_one_less_what_was_bad_of_what_may_be(bad: float, left: float) -> None:
    told = slo.budget(SHOP, bad)

    assert isinstance(told, slo.Known)
    assert (told.left, told.spent) == pytest.approx((left, 1 - left), abs=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_share_that_is_none_leaves_nothing_known(bad: float) -> None:
    assert isinstance(slo.budget(SHOP, bad), slo.Unknown)


def test_nothing_counted_is_no_share() -> None:
    assert str(slo.bad_share(0.0, 0.0, part_is_good=True)) == "nan"
    assert str(slo.bad_share(1.0, -1.0, part_is_good=False)) == "nan"
    assert slo.bad_share(3.0, 4.0, part_is_good=True) == 0.25
    assert slo.bad_share(3.0, 4.0, part_is_good=False) == 0.75


def test_a_burn_counts_in_the_long_and_in_the_short_window() -> None:
    fast = slo.PRESETS["14.4"]

    assert slo.burning(fast, 14.4, 20.0)
    assert not slo.burning(fast, 20.0, 1.0)  # it is over
    assert not slo.burning(fast, 1.0, 20.0)  # it has just begun


def test_the_queries_of_a_ratio_count_over_the_window() -> None:
    windowed = Slo(
        objective=0.9, ratio=Ratio(good="sum(a{x='y'}[$window])", total="sum(b[{{ .window }}])", counter=False)
    )
    plain = Slo(objective=0.9, ratio=Ratio(good="good", total='all{job="a"}', counter=False))

    assert slo.queries(SHOP, 3600).part == "sum(increase(bad_total[3600s]))"
    assert slo.queries(SHOP, 3600).series == ("all_total",)
    assert slo.queries(windowed, 300).part == "sum(a{x='y'}[300s])"
    assert slo.queries(windowed, 300).whole == "sum(b[300s])"
    assert slo.queries(plain, 2_592_000).whole == 'sum(sum_over_time(all{job="a"}[2592000s]))'
    with pytest.raises(ValueError, match="says no window"):
        slo.queries(Slo(objective=0.9, ratio=Ratio(bad="rate(a[5m])", total="b")), 300)


def test_a_threshold_counts_the_time_in_which_it_is_kept() -> None:
    told = slo.queries(Slo(objective=0.9, threshold=Threshold(query="a / b", op="<=", value=0.3, slice=30.0)), 3600)

    assert told.part == "avg_over_time(((a / b) <= bool 0.3)[3600s:30s])"
    assert (told.whole, told.part_is_good, told.series) == ("", True, ("a", "b"))


@pytest.mark.parametrize(
    ("query", "series"),
    [
        ("up", ("up",)),
        (
            'sum by (code) (rate(http_total{code=~"5..",x="a}b"}[5m])) / sum(t offset 1d)',
            ('http_total{code=~"5..",x="a}b"}', "t"),
        ),
        ('{__name__=~"job:.*"}', ('{__name__=~"job:.*"}',)),
        ("a / on(b) group_left(c) d", ("a", "d")),
        ("sum(up) by (job) > bool 1e3 # up_to_date", ("up",)),
        ("max_over_time(rate(a[1m])[5m:10s])", ("a",)),
        ("vector(1) or time() - inf", ()),
        ("label_replace(a, 'x', '$1', 'y', 'b(c)')", ("a",)),
        ("a and a unless b", ("a", "b")),
        ("sum(", ()),
        ("}{", ()),
    ],
)
def test_the_series_that_a_query_names_are_found(query: str, series: tuple[str, ...]) -> None:
    assert promql.selectors(query) == series


def test_a_hostile_query_costs_no_time() -> None:
    for letter in ("{", '"', "[", "(", "a{"):
        promql.selectors(letter * 2000)


OPENSLO = """\
apiVersion: openslo/v1
kind: SLI
metadata: {name: errors}
spec:
  ratioMetric:
    counter: true
    bad: {metricSource: {type: Prometheus, spec: {query: 'orders_total{outcome="failed"}'}}}
    total: {metricSource: {type: Prometheus, spec: {query: orders_total}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: checkout, displayName: Checkout}
spec:
  service: shop
  indicatorRef: errors
  budgetingMethod: Occurrences
  timeWindow: [{duration: 4w, isRolling: true}]
  objectives: [{displayName: most, target: 0.995}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: latency}
spec:
  indicator:
    metadata: {name: p95}
    spec: {thresholdMetric: {metricSource: {type: prometheus, spec: {query: p95_seconds}}}}
  budgetingMethod: Timeslices
  timeWindow: [{duration: 30d, isRolling: true}]
  objectives: [{op: lte, value: 0.5, targetPercent: 99, timeSliceTarget: 1, timeSliceWindow: 5m}]
"""


def test_an_openslo_file_is_read_as_its_objectives(tmp_path: Path) -> None:
    file = tmp_path / "slo.yaml"
    file.write_text(OPENSLO)
    counted = openslo.read(file, "checkout")
    timed = openslo.read(file, "latency")

    assert (counted.objective, counted.over, counted.service) == (0.995, 28 * 86400, "shop")
    assert counted.ratio == Ratio(bad='orders_total{outcome="failed"}', total="orders_total", counter=True)
    assert timed.threshold == Threshold(query="p95_seconds", op="<=", value=0.5, slice=300.0)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("name: checkout", "name: cart", "has no SLO 'checkout'; it has: cart, latency"),
        ("indicatorRef: errors", "indicatorRef: none", "no SLI 'none' beside"),
        ("4w, isRolling: true", "4w", "a calendar window cannot be counted"),
        ("4w, isRolling", "1M, isRolling", "'1M' is no length of time"),
        ("target: 0.995", "target: 99.5", "the target 99.5 is not between 0 and 1"),
        ("type: Prometheus", "type: Datadog", "'Datadog' with a `query` is none that we can ask"),
        ("    bad:", "    raw:", "either good or bad"),
        ("Occurrences", "RatioTimeslices", "RatioTimeslices of this indicator cannot be counted"),
        ("openslo/v1\nkind: SLI", "openslo/v2\nkind: SLI", "is not `apiVersion: openslo/v1`"),
        ("objectives: [{displayName: most, target: 0.995}]", "objectives: 5", "something else than OpenSLO v1"),
        ("kind: SLI", "kind: SLI\nkind: SLI", ""),
    ],
)
def test_what_cannot_be_counted_is_refused_in_a_sentence(tmp_path: Path, old: str, new: str, why: str) -> None:
    assert old in OPENSLO
    file = tmp_path / "slo.yaml"
    file.write_text(OPENSLO.replace(old, new))

    with pytest.raises(openslo.Unreadable) as told:
        openslo.read(file, "checkout")

    assert why in str(told.value)


CONFIG = """\
kind: config/v1
environments:
  here:
    prometheus: {url: "http://127.0.0.1:9090"}
    always_on: Watchdog
    slos:
      checkout: {openslo: slo.yaml#checkout}
      other: {objective: 99%, ratio: {bad: a, total: b}}
"""


def test_the_configuration_holds_what_the_openslo_file_says(tmp_path: Path) -> None:
    (tmp_path / "slo.yaml").write_text(OPENSLO)
    (tmp_path / "chaos-runner.yaml").write_text(CONFIG)

    here = configure.read(tmp_path / "chaos-runner.yaml").config.environments["here"]

    assert (here.slos["checkout"].objective, here.slos["other"].objective) == (0.995, 0.99)
    assert here.always_on is not None
    assert here.always_on.alert == "Watchdog"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("slo.yaml#", "none.yaml#", "environments.here.slos.checkout"),
        ("always_on: Watchdog", "always_on: [a]", "neither"),
        ("objective: 99%, ", "", "missing key 'objective'"),
        ("bad: a, ", "", "name either `good` or `bad`"),
        ("bad: a, ", "bad: a, good: c, ", "name either `good` or `bad`"),
        ("openslo: slo.yaml#checkout", "openslo: slo.yaml#checkout, objective: 99%", "the OpenSLO file says"),
        ("openslo: slo.yaml#checkout", "objective: 99%", "exactly one of ratio, threshold, openslo"),
    ],
)
def test_a_wrong_objective_is_a_problem_of_the_configuration(tmp_path: Path, old: str, new: str, why: str) -> None:
    (tmp_path / "slo.yaml").write_text(OPENSLO)
    (tmp_path / "chaos-runner.yaml").write_text(CONFIG.replace(old, new))

    with pytest.raises(Invalid) as told:
        configure.read(tmp_path / "chaos-runner.yaml")

    assert why in told.value.text()
