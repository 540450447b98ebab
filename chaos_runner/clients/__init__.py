"""The only sockets and processes of the runner besides probes and notifiers. Network and /proc; no decisions."""
