"""A node that takes no new pods; those that run there stay."""

from __future__ import annotations

from typing import ClassVar

from chaos_runner.faults import _nodes


class NodeCordon(_nodes.Cordons, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Cordons a node, and lets it take pods again. Has no fields of its own: `with:` may be left out.

    The node carries the annotation `chaos-runner/unschedulable` meanwhile. Whoever wants it to stay cordoned removes
    the annotation; `kubectl cordon` alone sends nothing for a node that is cordoned, and cannot be seen.
    """

    kind: ClassVar[str] = "node_cordon"
