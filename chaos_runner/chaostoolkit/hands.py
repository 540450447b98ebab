"""The process that runs activities: asked over a socket, one thing at a time. Whoever asks may kill it at any moment.

Everything that Chaos Toolkit and its extensions do happens in here: imports, global state, output, `sys.exit`. It
answers with plain values, whatever an activity returns or raises; what it cannot answer, its end says.
"""

from __future__ import annotations

import json
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any

from chaos_runner.chaostoolkit.frames import FRAME_MAX, FrameError, Frames, framed

OUTPUT_MAX = FRAME_MAX - (64 << 10)
SHOWN_MAX = 2000
LINES_MAX = 100

Message = dict[str, Any]


def main(fd: str) -> int:
    """Serves until the other end goes away."""
    with socket.socket(fileno=int(fd)) as line:
        line.setblocking(True)
        frames = Frames()
        while chunk := line.recv(1 << 16):
            for message in frames.feed(chunk):
                line.sendall(_framed(answer(message)))
    return 0


def answer(message: Message) -> Message:
    """What comes of one request; raises nothing, not even at `sys.exit` in an activity."""
    try:
        return {"ok": True, **_HANDLERS[message["do"]](message)}
    except BaseException as error:
        return {"ok": False, **_told(error)}


def _framed(message: Message) -> bytes:
    try:
        return framed(message)
    except FrameError as why:
        return framed({"ok": False, "error": "FrameError", "why": str(why), "exception": []})


def _told(error: BaseException) -> Message:
    """An error as values; an activity that failed says so by a kind of its own."""
    lines = traceback.format_exception(type(error), error, None)
    return {
        "error": type(error).__name__,
        "why": str(error)[:SHOWN_MAX] or type(error).__name__,
        "exception": [one[:SHOWN_MAX] for one in lines[-LINES_MAX:]],
    }


def _prepare(message: Message) -> Message:
    """Takes the search path of whoever asks, and imports what will be needed: the modules that were found."""
    import importlib

    for path in reversed(message.get("path", [])):
        if path not in sys.path:
            sys.path.insert(0, path)
    import chaoslib.activity  # noqa: F401 -- warm

    missing = {}
    for name in message.get("modules", []):
        try:
            importlib.import_module(name)
        except BaseException as error:
            missing[name] = f"{type(error).__name__}: {error}"[:SHOWN_MAX]
    return {"missing": missing}


def _activity(message: Message) -> Message:
    """Runs an activity and gives its output back."""
    from chaoslib.activity import run_activity

    return _output(run_activity(message["activity"], message["configuration"], message["secrets"]))


def _output(value: Any) -> Message:
    """A value that can be sent, or how it looked."""
    try:
        encoded = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return {"output": None, "unlike_json": repr(value)[:SHOWN_MAX]}
    if len(encoded) > OUTPUT_MAX:
        return {"output": None, "too_long": len(encoded)}
    return {"output": value}


def _tolerance(message: Message) -> Message:
    """Asks Chaos Toolkit's own judge: for probes and JSON paths, which need code of its kind."""
    from chaoslib.hypothesis import within_tolerance

    met = within_tolerance(
        message["tolerance"], message["value"], configuration=message["configuration"], secrets=message["secrets"]
    )
    return {"met": bool(met)}


def _settle(message: Message) -> Message:
    """Configuration and secrets with their values, those of probes included."""
    from chaoslib.configuration import load_configuration, load_dynamic_configuration
    from chaoslib.secret import load_secrets

    variables = message.get("variables", {})
    configuration = load_configuration(message["configuration"], dict(variables.get("configuration", {})))
    secrets = load_secrets(message["secrets"], configuration, dict(variables.get("secrets", {})))
    return {"configuration": load_dynamic_configuration(configuration, secrets), "secrets": secrets}


_HANDLERS: dict[str, Callable[[Message], Message]] = {
    "prepare": _prepare,
    "activity": _activity,
    "tolerance": _tolerance,
    "settle": _settle,
}
