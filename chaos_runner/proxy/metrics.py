"""Prometheus text of what the proxies passed, live: bytes count as they pass and not when a connection ends."""

from __future__ import annotations

from chaos_runner.proxy.proxies import Proxies

FAMILIES = (
    ("toxiproxy_proxy_received_bytes_total", "Bytes that the proxy read, by direction.", "read"),
    ("toxiproxy_proxy_sent_bytes_total", "Bytes that the proxy wrote, by direction.", "sent"),
)


def text(proxies: Proxies) -> str:
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
