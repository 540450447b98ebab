"""A token that HTTP cannot carry is a sentence without the token in it; so is a port that no machine has."""

from __future__ import annotations

import pytest

from chaos_runner.clients import toxics, toxiproxy
from tests.clients.hostile import reply, serving

pytestmark = pytest.mark.anyio
SENTINEL = "s3ntinel"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("token", [f"{SENTINEL}\n", f"{SENTINEL}\r\nX: y", f"{SENTINEL}\0", f"{SENTINEL}ü"])
async def test_a_token_that_cannot_be_sent_is_never_shown(token: str) -> None:
    with serving(reply(200, b"{}")) as server:
        with pytest.raises(toxics.Unreachable, match="a token is one line of ASCII") as why:
            async with toxiproxy.connect(server.url, token) as client:
                await client.proxies()
        assert SENTINEL not in str(why.value)
        assert not server.requests


async def test_a_port_that_does_not_exist_is_a_sentence() -> None:
    with pytest.raises(toxics.Unreachable, match="there is no port 99999"):
        async with toxiproxy.connect("http://127.0.0.1:99999") as client:
            await client.proxies()
