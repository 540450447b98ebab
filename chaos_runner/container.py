"""Whether a guardian could outlive this process at all: with some, everything around them ends."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
IN_POD = "KUBERNETES_SERVICE_HOST"


def guardian_survives(
    environment: Mapping[str, str] = os.environ, account: Path = ACCOUNT, pid: int | None = None
) -> bool:
    """False for the first process of a PID namespace, which takes all others with it, and in a pod.

    A pod is killed for its memory, evicted and deleted as a whole, whoever is the first process in it.
    """
    first = (os.getpid() if pid is None else pid) == 1
    return not (first or IN_POD in environment or account.exists())
