"""Prometheus text: what the proxies passed and what the process uses.

Bytes count as they pass, not when a connection ends.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from pathlib import Path

from chaos_runner.proxy.proxies import Proxies

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
FAMILIES = (
    ("toxiproxy_proxy_received_bytes_total", "Bytes that the proxy read, by direction.", "read"),
    ("toxiproxy_proxy_sent_bytes_total", "Bytes that the proxy wrote, by direction.", "sent"),
)
STARTED = time.time()


def of_proxies(proxies: Proxies) -> str:
    lines: list[str] = []
    for family, help_text, counter in FAMILIES:
        lines += [f"# HELP {family} {help_text}", f"# TYPE {family} counter"]
        for proxy in proxies.sorted():
            for direction, flow in (("downstream", proxy.flows[False]), ("upstream", proxy.flows[True])):
                labels = {
                    "direction": direction,
                    "listener": proxy.listen,
                    "proxy": proxy.name,
                    "upstream": proxy.upstream,
                }
                pairs = ",".join(f'{key}="{escape(value)}"' for key, value in labels.items())
                lines.append(f"{family}{{{pairs}}} {getattr(flow, counter)}")
    return "\n".join(lines) + "\n"


def escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def of_process() -> str:
    """What this process uses, under the names that every Prometheus client has for it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    values: list[tuple[str, str, float]] = [
        ("process_cpu_seconds_total", "counter", used.ru_utime + used.ru_stime),
        ("process_max_fds", "gauge", files),
        ("process_start_time_seconds", "gauge", STARTED),
    ]
    with contextlib.suppress(OSError):
        # Only Linux tells these.
        resident = int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
        values.append(("process_resident_memory_bytes", "gauge", resident))
        values.append(("process_open_fds", "gauge", sum(1 for _ in Path("/proc/self/fd").iterdir())))
    lines = [f"# TYPE {name} {kind}\n{name} {value:.17g}" for name, kind, value in values]
    version = ".".join(map(str, sys.version_info[:3]))
    lines.append(
        f'# TYPE python_info gauge\npython_info{{implementation="{sys.implementation.name}",version="{version}"}} 1'
    )
    return "\n".join(lines) + "\n"
