"""A client that others wrote (toxiproxy-python) sees no difference."""

from __future__ import annotations

from typing import Any

import pytest

from tests.proxy.toxi import LOOP, Rig, can_connect, read, takes

toxiproxy = pytest.importorskip("toxiproxy")


@pytest.fixture
def client(rig: Rig) -> Any:
    client = toxiproxy.Toxiproxy()
    client.update_api_consumer(LOOP, rig.api.port)
    return client


def test_a_foreign_client_makes_and_unmakes_proxies_and_toxics(rig: Rig, client: Any) -> None:
    assert client.running()
    made = client.create(name="theirs", upstream=rig.upstream, listen=f"{LOOP}:0")
    assert set(client.proxies()) == {"p", "theirs"}
    made.add_toxic(type="latency", attributes={"latency": 100})
    assert list(made.toxics()) == ["latency_downstream"]
    made.destroy_toxic("latency_downstream")
    assert made.toxics() == {}
    assert client.destroy(made) is True
    assert set(client.proxies()) == {"p"}


def test_a_foreign_client_takes_a_proxy_down_and_resets(rig: Rig, client: Any) -> None:
    proxy = client.get_proxy("p")
    with proxy.down():
        assert not can_connect(rig.port)
    assert can_connect(rig.port)
    rig.listener.accept()[0].close()
    proxy.add_toxic(type="latency", attributes={"latency": 30_000})
    client.reset()
    line = rig.line()
    line.server.sendall(b"x")
    with takes(0):
        assert read(line.client, 1) == b"x"


def test_a_foreign_client_gets_the_errors_it_knows(rig: Rig, client: Any) -> None:
    from toxiproxy.exceptions import InvalidToxic, ProxyExists

    with pytest.raises(ProxyExists):
        client.create(name="p", upstream=rig.upstream, listen=f"{LOOP}:0")
    with pytest.raises(InvalidToxic):
        client.get_proxy("p").add_toxic(type="nonsense")
