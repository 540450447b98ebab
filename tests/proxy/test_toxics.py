"""What each toxic also does, beside the parity suite."""

from __future__ import annotations

from tests.proxy.toxi import Rig, quiet, takes, to_end


def test_latency_does_not_delay_a_bare_close_but_close_stays_behind_data(rig: Rig) -> None:
    rig.api.toxic("latency", "upstream", latency=200)
    bare, late = rig.line(), rig.line()

    with takes(0):
        bare.client.close()
        assert to_end(bare.server) == b""
    with takes(0.2):
        late.client.sendall(b"last")
        late.client.close()
        assert to_end(late.server) == b"last"


def test_timeout_starts_anew_with_every_chunk(rig: Rig) -> None:
    rig.api.toxic("timeout", "upstream", timeout=400)
    line = rig.line()
    for _ in range(6):
        line.client.sendall(b"x")
        assert quiet(line.server)

    with takes(0.4):
        line.client.sendall(b"x")
        assert to_end(line.server) == b""


def test_removing_slow_close_closes_at_once(rig: Rig) -> None:
    name = rig.api.toxic("slow_close", "upstream", delay=30_000)
    line = rig.line()
    line.client.close()
    assert quiet(line.server)

    with takes(0):
        rig.api.drop(name)
        assert to_end(line.server) == b""
