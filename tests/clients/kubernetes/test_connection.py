"""The connection to an API server: what is a definite no, what is doubt, what is sent again, and never twice."""

from __future__ import annotations

import socket
import time
from typing import Any

import anyio
import pytest

from chaos_runner.api import Doubt, Refused
from chaos_runner.clients.kubernetes import lists, refusals, writes
from chaos_runner.clients.kubernetes.objects import Pod
from tests.clients import hostile
from tests.clients.kubernetes.server import Asked, Said, client, pod, serving, status

pytestmark = pytest.mark.anyio
GONE = hostile.reply(404, b'{"kind":"Status","status":"Failure","message":"x","reason":"NotFound","code":404}')


async def kill(url: str, **options: Any) -> None:
    async with client(url) as cluster:
        await writes.delete(cluster, Pod, "shop", "web", uid="u1", **options)


DOUBTS = {
    "closed without an answer": lambda _: None,
    "reset": hostile.reset,
    "garbage": b"what?\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "half a body": GONE[:-10],
    "a redirect": hostile.reply(302, b"", "text/plain", "Location: /elsewhere"),
    "a gateway's 404": hostile.reply(404, b"<h1>Not Found</h1>", "text/html"),
    "Go's own 404": hostile.reply(404, b"404 page not found\n", "text/plain"),
    "a gateway's 409": hostile.reply(409, b"conflict", "text/plain"),
    "a gateway's 410": hostile.reply(410, b"gone", "text/plain"),
    "a Status of another code": hostile.reply(404, b'{"kind":"Status","message":"x","reason":"NotFound","code":500}'),
    "a Status of 404 in an answer of 500": hostile.reply(
        500, b'{"kind":"Status","message":"x","reason":"NotFound","code":404}'
    ),
    "another kind than Status": hostile.reply(404, b'{"kind":"Pod","code":404}'),
    **{str(code): hostile.reply(code, b"no", "text/plain") for code in (408, 425, 500, 502, 503, 504)},
    "a Status of 500": hostile.reply(500, b'{"kind":"Status","message":"etcd is away","code":500}'),
    "a Status of 504": hostile.reply(504, b'{"kind":"Status","message":"x","reason":"Timeout","code":504}'),
}


@pytest.mark.parametrize("act", DOUBTS.values(), ids=DOUBTS)
async def test_whatever_is_no_clear_answer_is_doubt_after_exactly_one_request(act: bytes) -> None:
    with hostile.serving(act) as server:
        with pytest.raises(Doubt):
            await kill(server.url)
        assert len(server.requests) == 1


BUDGET = {"causes": [{"reason": "DisruptionBudget", "message": "The disruption budget web needs 3 healthy pods"}]}
NOES = {
    "forbidden": (status(403, "Forbidden"), refusals.Forbidden),
    "not found": (status(404, "NotFound", kind="pods", name="web"), refusals.NotFound),
    "no such kind": (status(404, "NotFound", "the server could not find the requested resource"), refusals.NoSuchKind),
    "conflict": (status(409, "Conflict"), refusals.Conflict),
    "taken": (status(409, "AlreadyExists"), refusals.AlreadyExists),
    "expired": (status(410, "Expired"), refusals.Expired),
    "bad request": (status(400, "BadRequest"), refusals.Invalid),
    "invalid": (status(422, "Invalid", "bad", causes=[{"field": "spec.replicas"}]), refusals.Invalid),
    "another uid, as nodes say it": (
        status(422, "Invalid", "no", causes=[{"field": "metadata.uid", "message": "field is immutable"}]),
        refusals.Conflict,
    ),
    "a patch that does not apply": (
        status(422, "Invalid", "the server rejected our request due to an error in our request"),
        refusals.Unmatched,
    ),
    "budget": (status(429, "TooManyRequests", "Cannot evict pod", **BUDGET), refusals.Budget),
    "two budgets": (
        status(
            500, "", "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        ),
        refusals.TwoBudgets,
    ),
    "unauthorized": (status(401, "Unauthorized"), refusals.Unauthorized),
    "a gateway's 403": (Said(403, b"<h1>no</h1>"), Refused),
}


@pytest.mark.parametrize(("said", "type_"), NOES.values(), ids=NOES)
async def test_the_server_s_own_no_is_definite_and_has_a_type(said: Said, type_: type[Exception]) -> None:
    with serving(said) as api:
        with pytest.raises(type_, match=r"^DELETE /api/v1/namespaces/shop/pods/web: ") as caught:
            await kill(api.url)
        assert type(caught.value) is type_
        assert len(api.asked) == 1


async def test_a_budget_s_no_says_which_budget_and_when_to_ask_again() -> None:
    said = status(429, "TooManyRequests", "Cannot evict pod.", **BUDGET, retryAfterSeconds=10)
    with serving(said._replace(headers={"Retry-After": "10"})) as api:
        async with client(api.url) as cluster:
            with pytest.raises(refusals.Budget, match="disruption budget web needs 3") as caught:
                await writes.evict(cluster, "shop", "web", uid="u1")
        assert caught.value.retry_after_s == 10
        assert len(api.asked) == 1


TOO_MANY = Said(
    429, b"Too many requests, please try again later.\n", {"Content-Type": "text/plain", "Retry-After": "1"}
)


async def test_an_overloaded_server_is_asked_again_until_it_answers() -> None:
    def act(_: Asked) -> Said:
        return TOO_MANY._replace(headers={"Retry-After": "0"}) if len(api.asked) < 3 else Said(200, pod("web"))

    with serving(act) as api:
        await kill(api.url)
        assert len(api.asked) == 3


async def test_an_overloaded_server_is_given_up_within_the_limit() -> None:
    with serving(TOO_MANY) as api:
        began = time.monotonic()
        with pytest.raises(refusals.Overload):
            await kill(api.url, limit_s=1.5)
        assert time.monotonic() - began < 4
        assert len(api.asked) == 2


async def test_a_wait_longer_than_the_limit_is_not_begun() -> None:
    with serving(TOO_MANY._replace(headers={"Retry-After": "3600"})) as api:
        began = time.monotonic()
        with pytest.raises(refusals.Overload):
            await kill(api.url, limit_s=2)
        assert time.monotonic() - began < 1.5


async def test_a_closed_port_is_a_definite_no() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(refusals.Unreachable, match="not sent"):
        await kill(f"http://127.0.0.1:{port}")


async def test_a_server_that_is_silent_is_hung_within_its_limit() -> None:
    with hostile.serving(lambda _: server.wait()) as server:
        began = time.monotonic()
        with pytest.raises(refusals.Hung):
            await kill(server.url, limit_s=0.4)
        assert time.monotonic() - began < 3
        server.over.set()
        assert len(server.requests) == 1


async def test_an_endless_body_is_cut_off() -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while not server.over.is_set():
            connection.sendall(b"x" * 65536)

    with hostile.serving(flood) as server, pytest.raises(Doubt, match="the body is above"):
        await kill(server.url)


async def test_nothing_of_the_process_s_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Said(200, pod("web"))) as api, serving(Said(200, pod("web"))) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        await kill(api.url)
        assert (len(api.asked), len(proxy.asked)) == (1, 0)


async def test_a_proxy_that_the_kubeconfig_names_is_used() -> None:
    with serving(Said(200, pod("web"))) as proxy:
        async with client("http://127.0.0.1:9", proxy_url=proxy.url) as cluster:
            await lists.get(cluster, Pod, "shop", "web")
        assert proxy.asked[0].headers["Host"] == "127.0.0.1:9"


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({"url": "127.0.0.1:6443"}, "no address such as https://"),
        ({"url": "ftp://127.0.0.1"}, "no address such as https://"),
        ({"url": "http://10.0.0.1:8080"}, "not encrypted"),
        (
            {"url": "https://127.0.0.1", "proxy_url": "socks5://user:sesame@127.0.0.1"},
            "neither http:// nor https://",
        ),
    ],
)
async def test_a_server_that_cannot_be_used_is_refused_before_anything_is_sent(
    server: dict[str, str], words: str
) -> None:
    with pytest.raises(Refused, match=words) as caught:
        async with client(**server):
            pass
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a/b", ".", "..", "UPPER", "a b", "a%2fb", "x" * 254, "-a", "a\n"])
async def test_a_name_that_no_object_has_is_never_put_into_a_path(name: str) -> None:
    """`DELETE .../pods/` with an empty name would delete every pod of the namespace."""
    with serving(Said(200, pod("web"))) as api:
        async with client(api.url) as cluster:
            with pytest.raises(Refused, match="is no name"):
                await writes.delete(cluster, Pod, "shop", name, uid="u1")
            with pytest.raises(Refused, match="is no namespace"):
                await lists.every(cluster, Pod, name)
        assert not api.asked


async def test_every_request_but_a_page_has_a_connection_of_its_own() -> None:
    def act(asked: Asked) -> Said:
        if asked.path.endswith("/web"):
            return Said(200, pod("web"))
        more = {"continue": "more"} if len(api.asked) < 6 else {}
        return Said(200, {"metadata": {"resourceVersion": "5", **more}, "items": [pod("a")]})

    with serving(act) as api:
        async with client(api.url) as cluster:
            for _ in range(3):
                await lists.get(cluster, Pod, "shop", "web")
            await lists.every(cluster, Pod, "shop")
        ports = [asked.port for asked in api.asked]
        assert len(set(ports[:3])) == 3
        assert len(set(ports[3:])) == 1


async def test_cancelling_a_call_ends_it_at_once() -> None:
    with hostile.serving(lambda _: server.wait()) as server:
        began = time.monotonic()
        with anyio.move_on_after(0.2):
            await kill(server.url)
        assert time.monotonic() - began < 3
        server.over.set()
