"""Toxics at work: each stage takes what arrives on one link and hands it on later, in pieces, or not at all."""

from __future__ import annotations

from collections.abc import Mapping

from chaos_runner.proxy.stages.cut import LimitData, ResetPeer, Timeout
from chaos_runner.proxy.stages.delay import Latency, SlowClose
from chaos_runner.proxy.stages.flow import Bandwidth, Slicer
from chaos_runner.proxy.stages.stage import Stage

STAGES: Mapping[str, type[Stage]] = {
    "latency": Latency,
    "bandwidth": Bandwidth,
    "slow_close": SlowClose,
    "timeout": Timeout,
    "reset_peer": ResetPeer,
    "slicer": Slicer,
    "limit_data": LimitData,
}
