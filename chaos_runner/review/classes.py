"""Failure classes: what goes wrong, whatever does it. They follow from the kinds of faults. No IO.

A kind that is not in the table, such as a plug-in's, is a class of its own.
"""

from __future__ import annotations

# kind, or kind:type of a toxic -> failure class; the names are those of the templates where there is one
CLASSES = {
    "toxic:latency": "slow-dependency",
    "toxic:bandwidth": "starved-bandwidth",
    "toxic:slow_close": "slow-close",
    "toxic:timeout": "hang",
    "toxic:reset_peer": "connection-reset",
    "toxic:slicer": "shredded-stream",
    "toxic:limit_data": "cut-body",
    "proxy_down": "dependency-down",
    "http_error": "failing-requests",
    "http_delay": "slow-dependency",
    "http_truncate": "cut-body",
    "http_malformed": "malformed-answers",
    "pod_kill": "pod-lost",
    "pod_evict": "pod-lost",
    "node_cordon": "node-unavailable",
    "node_drain": "node-unavailable",
    "scale": "fewer-replicas",
    "process_kill": "process-killed",
    "process_pause": "process-paused",
    "command": "custom-command",
}
NO_HARM = frozenset({"noop"})


def class_of(kind: str, aspect: str = "") -> str:
    """The failure class of a fault; empty for one that harms nothing. A toxic's type is the end of its aspect."""
    if kind in NO_HARM:
        return ""
    kept = f"{kind}:{aspect.rsplit(':', 1)[-1]}" if kind == "toxic" else kind
    return CLASSES.get(kept, kept.replace("_", "-").replace(":", "-"))


def classes_of(pairs: list[tuple[str, str]]) -> tuple[str, ...]:
    """The classes of several faults (kind, aspect), each once, in order of the alphabet."""
    return tuple(sorted({found for kind, aspect in pairs if (found := class_of(kind, aspect))}))
