"""What clients of the API can also see, beside the parity suite: words of rarer refusals, and HTTP itself."""

from __future__ import annotations

import socket

import pytest

from tests.proxy.parity.kit import GOOD, refusal
from tests.proxy.toxi import LOOP, Api, to_end

JSON = "bad request body: json: cannot unmarshal"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "/proxies", [], 400, f"{JSON} array into Go value of type toxiproxy.Proxy"),
        ("POST", "/proxies", {"name": 5}, 400, f"{JSON} number into Go struct field Proxy.name of type string"),
        ("POST", "/proxies", {"name": 5.5}, 400, f"{JSON} number into Go struct field Proxy.name of type string"),
        ("PATCH", "/proxies/p", {"enabled": "yes"}, 400,
         f"{JSON} string into Go struct field Proxy.enabled of type bool"),
        ("POST", "/proxies/p/toxics", [], 400, f"{JSON} array into Go value of type toxics.ToxicWrapper"),
        ("POST", "/proxies/p/toxics", {"type": "latency", "toxicity": "x"}, 400,
         f"{JSON} string into Go struct field ToxicWrapper.toxicity of type float32"),
        ("POST", "/proxies/p/toxics", {"type": "latency", "attributes": []}, 400,
         f"{JSON} array into Go struct field ToxicWrapper.attributes of type toxics.NoopToxic"),
        ("POST", "/proxies/p/toxics", {"type": "slicer", "attributes": {"delay": 0.5}}, 400,
         f"{JSON} number 0.5 into Go struct field SlicerToxic.attributes.delay of type int"),
        ("POST", "/proxies/p", {"listen": "bad"}, 500, "address bad: missing port in address"),
        ("POST", "/proxies/p", {"listen": "127.1:0"}, 500, "lookup 127.1: no such host"),
    ],
)  # fmt: skip
def test_a_refusal_has_the_words_that_clients_compare(
    api: Api, method: str, path: str, body: object, status: int, error: str
) -> None:
    before = api.make()

    assert refusal(api, method, path, body) == (status, error)
    assert api("GET", "/proxies").json == {"p": before}


@pytest.mark.parametrize(
    ("listen", "error"),
    [
        ("local373", "address local373: missing port in address"),
        (f"{LOOP}:99999", "address 99999: invalid port"),
        (f"{LOOP}:-1", "address -1: invalid port"),
        (f"{LOOP}:nonsense", "lookup tcp/nonsense: unknown port"),
        ("[::1", "address [::1: missing ']' in address"),
        ("[::1]x:0", "address [::1]x:0: missing port in address"),
        ("::1:0", "address ::1:0: too many colons in address"),
    ],
)
def test_a_listen_address_is_read_as_go_reads_it(api: Api, listen: str, error: str) -> None:
    assert refusal(api, "POST", "/proxies", GOOD | {"listen": listen}) == (500, f"listen tcp: {error}")


@pytest.mark.parametrize(
    ("target", "to"),
    [
        ("//proxies", "/proxies"),
        ("/proxies//p?x=1", "/proxies/p?x=1"),
        ("/proxies/./a%20b", "/proxies/a%20b"),
        ("/proxies/%2e%2e/version", "/version"),
        ("/..//proxies/", "/proxies/"),
    ],
)
def test_a_path_that_is_not_plain_is_redirected(api: Api, target: str, to: str) -> None:
    for method in ("GET", "POST"):
        answer = api(method, target)
        assert (answer.status, answer.headers["Location"], answer.raw) == (301, to, b"")


@pytest.mark.parametrize(
    ("sent", "starts", "ends"),
    [
        (b"GET http://any/version HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b'"}\n'),
        (b"GET /version HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\n", b'"}\n'),
        (b"GET /version HTTP/1.1\nHost: x\nConnection: x, Close\n\n", b"HTTP/1.1 200 OK\r\n", b'"}\n'),
        (b"HEAD /nope HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 404 Not Found\r\n", b"\r\n\r\n"),
        (b"GET /version HTTP/2.0\r\nHost: x\r\n\r\n", b"HTTP/1.1 505 ", b""),
        (b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n", b""),
        (b"POST /reset HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", b"HTTP/1.1 501 ", b""),
        (b"POST /reset HTTP/1.1\r\nHost: x\r\nExpect: cake\r\n\r\n", b"HTTP/1.1 417 ", b""),
    ],
)  # fmt: skip
def test_http_is_spoken_as_the_real_server_speaks_it(api: Api, sent: bytes, starts: bytes, ends: bytes) -> None:
    with socket.create_connection((LOOP, api.port), timeout=5) as client:
        client.sendall(sent)
        got = client.recv(1)  # the real server gives up on a client that closes before it has its answer
        client.shutdown(socket.SHUT_WR)
        got += to_end(client)

    assert got.startswith(starts), got
    assert got.endswith(ends), got
    assert b"\r\nDate: " in got or b" 200 " not in got
