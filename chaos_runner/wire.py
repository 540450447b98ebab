"""What the runner says to its own processes: newline JSON of tagged structs, capped and versioned.

No IO of its own: bytes in, messages out. The embedded proxy, the load worker and the guardian share nothing else
of the package's types through their pipes.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

VERSION = 1
LINE_BYTES_MAX = 1 << 20


class WireError(ValueError):
    """The other side sent something that is not a message; the line is cut to 200 characters."""


class Message(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """One line on the wire; the tag is the class name."""


# --- runner <-> guardian ---------------------------------------------------------------------------------------


class Hello(Message, frozen=True):
    """The run to guard. Secrets travel here and nowhere else: never argv, never disk."""

    run: str
    epoch: int
    ttl_s: float
    t0: float  # CLOCK_MONOTONIC of the run's start
    environment: str
    connections: dict[str, Any]
    secrets: dict[str, str]
    kinds: tuple[str, ...]
    state_dir: str
    patience_s: float = 60.0  # an undo that fails for so long is stuck: people are told, and the run is ended
    forsaken_s: float = 86_400.0  # a stuck fault is left alone once its ledger has been unreadable for so long
    version: int = VERSION


class Ready(Message, frozen=True):
    """The guardian has imported everything and read every endpoint once; `reads` names them."""

    reads: tuple[str, ...]
    pid: int


class NotReady(Message, frozen=True):
    """The guardian cannot guard this run, and says why."""

    why: str


class Beat(Message, frozen=True):
    """The control loop is alive; sent by the tick that judged."""

    tick: int


class Heard(Message, frozen=True):
    """The guardian has read the beat of this tick; one that is frozen says nothing."""

    tick: int


class Arm(Message, frozen=True):
    """Be ready to undo this fault: the whole ledger row."""

    row: dict[str, Any]


class Armed(Message, frozen=True):
    """The guardian holds the row in memory."""

    id: str


class Disarm(Message, frozen=True):
    """The fault is closed."""

    id: str


class Bye(Message, frozen=True):
    """The run is over: go when nothing is left. The faults in `watched` are fenced, and only their watch is left."""

    watched: tuple[str, ...] = ()


GuardianInbox = Hello | Beat | Arm | Disarm | Bye
GuardianOutbox = Ready | NotReady | Heard | Armed

# --- runner <-> load worker ------------------------------------------------------------------------------------


class Success(msgspec.Struct, frozen=True):
    """When a reply counts as a success: its status, and what its body must carry."""

    statuses: tuple[tuple[int, int], ...] = ((200, 399),)  # inclusive ranges
    contains: str = ""
    json: dict[str, Any] = {}  # dotted path -> value it must equal


class LoadClause(msgspec.Struct, frozen=True):
    """One event clause: `success`, or `slower` than `limit_s`.

    A request without a complete reply is bad for both; a complete reply with a wrong status is bad for `success` only.
    """

    metric: Literal["success", "slower"]
    limit_s: float = 0.0


class LoadPlan(msgspec.Struct, frozen=True):
    """An open-loop load: requests leave at their intended times whatever the answers do."""

    check: str
    host: str
    port: int
    rate: float  # requests per second
    timeout_s: float
    clauses: tuple[LoadClause, ...]
    method: str = "GET"
    path: str = "/"
    headers: dict[str, str] = {}
    body: str = ""
    tls: bool = False
    success: Success = Success()
    tick_s: float = 1.0
    connections_max: int = 512


class Up(Message, frozen=True):
    """The worker has imported everything and waits for its Load."""

    pid: int
    loop: str  # asyncio or uvloop
    version: int = VERSION


class Load(Message, frozen=True):
    """Start now, once: the first request is due at `t0_ns` of CLOCK_MONOTONIC, request k at t0 + k / rate."""

    plan: LoadPlan
    t0_ns: int
    version: int = VERSION


class Stop(Message, frozen=True):
    """Send no further request, report what is known, end."""


class Exemplar(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request worth showing: the first bad ones of a tick.

    `error` is a class of `Tick.errors`, `body` when the body lacks what it must carry, or empty: then the status or
    the latency says what was wrong.
    """

    at_s: float  # intended send time, seconds since t0
    latency_s: float
    status: int = 0
    error: str = ""


class Tick(Message, frozen=True):
    """What is final about the requests scheduled in tick `n`; never sent before the tick is over.

    A tick comes in one message, or in as many as it takes: `clauses` are the indices (plan's order) that became final
    with this one, each exactly once and in the order of `n`, and `counts` their (good, bad, unknown), which add up to
    `scheduled`. `p95 <= 1s` is thus final a second after the tick, `success` after `timeout_s`. The `last` message
    also carries what is known only when every request is over: `histogram` of complete replies (bucket, count) with
    bucket = floor(log(latency_s / 1e-6) / log(1.02)), `exemplars`, `errors` (requests without a complete reply, by
    class), and `stall_s`, the longest stall of the worker itself that the tick saw.
    """

    check: str
    n: int
    scheduled: int
    clauses: tuple[int, ...] = ()
    counts: tuple[tuple[int, int, int], ...] = ()
    last: bool = False
    histogram: tuple[tuple[int, int], ...] = ()
    exemplars: tuple[Exemplar, ...] = ()
    errors: dict[str, int] = {}
    stall_s: float = 0.0


WorkerInbox = Load | Beat | Stop
WorkerOutbox = Up | Tick

_encoder = msgspec.json.Encoder()


def encode(message: Message) -> bytes:
    """One line, newline included. Raises WireError above 1 MiB: nothing may fill the other side's memory."""
    line = _encoder.encode(message)
    if len(line) >= LINE_BYTES_MAX:
        msg = f"a message of {len(line)} bytes is above the limit of {LINE_BYTES_MAX}"
        raise WireError(msg)
    return line + b"\n"


class Lines:
    """Cuts a byte stream into messages of the given types; holds at most one unfinished line."""

    def __init__(self, types: Any) -> None:
        self._decoder = msgspec.json.Decoder(types)
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Any]:
        """The messages completed by this chunk. Raises WireError for a bad or an endless line."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            msg = f"a line above {LINE_BYTES_MAX} bytes"
            raise WireError(msg)
        return [self._decode(line) for line in lines if line]

    def _decode(self, line: bytes) -> Any:
        try:
            return self._decoder.decode(line)
        except msgspec.DecodeError as why:
            msg = f"not a message ({why}): {line[:200]!r}"
            raise WireError(msg) from None
