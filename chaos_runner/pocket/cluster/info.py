"""What there is to know about a running cluster. It holds tokens: files with it are for their owner only."""

from __future__ import annotations

import msgspec

from chaos_runner.pocket.processes import ProcessId

VERSION = 1


class ClusterInfo(msgspec.Struct, frozen=True):
    """Where the API is, who may ask it, and which processes it is made of. `uid` is that of namespace kube-system."""

    version: int
    pid: int
    start_time: int
    url: str
    ca: str
    kubeconfig: str
    context: str
    tokens: dict[str, str]  # by user; `pocket-admin` may do everything
    uid: str
    processes: dict[str, ProcessId]
    services: dict[str, str] = {}  # of the objects that it began with: namespace/name -> address:port

    def plane(self) -> ProcessId:
        """The control plane."""
        return ProcessId(self.pid, self.start_time)

    def everyone(self) -> list[ProcessId]:
        """The control plane, its nodes and its network; pods end with their nodes."""
        return [self.plane(), *self.processes.values()]
