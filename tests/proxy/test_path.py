"""The data path without toxics, beside the parity suite."""

from __future__ import annotations

import os
import threading
import time

from tests.proxy.toxi import Rig, quiet, to_end


def test_a_slow_reader_holds_back_the_sender_and_loses_nothing(rig: Rig) -> None:
    line = rig.line()
    data = os.urandom(1 << 20) * 48
    thread = threading.Thread(target=lambda: (line.server.sendall(data), line.server.close()))
    line.server.settimeout(30)
    thread.start()
    time.sleep(0.3)

    assert thread.is_alive()
    assert to_end(line.client) == data
    thread.join()


def test_an_idle_connection_stays_open(rig: Rig) -> None:
    line = rig.line()

    assert quiet(line.client, 0.3)
    assert quiet(line.server, 0.1)
