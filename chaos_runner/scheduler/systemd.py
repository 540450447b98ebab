"""Tells systemd how the daemon is: sd_notify, in a few lines. Without a NOTIFY_SOCKET nothing is told."""

from __future__ import annotations

import os
import socket


def notify(*lines: str) -> bool:
    """One datagram, such as READY=1 or WATCHDOG=1; False where nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as there:
        try:
            there.sendto("\n".join(lines).encode(), "\0" + address[1:] if address[0] == "@" else address)
        except OSError:  # a manager that is busy or gone must not end the daemon
            return False
    return True
