"""A small API server that answers as it is told, over HTTP or TLS, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from chaos_runner.clients.kubernetes import connection
from chaos_runner.clients.kubernetes.kubeconfig import Chosen, ServerEntry
from chaos_runner.clients.kubernetes.users import User

UID = "11111111-2222-4333-8444-555555555555"


class Asked(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    headers: Any
    body: bytes
    port: int  # the client's: tells connections apart
    certificate: dict[str, Any] | None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Said(NamedTuple):
    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = MappingProxyType({})
    pieces: Iterator[bytes] | None = None  # sent as chunks, each as soon as it is there


Act = Callable[[Asked], Said]


class Api:
    """Runs until it is closed; `act` may be exchanged at any time."""

    def __init__(self, act: Act, context: ssl.SSLContext | None = None) -> None:
        self.act = act
        self.asked: list[Asked] = []
        self.over = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_port
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def _handler(api) -> type[http.server.BaseHTTPRequestHandler]:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def handle_any(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                peer = getattr(self.connection, "getpeercert", lambda: None)()
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                asked = Asked(self.command, parts.path, query, self.headers, body, self.client_address[1], peer)
                api.asked.append(asked)
                self.answer(api.act(asked))

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def answer(self, said: Said) -> None:
                raw = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
                self.send_response(said.status)
                for name, value in {"Content-Type": "application/json", **said.headers}.items():
                    self.send_header(name, value)
                if said.pieces is None:
                    self.send_header("Content-Length", str(len(raw)))
                    self.end_headers()
                    self.wfile.write(raw)
                    return
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for piece in said.pieces:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_: object) -> None: ...

        return Handler

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@contextlib.contextmanager
def serving(act: Act | Said, context: ssl.SSLContext | None = None) -> Iterator[Api]:
    api = Api(act if callable(act) else lambda _: act, context)
    try:
        yield api
    finally:
        api.close()


def chosen(url: str, user: User | None = None, **server: Any) -> Chosen:
    """What a kubeconfig would come to."""
    who = user or User()
    return Chosen("test", ServerEntry(server=url, **server), who, who.impersonation)


@contextlib.asynccontextmanager
async def client(url: str, user: User | None = None, **server: Any) -> Any:
    """A cluster at this address."""
    plugins = server.pop("plugins", ())
    async with connection.connect(chosen(url, user, **server), plugins) as cluster:
        yield cluster


def status(code: int, reason: str = "", message: str = "no", **details: Any) -> Said:
    """The server's own no."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return Said(code, body | {"message": message, "reason": reason, "code": code, "details": details})


def pod(name: str, uid: str = "", namespace: str = "shop", **metadata: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace, "uid": uid or f"uid-{name}", "resourceVersion": "7", **metadata}
    return {"metadata": meta, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}}


def namespace(name: str = "kube-system", uid: str = UID) -> Said:
    return Said(200, {"kind": "Namespace", "metadata": {"name": name, "uid": uid}, "status": {"phase": "Active"}})
