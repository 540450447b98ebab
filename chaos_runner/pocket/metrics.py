"""Numbers of a service, and their Prometheus text."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


def labels(**pairs: str) -> Labels:
    """A key for a series."""
    return tuple(pairs.items())


class Histogram:
    """Durations in cumulative buckets, as Prometheus reads them."""

    def __init__(self) -> None:
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, key: Labels, seconds: float) -> None:
        """Counts one duration."""
        counts = self._counts.setdefault(key, [0] * (len(BUCKETS_S) + 1))
        counts[bisect_left(BUCKETS_S, seconds)] += 1
        self._sums[key] = self._sums.get(key, 0.0) + seconds

    def lines(self, name: str) -> Iterator[str]:
        """The text of this histogram."""
        yield f"# TYPE {name} histogram"
        for key, counts in self._counts.items():
            total = 0
            for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), counts, strict=True):
                total += count
                yield _line(f"{name}_bucket", (*key, ("le", bound)), total)
            yield _line(f"{name}_sum", key, round(self._sums[key], 6))
            yield _line(f"{name}_count", key, total)


def counter(name: str, series: Mapping[Labels, float]) -> Iterator[str]:
    """The text of one counter."""
    return _family(name, "counter", series)


def gauge(name: str, series: Mapping[Labels, float]) -> Iterator[str]:
    """The text of one gauge."""
    return _family(name, "gauge", series)


def text(lines: Iterable[str]) -> bytes:
    """The whole page."""
    return ("\n".join(lines) + "\n").encode()


def _family(name: str, kind: str, series: Mapping[Labels, float]) -> Iterator[str]:
    yield f"# TYPE {name} {kind}"
    for key, value in series.items():
        yield _line(name, key, value)


def _line(name: str, key: Labels, value: float) -> str:
    pairs = ",".join(f'{label}="{_escaped(word)}"' for label, word in key)
    return f"{name}{{{pairs}}} {value}" if pairs else f"{name} {value}"


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
