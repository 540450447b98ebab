"""What has to be known of a PromQL text without a server: which series it names, and how old they may be. No IO."""

from __future__ import annotations

import re

SELECTORS_MAX = 20
_GROUPING = frozenset(["by", "without", "on", "ignoring", "group_left", "group_right"])
_AGGREGATIONS = "sum|min|max|avg|group|stddev|stdvar|count|count_values|bottomk|topk|quantile|limitk|limit_ratio"
_WORDS = _GROUPING | set(f"{_AGGREGATIONS}|and|or|unless|bool|offset|inf|nan|start|end|atan2".split("|"))
_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<text>"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*`)
      | (?P<range>\[[^\]]*\])
      | (?P<matchers>\{(?:"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` | [^{}"'`])*\})
      | (?P<number>[0-9.][0-9a-zA-Z.]*)
      | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
      | (?P<paren>[()])
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


def selectors(query: str) -> tuple[str, ...]:
    """The vector selectors of a query, each once and without its range: `up`, `http_requests_total{code="500"}`."""
    found: dict[str, None] = {}
    tokens = [one for one in _TOKEN.finditer(query) if one.lastgroup != "comment" and not one[0].isspace()]
    labels = 0  # depth inside the parentheses of `by (...)` and its like
    for n, token in enumerate(tokens):
        after = tokens[n + 1] if n + 1 < len(tokens) else None
        before = tokens[n - 1] if n else None
        if token[0] == "(" and (labels or (before is not None and before[0].lower() in _GROUPING)):
            labels += 1
        elif token[0] == ")" and labels:
            labels -= 1
        elif not labels and (one := _selector(token, before, after)):
            found[one] = None
    return tuple(found)[:SELECTORS_MAX]


def _selector(token: re.Match[str], before: re.Match[str] | None, after: re.Match[str] | None) -> str:
    if token.lastgroup == "matchers":
        return "" if before is not None and _is_metric(before, token) else token[0]
    if token.lastgroup == "name" and _is_metric(token, after):
        return token[0] + (after[0] if after is not None and after.lastgroup == "matchers" else "")
    return ""


def _is_metric(name: re.Match[str], after: re.Match[str] | None) -> bool:
    if name.lastgroup != "name" or name[0].lower() in _WORDS:
        return False
    return after is None or after[0] != "("


def fresh(series: tuple[str, ...], max_age_s: float) -> str:
    """A query that answers something only if at least one of these series was scraped so lately."""
    return " or ".join(f"count(timestamp({one}) > time() - {max_age_s:g})" for one in series)


def plain(query: str) -> bool:
    """Whether the query is one selector of a metric and nothing around it."""
    return selectors(query) == (query.strip(),)


def over(query: str, window_s: float) -> str:
    """The query with `$window`, or Sloth's `{{.window}}`, replaced by a length of time."""
    length = f"{window_s:g}s" if window_s < 1e6 else f"{window_s:.0f}s"
    return re.sub(r"\$window\b|\$\{window\}|\{\{\s*\.window\s*\}\}", length, query)


def windowed(query: str) -> bool:
    """Whether the query says where its window goes."""
    return over(query, 1) != query
