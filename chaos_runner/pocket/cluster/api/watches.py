"""Watches: changes as they come, from any version that is not forgotten."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator

from chaos_runner.pocket.cluster import refusal, selectors
from chaos_runner.pocket.cluster.api import answers, lists, views
from chaos_runner.pocket.cluster.api.answers import Query
from chaos_runner.pocket.cluster.api.routes import Place
from chaos_runner.pocket.cluster.objects import Obj, put
from chaos_runner.pocket.cluster.store import Change, Store

TIMEOUT_DEFAULT_S = 1800.0
BEHIND_MAX = 20_000  # changes; whoever is further behind is cut off
BOOKMARK_EVERY_S = 60.0
LAST_BOOKMARKS_S = (2.0, 1.0)  # before a timeout, if the watch is long enough to need them
SHORT_S = 5.0
FIRST_AT_ONCE = 500

Event = tuple[str, Obj]


class Watch:
    """One client that watches one place."""

    def __init__(self, store: Store, place: Place, query: Query) -> None:
        self._store = store
        self._place = place
        self._kind = place.kind
        self._match = lists.match_of(place.kind, query, place.name)
        self._shown = views.asked_for(query.headers.get("accept", ""), many=True)
        self._include = query.words.get("includeObject", "Metadata")
        self._bookmarks = query.flag("allowWatchBookmarks")
        self._timeout_s = _timeout_s(query)
        self._pending: deque[Change] = deque()
        self._woken = asyncio.Event()
        self._heads = 0
        self._begin(query)

    def _begin(self, query: Query) -> None:
        """Fixes where it starts from. Raises Refusal for what is no watch."""
        wanted = query.words.get("resourceVersion", "")
        self._initial_asked = query.flag("sendInitialEvents")
        if "sendInitialEvents" in query.words and query.words.get("resourceVersionMatch") != "NotOlderThan":
            raise _initial_without_match()
        if wanted and not wanted.isdecimal():
            why = f'strconv.ParseUint: parsing "{wanted}": invalid syntax'
            raise refusal.Refusal(500, "InternalError", f"Internal error occurred: {why}")
        self._from = int(wanted or 0)
        self._synthetic = self._initial_asked or self._from == 0

    async def pieces(self) -> AsyncIterator[bytes]:
        """The lines of the stream."""
        if not self._synthetic and self._from < self._store.compacted:
            yield self._line("ERROR", _too_old(self._from, self._store.compacted))
            return
        stop = self._store.listen(self._heard)
        try:
            for piece in self._first():
                yield piece
                await asyncio.sleep(0)
            async for piece in self._then():
                yield piece
        finally:
            stop()

    def _first(self) -> Iterator[bytes]:
        """What is there already, or what happened since the version that was asked from."""
        if not self._synthetic:
            self._pending.extendleft(reversed(self._wanted(self._store.since(self._from))))
            return
        version = self._store.version
        lines: list[bytes] = []
        for obj in selectors.counted(self._match, self._store.all(self._kind, self._place.namespace)):
            lines.append(self._line("ADDED", self._show(obj)))
            if len(lines) >= FIRST_AT_ONCE:
                yield b"".join(lines)
                lines = []
        if lines:
            yield b"".join(lines)
        if self._initial_asked:
            yield self._bookmark(version, {"k8s.io/initial-events-end": "true"})

    async def _then(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        start = loop.time()
        due = deque(_bookmark_times(self._timeout_s) if self._bookmarks else [])
        while (now := loop.time() - start) < self._timeout_s:
            if len(self._pending) > BEHIND_MAX:
                return
            if lines := self._drain():
                yield lines
            if due and now >= due[0]:
                due.popleft()
                yield self._bookmark(self._store.version)
                continue
            await self._wait(min(due[0] if due else self._timeout_s, self._timeout_s) - now)

    async def _wait(self, limit_s: float) -> None:
        self._woken.clear()
        if self._pending:
            return
        try:
            async with asyncio.timeout(max(0.0, limit_s)):
                await self._woken.wait()
        except TimeoutError:
            return

    def _heard(self, change: Change) -> None:
        if self._concerns(change):
            self._pending.append(change)
            self._woken.set()

    def _wanted(self, changes: list[Change]) -> list[Change]:
        return [change for change in changes if self._concerns(change)]

    def _concerns(self, change: Change) -> bool:
        prefix = f"{self._place.namespace}/" if self._place.namespace else ""
        return change.kind is self._kind and change.key.startswith(prefix)

    def _drain(self) -> bytes:
        lines: list[bytes] = []
        while self._pending:
            event = self._event(self._pending.popleft())
            if event is not None:
                lines.append(self._line(event[0], self._show(event[1])))
        return b"".join(lines)

    def _event(self, change: Change) -> Event | None:
        """What the change looks like through the selector: leaving it is a deletion, with the old labels."""
        before, after = change.before, change.after
        was = before is not None and (self._match is None or self._match(before))
        is_ = after is not None and (self._match is None or self._match(after))
        if is_ and after is not None:
            return ("MODIFIED" if was else "ADDED"), after
        if was and before is not None:
            return "DELETED", put(before, str(change.version), "metadata", "resourceVersion")
        return None

    def _show(self, obj: Obj) -> Obj:
        if self._shown != "Table":
            return views.single(self._shown, self._kind, obj)
        self._heads += 1
        metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        return views.table(self._kind, [obj], metadata, self._include, head=self._heads == 1)

    def _bookmark(self, version: int, annotations: dict[str, str] | None = None) -> bytes:
        metadata: Obj = {"resourceVersion": str(version)}
        metadata |= {"annotations": annotations} if annotations else {}
        empty: Obj = {"kind": self._kind.name, "apiVersion": self._kind.api_version, "metadata": metadata}
        if self._kind.name == "Pod":
            empty |= {"spec": {"containers": None}, "status": {}}
        if self._shown == "Table":
            empty = views.table(self._kind, [], metadata, self._include, head=False)
        return self._line("BOOKMARK", empty)

    @staticmethod
    def _line(kind: str, obj: Obj) -> bytes:
        return answers.encoded({"type": kind, "object": obj})


def _timeout_s(query: Query) -> float:
    text = query.words.get("timeoutSeconds", "")
    if not text:
        return TIMEOUT_DEFAULT_S
    if not text.isdecimal():
        raise refusal.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return min(float(text), TIMEOUT_DEFAULT_S * 2) or TIMEOUT_DEFAULT_S


def _bookmark_times(timeout_s: float) -> list[float]:
    regular = [n * BOOKMARK_EVERY_S for n in range(1, int(timeout_s // BOOKMARK_EVERY_S) + 1)]
    last = [timeout_s - before for before in LAST_BOOKMARKS_S] if timeout_s >= SHORT_S else []
    return sorted({when for when in [*regular, *last] if when < timeout_s})


def _too_old(wanted: int, oldest: int) -> Obj:
    return refusal.expired(f"too old resource version: {wanted} ({oldest})").body()


def _initial_without_match() -> refusal.Refusal:
    why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    causes = [{"reason": "FieldValueForbidden", "message": f"Forbidden: {why}", "field": "resourceVersionMatch"}]
    message = f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: {why}'
    return refusal.Refusal(422, "Invalid", message, {"group": "meta.k8s.io", "kind": "ListOptions", "causes": causes})
