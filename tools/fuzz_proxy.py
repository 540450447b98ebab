"""Throws bytes at the embedded proxy, at its API and through its proxies, and says whether it held.

    python tools/fuzz_proxy.py --count 50000 --seed 1

The promise: no crash, no hang, no traceback, whatever arrives. The same seed gives the same inputs. It runs in a
network of its own (`unshare -rn`), because a broken request may well ask to listen or to dial anywhere.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.proxy import toxi
from tests.proxy.parity.alone import loopback_up

ALONE = "CHAOS_RUNNER_FUZZ_ALONE"
NOT_RUN = 3
THREADS = 32
BATCH = 250
ANSWER_S_MAX = 3.0
END_S_MAX = 30.0
LINGER = struct.pack("ii", 1, 0)
NAMES = ("p", "q", "a%20b", "", "%", "cx.r.0", "\u2603", "x" * 300)
NUMBERS = (0, 1, -1, 1.5, 1e400, 5, 100, 1 << 31, 1 << 62, 1 << 63, -(1 << 63), 1 << 70)
ODD: tuple[object, ...] = (
    None,
    True,
    "",
    "x",
    [],
    {},
    [[]],
    {"a": {}},
    "\x00",
    "\ud800",
    "127.0.0.1:0",
    "a:b:c",
    *NUMBERS,
)
KINDS = ("latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data", "noop",
         "http_error", "http_delay", "http_truncate", "http_malformed", "nonsense")  # fmt: skip
FIELDS = ("latency", "jitter", "rate", "delay", "timeout", "average_size", "size_variation", "bytes", "status", "body",
          "headers", "share", "match", "exclude", "when", "max_affected", "abort", "percentage")  # fmt: skip
ROUTES = ("/version", "/proxies", "/proxies/{}", "/proxies/{}/toxics", "/proxies/{}/toxics/{}", "/populate", "/reset",
          "/metrics", "/chaos-runner/v1", "/chaos-runner/v1/counters", "/chaos-runner/v1/leases/{}", "/{}",
          "//{}")  # fmt: skip
METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "get", "")
CHAINS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("latency", {"latency": 1, "jitter": 1}), ("bandwidth", {"rate": 100}),
    ("slicer", {"average_size": 3, "delay": 10}),
    ("limit_data", {"bytes": 300}), ("timeout", {"timeout": 20}), ("reset_peer", {"timeout": 1}),
    ("slow_close", {"delay": 5}), ("http_error", {"share": 0.5}), ("http_error", {"when": "after"}),
    ("http_delay", {"delay": 2}), ("http_truncate", {"bytes": 5}), ("http_malformed", {"share": 0.5}),
)  # fmt: skip


def mangled(dice: random.Random, data: bytes) -> bytes:
    """The same bytes with a few accidents."""
    raw = bytearray(data)
    for _ in range(dice.choice((0, 1, 1, 2, 5, 20))):
        at = dice.randrange(len(raw) + 1)
        match dice.randrange(5):
            case 0:
                raw[at:at] = dice.randbytes(dice.choice((1, 1, 4, 50)))
            case 1:
                del raw[at : at + dice.choice((1, 2, 30))]
            case 2:
                raw[at : at + 1] = dice.choice((b"\r\n", b"\n", b"\x00", b" ", b":", b'"', b"{", b"[", b"\xff", b"0"))
            case 3:
                raw[at:at] = raw[at // 2 : at][:2000]
            case _:
                del raw[at:]
    return bytes(raw)


def odd(dice: random.Random, depth: int = 0) -> object:
    """A value as it might be in a body."""
    if depth < 3 and dice.random() < 0.4:
        keys = (
            "name",
            "listen",
            "upstream",
            "enabled",
            "type",
            "stream",
            "toxicity",
            "attributes",
            "ttl",
            "restore",
            *FIELDS,
        )
        return {dice.choice(keys): odd(dice, depth + 1) for _ in range(dice.randrange(6))}
    return dice.choice(ODD)


def body(dice: random.Random) -> bytes:
    proxy = {"name": dice.choice(NAMES), "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"}
    toxic = {"name": dice.choice(NAMES), "type": dice.choice(KINDS), "attributes": odd(dice)}
    value = dice.choice((proxy, [proxy, proxy], toxic, odd(dice), {**proxy, "listen": dice.choice(ODD)}))
    return mangled(dice, json.dumps(value).encode()) if dice.random() < 0.5 else json.dumps(value).encode()


def request(dice: random.Random) -> bytes:
    """A request that is right, or nearly, or not at all."""
    path = dice.choice(ROUTES).format(*(dice.choice(NAMES).encode("ascii", "ignore").decode() for _ in range(2)))
    content = body(dice)
    head = f"{dice.choice(METHODS)} {path} HTTP/1.{dice.choice('110')}\r\nHost: x\r\n".encode()
    extra = dice.choice((b"", b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Upgrade: websocket\r\n"))
    match dice.randrange(4):
        case 0:
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (content[:7], content[7:]) if part)
            return head + extra + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        case 1:
            return head + extra + b"\r\n"
        case _:
            length = len(content) + dice.choice((0, 0, 0, 0, 5, -1))
            return head + extra + b"Content-Length: %d\r\n\r\n" % length + content


def response(dice: random.Random) -> bytes:
    content = dice.randbytes(dice.choice((0, 10, 3000)))
    status = dice.choice((200, 204, 304, 100, 101, 503, 999))
    length = dice.choice((b"Content-Length: %d\r\n" % len(content), b"", b"Transfer-Encoding: chunked\r\n"))
    return b"HTTP/1.1 %d X\r\n%s\r\n%s" % (status, length, content)


def message(dice: random.Random, make: Any) -> bytes:
    match dice.randrange(8):
        case 0:
            return dice.randbytes(dice.choice((1, 10, 1000, 70_000)))
        case 1:
            return make(dice) * dice.choice((2, 5))
        case 2 | 3 | 4:
            return mangled(dice, make(dice))
        case _:
            return make(dice)


class Upstream:
    """Answers what a service would, or anything else."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.listener = socket.create_server((toxi.LOOP, 0), backlog=1024)
        self.where = f"{toxi.LOOP}:{self.listener.getsockname()[1]}"
        for _ in range(THREADS):
            threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            near, _ = self.listener.accept()
            with near, contextlib.suppress(OSError):
                near.settimeout(0.03)
                near.recv(65536)
                if self.dice.random() < 0.8:
                    near.sendall(message(self.dice, response))
                if self.dice.random() < 0.2:
                    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)


def throw(port: int, data: bytes, dice: random.Random) -> None:
    """One input on a connection of its own, ended in one of the ways that there are."""
    with contextlib.suppress(OSError), socket.create_connection((toxi.LOOP, port), timeout=1) as sock:
        sock.settimeout(0.01)
        cut = dice.randrange(len(data) + 1) if dice.random() < 0.3 else len(data)
        sock.sendall(data[:cut])
        sock.sendall(data[cut:])
        end = dice.randrange(4)
        if end == 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            return
        if end == 1:
            sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass


def set_up(api: toxi.Api, where: str) -> list[int]:
    """One proxy for each toxic, both streams where that makes sense; their ports."""
    api.clear()
    ports = [toxi.port_of(api.make("plain", upstream=where))]
    for number, (kind, attributes) in enumerate(CHAINS):
        ports.append(toxi.port_of(api.make(f"d{number}", upstream=where)))
        for stream in ("upstream", "downstream"):
            asked = {"type": kind, "stream": stream, "attributes": attributes}
            answer = api("POST", f"/proxies/d{number}/toxics", asked)
            assert answer.status in (200, 400), answer
    return ports


def batches(count: int, seed: int) -> Iterator[tuple[int, list[tuple[bool, bytes]]]]:
    for first in range(0, count, BATCH):
        dice = random.Random(f"{seed}/{first}")
        yield first, [(dice.random() < 0.5, message(dice, request)) for _ in range(min(BATCH, count - first))]


def throw_all(api: toxi.Api, ports: list[int], inputs: list[tuple[bool, bytes]], seed: str) -> None:
    def some(part: int) -> None:
        dice = random.Random(f"{seed}/{part}")
        for at_api, data in inputs[part::THREADS]:
            throw(api.port if at_api else dice.choice(ports), data, dice)

    threads = [threading.Thread(target=some, args=(part,)) for part in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def answered_in(api: toxi.Api) -> float:
    begin = time.monotonic()
    assert api("GET", "/proxies").status == 200
    return time.monotonic() - begin


def held(api: toxi.Api, count: int, seed: int) -> list[str]:
    """Every way in which it did not hold; none is what we want."""
    upstream = Upstream(seed)
    worst = 0.0
    begin = time.monotonic()
    for first, inputs in batches(count, seed):
        throw_all(api, set_up(api, upstream.where), inputs, f"{seed}/{first}")
        if api.process.poll() is not None:
            return [f"ended with {api.process.returncode} in the inputs after {first}", api.log.read_text()[-2000:]]
        worst = max(worst, answered_in(api))
        if worst > ANSWER_S_MAX:
            return [f"answered after {worst:.1f} s after the inputs from {first}"]
    api.clear()
    took = time.monotonic() - begin
    print(f"{count} inputs in {took:.0f} s ({count / took:.0f}/s), slowest answer between them {worst * 1000:.0f} ms")
    return after(api)


def after(api: toxi.Api) -> list[str]:
    problems = []
    end = time.monotonic() + END_S_MAX
    folder = Path(f"/proc/{api.process.pid}/fd")
    while (files := sum(1 for _ in folder.iterdir())) > 40 and time.monotonic() < end:
        time.sleep(0.2)
    resident_mb = int(Path(f"/proc/{api.process.pid}/statm").read_text().split()[1]) * 4096 >> 20
    print(f"then {files} files open, {resident_mb} MB")
    if files > 40:
        problems.append(f"{files} files are still open")
    if (code := toxi.stop(api)) != 0:
        problems.append(f"ended with {code}")
    said = [
        line
        for line in api.log.read_text("utf-8", "replace").splitlines()
        if not line.startswith("chaos-runner proxy: lease")
    ]
    return problems + said[:50]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-uvloop", action="store_true")
    options = parser.parse_args(argv)
    if ALONE not in os.environ:
        unshare = shutil.which("unshare")
        if unshare is None or os.system(f"{unshare} -rn true 2>/dev/null") != 0:
            print("not run: `unshare -rn` is not allowed here, so the proxy would have the whole network")
            return NOT_RUN
        command = [unshare, "-rn", sys.executable, __file__, *argv]
        os.execve(unshare, command, os.environ | {ALONE: "1"})
    loopback_up()
    with tempfile.TemporaryDirectory() as folder:
        start = toxi.WITHOUT_UVLOOP if options.without_uvloop else toxi.MODULE
        api = toxi.start_embedded(Path(folder) / "log", "-proxy-metrics", "-runtime-metrics", start=start)
        try:
            problems = held(api, options.count, options.seed)
        finally:
            toxi.stop(api)
    print(*problems or ["it held"], sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
