"""A Toxiproxy in memory, real or embedded (then it knows leases), without sockets: a request in, an answer out.

`live` is what of ours does harm now; `on_change` is called after every request that may have changed something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

MARK = re.compile(r"cx\.[a-z0-9-]{1,63}\.\d+\.\d+")
PORT = "127.0.0.1:sim"  # no number: nobody may try to connect
Answer = tuple[int, Any]
Toxic = dict[str, Any]


def ours(name: str) -> bool:
    return name.startswith("cx.")


def is_harm(toxic: Toxic) -> bool:
    """A toxic of ours that does something: neither a fence nor a marker."""
    return ours(toxic["name"]) and toxic["type"] != "noop"


class Proxy:
    def __init__(self, name: str, upstream: str, enabled: bool = True, listen: str = PORT) -> None:
        self.name, self.upstream, self.enabled, self.listen = name, upstream, enabled, listen
        self.toxics: dict[str, Toxic] = {}
        self.downed = False  # by a request that was ours

    def shown(self) -> dict[str, Any]:
        fields = {"name": self.name, "listen": self.listen, "upstream": self.upstream, "enabled": self.enabled}
        return fields | {"toxics": list(self.toxics.values())}


class Server:
    """The proxies, their toxics and the leases. Time is the caller's."""

    def __init__(self, names: tuple[str, ...], *, embedded: bool, now: Callable[[], float]) -> None:
        self.proxies = {name: Proxy(name, f"up-{name}:1") for name in names}
        self.embedded = embedded
        self.leases: dict[str, tuple[float, dict[str, bool]]] = {}
        self.now = now
        self.on_change: Callable[[], None] = lambda: None
        self.lapsed: set[str] = set()  # runs whose lease, and with it every fence, was lost once
        self.refused_late = 0

    def live(self) -> Iterator[tuple[str, str]]:
        """(proxy, mark) of every harm of ours; a proxy that we disabled has no mark of its own."""
        for proxy in self.proxies.values():
            if ours(proxy.name):
                continue
            for toxic in proxy.toxics.values():
                if is_harm(toxic):
                    yield proxy.name, toxic["name"]
            if proxy.downed and not proxy.enabled:
                yield proxy.name, "disabled"

    def litter(self) -> list[str]:
        """Everything of ours, harm or not."""
        found = [proxy.name for proxy in self.proxies.values() if ours(proxy.name)]
        for proxy in self.proxies.values():
            found += [f"{proxy.name}/{name}" for name in proxy.toxics if ours(name)]
            if not proxy.enabled and proxy.downed:
                found.append(f"{proxy.name} is disabled")
        return found

    def foreign(self) -> dict[str, Any]:
        """Everything that is not ours."""
        return {
            name: (
                proxy.upstream,
                proxy.enabled,
                sorted(json.dumps(t, sort_keys=True) for t in proxy.toxics.values() if not ours(t["name"])),
            )
            for name, proxy in sorted(self.proxies.items())
            if not ours(name)
        }

    def restart(self) -> None:
        """It comes back with its configuration: no toxics, all enabled."""
        self.proxies = {name: Proxy(name, one.upstream) for name, one in self.proxies.items() if not ours(name)}
        self.leases.clear()
        self.on_change()

    def settle(self) -> None:
        """Lapses what nobody renewed."""
        due = [run for run, (end, _back) in self.leases.items() if end <= self.now()]
        for run in due:
            _end, back = self.leases.pop(run)
            self._drop(run)
            self.lapsed.add(run)
            held = {name for _t, restore in self.leases.values() for name in restore}
            for name, enabled in back.items():
                if name in self.proxies and name not in held:
                    self.proxies[name].enabled = enabled
        if due:
            self.on_change()

    def _drop(self, run: str) -> None:
        for proxy in self.proxies.values():
            proxy.toxics = {n: t for n, t in proxy.toxics.items() if not n.startswith(f"cx.{run}.")}

    def handle(self, method: str, path: str, body: dict[str, Any] | None) -> Answer:
        """One request, whole."""
        self.settle()
        path, _, query = path.partition("?")
        parts = path.strip("/").split("/")
        if parts[0] == "chaos-runner":
            answer = self._own(method, parts[2:], body or {})
        else:
            answer = self._proxies(method, parts, body or {}, query)
        if method != "GET":
            self.on_change()
        return answer

    def _own(self, method: str, parts: list[str], body: dict[str, Any]) -> Answer:
        if not self.embedded:
            return 404, None
        match method, parts:
            case "GET", []:
                return 200, {"version": 1, "capabilities": ["leases", "counters"]}
            case "GET", ["counters"]:
                return 200, {"proxies": {name: self._counted(one) for name, one in self.proxies.items()}}
            case "PUT", ["leases", run]:
                back = {name: value["enabled"] for name, value in body.get("restore", {}).items()}
                _end, known = self.leases.get(run, (0.0, {}))
                self.leases[run] = (self.now() + body["ttl"], known | back)
                return 200, {}
            case "DELETE", ["leases", run]:
                if self.leases.pop(run, None) is None:
                    return _no("lease not found", 404)
                self._drop(run)
                return 204, None
            case _:
                return 404, None

    def _counted(self, proxy: Proxy) -> dict[str, Any]:
        seen = int(self.now() * 10)
        toxics = {
            name: {"streams": seen, "affected": max(1, seen), "bytes": seen} for name in proxy.toxics if ours(name)
        }
        return {"connections": 5, "open": 1, "toxics": toxics}

    def _proxies(self, method: str, parts: list[str], body: dict[str, Any], query: str) -> Answer:
        if parts == ["proxies"]:
            return self._all(method, body)
        proxy = self.proxies.get(parts[1])
        if proxy is None:
            return _no("proxy not found", 404)
        match method, parts[2:]:
            case "GET", []:
                return 200, proxy.shown()
            case "DELETE", []:
                del self.proxies[proxy.name]
                return 204, None
            case "PATCH" | "POST", []:
                return self._patch(proxy, body, query)
            case "POST", ["toxics"]:
                return self._add(proxy, body)
            case "GET", ["toxics", name]:
                return (200, proxy.toxics[name]) if name in proxy.toxics else _no("toxic not found", 404)
            case "DELETE", ["toxics", name]:
                return (204, None) if proxy.toxics.pop(name, None) else _no("toxic not found", 404)
            case _:
                return 405, None

    def _all(self, method: str, body: dict[str, Any]) -> Answer:
        if method == "GET":
            return 200, {name: proxy.shown() for name, proxy in sorted(self.proxies.items())}
        if body["name"] in self.proxies:
            return _no("proxy already exists", 409)
        made = Proxy(body["name"], body["upstream"], body["enabled"], body["listen"])
        made.downed = not made.enabled
        self.proxies[made.name] = made
        return 201, made.shown()

    def _patch(self, proxy: Proxy, body: dict[str, Any], query: str) -> Answer:
        run = query.removeprefix("lease=") if query.startswith("lease=") else ""
        if self.embedded and run and run not in self.leases:
            self.refused_late += 1
            return _no(f"no live lease for run {run}", 409)
        proxy.enabled = body["enabled"]
        proxy.downed = not proxy.enabled
        return 200, proxy.shown()

    def _add(self, proxy: Proxy, body: dict[str, Any]) -> Answer:
        name = body["name"]
        if name in proxy.toxics:
            self.refused_late += 1
            return _no("toxic already exists", 409)
        if self.embedded and MARK.fullmatch(name) and name.split(".")[1] not in self.leases:
            self.refused_late += 1
            self.lapsed.add(name.split(".")[1])
            return _no(f"no live lease for run {name.split('.')[1]}", 409)
        proxy.toxics[name] = {"attributes": {}, **body}
        return 200, proxy.toxics[name]


def _no(why: str, status: int) -> Answer:
    return status, {"error": why, "status": status}
