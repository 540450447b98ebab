"""M1, M2: /metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proxy import toxi
from tests.proxy.toxi import LOOP, Api, Rig, read, wait_until

FAMILIES = ("toxiproxy_proxy_received_bytes_total", "toxiproxy_proxy_sent_bytes_total")


def value(rig: Rig, family: str, direction: str) -> float | None:
    labels = f'direction="{direction}",listener="{LOOP}:{rig.port}",proxy="p",upstream="{rig.upstream}"'
    rows = rig.api("GET", "/metrics").raw.decode().splitlines()
    found = [row for row in rows if row.startswith(f"{family}{{{labels}}} ")]
    return float(found[0].rpartition(" ")[2]) if found else None


def test_m1_metrics_count_the_bytes_of_each_direction(rig: Rig) -> None:
    line = rig.line()
    line.client.sendall(b"12345")
    line.server.sendall(read(line.server, 5) + b"67")
    read(line.client, 7)
    line.close()

    for family in FAMILIES:
        for direction, size in (("upstream", 5), ("downstream", 7)):
            wait_until(lambda family=family, direction=direction, size=size: value(rig, family, direction) == size)
    answer = rig.api("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4; charset=utf-8")
    assert all(f"# TYPE {family} counter" in answer.raw.decode() for family in FAMILIES)


@pytest.mark.parametrize(
    ("flag", "status"), [("-seed=1", 404), ("--proxy-metrics", 200), ("-runtime-metrics=true", 200)]
)
def test_m2_without_a_flag_there_are_no_metrics(api: Api, tmp_path: Path, flag: str, status: int) -> None:
    own = (toxi.start_real if api.kind == "real" else toxi.start_embedded)(
        tmp_path / "log", "-proxy-metrics=false", flag
    )
    try:
        answer = own("GET", "/metrics")
        assert answer.status == status
        assert (b"process_cpu_seconds_total" in answer.raw) is flag.startswith("-runtime")
    finally:
        toxi.stop(own)
