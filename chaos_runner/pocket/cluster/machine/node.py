"""A node: `python -m chaos_runner.pocket.cluster.machine.node`. Its children are its pods; it ends with its stdin.

It is told what to run through stdin and says what happens through stdout. Nothing outlives it: the kernel kills its
pods when it dies, and it dies with the control plane.
"""

from __future__ import annotations

import asyncio
import os
import sys

from chaos_runner import wire
from chaos_runner.pocket import lifeline
from chaos_runner.pocket.cluster.machine.messages import Beat, Halt, NodeInbox, Run
from chaos_runner.pocket.cluster.machine.pod import Pod

BEAT_EVERY_S = 1.0
LOG_BYTES_MAX = 4 << 20
END_WITHIN_S = 2.0


class Node(asyncio.Protocol):
    """The pods of one node, and the pipe that says what to do with them."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self._lines = wire.Lines(NodeInbox)
        self._pods: dict[str, Pod] = {}
        self._logs: dict[str, str] = {}
        # One pipe for all pods: its far end is held here alone, so they read EOF when this process is gone.
        self._stdin, self._lifeline = os.pipe()

    def data_received(self, data: bytes) -> None:
        """Does what it is told."""
        for message in self._lines.feed(data):
            if isinstance(message, Run):
                self._start(message)
            elif isinstance(message, Halt) and message.uid in self._pods:
                self._pods[message.uid].halt(message.grace_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is left to say what to run."""
        self.ended.set()

    def _start(self, run: Run) -> None:
        if run.uid not in self._pods:
            self._pods[run.uid] = Pod(run, self._stdin, say)
            self._logs[run.uid] = run.log

    async def beat(self) -> None:
        """Says that it lives, forgets pods that are gone and keeps logs short, until cancelled."""
        while True:
            say(Beat())
            for uid in [uid for uid, pod in self._pods.items() if pod.done()]:
                del self._pods[uid], self._logs[uid]
            for path in self._logs.values():
                _keep_short(path)
            await asyncio.sleep(BEAT_EVERY_S)

    async def end(self) -> None:
        """Ends all pods."""
        os.close(self._lifeline)
        pods = tuple(self._pods.values())
        for pod in pods:
            pod.halt(END_WITHIN_S)
        await asyncio.gather(*(pod.gone() for pod in pods))


def say(message: wire.Message) -> None:
    """One line on stdout; when nobody reads any more, the end of stdin is near."""
    try:
        sys.stdout.buffer.write(wire.encode(message))
        sys.stdout.buffer.flush()
    except OSError:
        return


def _keep_short(path: str) -> None:
    try:
        if os.stat(path).st_size > LOG_BYTES_MAX:  # noqa: PTH116 - who appends does not notice
            os.truncate(path, 0)
    except OSError:
        return


async def serve() -> None:
    """Runs pods until stdin ends or a signal comes."""
    asked = await lifeline.end_asked(until_eof=False)
    node = Node()
    await asyncio.get_running_loop().connect_read_pipe(lambda: node, sys.stdin)
    beating = asyncio.create_task(node.beat())
    waiting = [asyncio.create_task(event.wait()) for event in (asked, node.ended)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in (*waiting, beating):
        task.cancel()
    await node.end()


if __name__ == "__main__":
    asyncio.run(serve())
