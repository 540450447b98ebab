"""The API: a request in, its answer out. What is decided is decided without waiting, so every answer is consistent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

from chaos_runner.pocket.cluster import kinds, refusal
from chaos_runner.pocket.cluster.api import answers, bodies, discovery, knobs, lists, openapi, routes, views
from chaos_runner.pocket.cluster.api.access import Access, User
from chaos_runner.pocket.cluster.api.answers import Answer, Query, Stream
from chaos_runner.pocket.cluster.api.deletes import Deletes
from chaos_runner.pocket.cluster.api.evictions import Evictions
from chaos_runner.pocket.cluster.api.front import Cut
from chaos_runner.pocket.cluster.api.reviews import Reviews
from chaos_runner.pocket.cluster.api.routes import Place
from chaos_runner.pocket.cluster.api.scaling import Scaling
from chaos_runner.pocket.cluster.api.watches import Watch
from chaos_runner.pocket.cluster.api.writes import Prepare, Writes
from chaos_runner.pocket.cluster.objects import Obj
from chaos_runner.pocket.cluster.store import Store

HEALTH = ("/readyz", "/livez", "/healthz")
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}
FUTURE_WAIT_S = 3.0


class Api:
    """Every route of the API server."""

    def __init__(self, store: Store, rights: Access, prepare: dict[str, Prepare], logs: Callable[[Obj], bytes]) -> None:
        self.knobs = knobs.Knobs()
        self.deletes = Deletes(store)
        self.writes = Writes(store, prepare)
        self.drop_watches: Callable[[], int] = lambda: 0
        self._store = store
        self._rights = rights
        self._evictions = Evictions(store, self.deletes)
        self._scaling = Scaling(store, self.writes)
        self._reviews = Reviews(store, rights)
        self._logs = logs

    async def respond(self, query: Query) -> Answer | Stream:
        """The answer; Cut where a trouble takes it away."""
        started = time.perf_counter()
        user, answer = await self._answered(query)
        size, status = (len(answer.body), answer.status) if isinstance(answer, Answer) else (0, 200)
        ms = round((time.perf_counter() - started) * 1000, 3)
        words = "&".join(f"{name}={value}" for name, value in query.words.items())
        path = f"{query.path}?{words}" if words else query.path
        self.knobs.note(knobs.Asked(query.method, path[:500], user, status, size, ms))
        return answer

    async def _answered(self, query: Query) -> tuple[str, Answer | Stream]:
        trouble = (
            None if query.path.startswith(knobs.ROOT) else self.knobs.trouble(query, self._rights.name(query.headers))
        )
        if trouble is not None and trouble.latency_s:
            await asyncio.sleep(trouble.latency_s)
        if trouble is not None and trouble.answer in ("429", "500"):
            return "", knobs.busy() if trouble.answer == "429" else knobs.broken()
        if trouble is not None and trouble.answer == "cut":
            raise Cut
        name, answer = await self._judged(query)
        if trouble is not None and trouble.answer == "lost":
            raise Cut
        return name, answer

    async def _judged(self, query: Query) -> tuple[str, Answer | Stream]:
        name = ""
        try:
            user = self._rights.user(query.headers)
            name = user.name
            return name, self._answer(query, user)
        except refusal.Refusal as why:
            if why.code == 504:
                await asyncio.sleep(FUTURE_WAIT_S)
            return name, answers.refused(why)

    def _answer(self, query: Query, user: User) -> Answer | Stream:
        if query.path.startswith(("/api/", "/apis/")):
            place = routes.place_of(query.path)
            if place is not None:
                return self._at(place, query, user)
        self._rights.demand_path(user, VERBS.get(query.method, "get"), query.path)
        if query.path.startswith(f"{knobs.ROOT}/") and user.master:
            dropped = self.drop_watches() if query.path.endswith("/drop-watches") and query.method == "POST" else 0
            return self.knobs.answer(query, self._store, dropped)
        return _elsewhere(query)

    def _at(self, place: Place, query: Query, user: User) -> Answer | Stream:
        verb = _verb(place, query)
        if place.kind in kinds.REVIEWS and verb == "create":
            return answers.json_answer(201, self._reviews.answer(place.kind, user, bodies.object_of(query)))
        self._rights.demand(user, verb, place)
        if verb not in _allowed(place):
            raise refusal.no_method()
        if verb in ("watch", "list"):
            return self._read(place, query, verb)
        if verb in ("delete", "deletecollection"):
            return self._deleted(place, query, verb)
        if place.sub and place.sub != "status":
            return self._sub(place, query, verb)
        return self._one(place, query, verb)

    def _read(self, place: Place, query: Query, verb: str) -> Answer | Stream:
        if verb == "watch":
            return Stream(Watch(self._store, place, query).pieces())
        shown = views.asked_for(query.headers.get("accept", ""), many=True)
        page = lists.page(self._store, place, query)
        include = query.words.get("includeObject", "Metadata")
        return answers.json_answer(200, views.many(shown, place.kind, page.found, page.metadata, include))

    def _one(self, place: Place, query: Query, verb: str) -> Answer:
        shown = views.asked_for(query.headers.get("accept", ""), many=False)
        if verb == "get":
            return answers.json_answer(200, self._shown(shown, place, self.writes.current(place), query))
        dry = bodies.dry(query)
        if verb == "patch":
            return answers.json_answer(200, self._shown(shown, place, self.writes.patch(place, query, dry=dry), query))
        given = bodies.object_of(query)
        bodies.check_kind(given, place.kind.name, place.kind.api_version)
        if verb == "create":
            made = self.writes.create(place, given, dry=dry)
            return answers.json_answer(201, self._shown(shown, place, made, query))
        return answers.json_answer(200, self._shown(shown, place, self.writes.replace(place, given, dry=dry), query))

    @staticmethod
    def _shown(shown: str, place: Place, obj: Obj, query: Query) -> Obj:
        return views.single(shown, place.kind, obj, query.words.get("includeObject", "Metadata"))

    def _sub(self, place: Place, query: Query, verb: str) -> Answer:
        dry = bodies.dry(query)
        if place.sub == "eviction":
            return answers.json_answer(201, self._evictions.evict(place, bodies.object_of(query), dry=dry))
        if place.sub == "token":
            return answers.json_answer(201, self._reviews.token(place, bodies.object_of(query)))
        if place.sub == "log":
            text = self._logs(self.writes.current(place)).decode("utf-8", "replace")
            return answers.text_answer(200, _last_lines(text, query.words.get("tailLines", "")))
        if verb == "get":
            return answers.json_answer(200, self._scaling.show(place))
        if verb == "patch":
            return answers.json_answer(200, self._scaling.patch(place, query, dry=dry))
        return answers.json_answer(200, self._scaling.replace(place, bodies.object_of(query), dry=dry))

    def _deleted(self, place: Place, query: Query, verb: str) -> Answer:
        options = bodies.delete_options(query)
        if verb == "delete":
            found, whole = self.deletes.delete(place, options)
            return answers.json_answer(200, views.whole(place.kind, found) if whole else found)
        page = lists.page(self._store, place, query)
        options = msgspec.structs.replace(options, preconditions=None)
        if not options.dry:
            for obj in page.found:
                self.deletes.carry_out(place.kind, self.deletes.marked(place.kind, obj, options))
        return answers.json_answer(200, views.many("whole", place.kind, page.found, page.metadata))


def _verb(place: Place, query: Query) -> str:
    verb = VERBS.get(query.method, "")
    if not verb or (verb == "create" and place.name and not place.sub):
        raise refusal.no_method()
    if verb == "get" and not place.sub and (query.flag("watch") or not place.name):
        return "watch" if query.flag("watch") else "list"
    if not place.name and verb == "delete":
        return "deletecollection"
    if not place.name and verb in ("update", "patch"):
        raise refusal.no_method()
    return verb


def _last_lines(text: str, count: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(lines[max(0, len(lines) - int(count)) :]) if count.isdecimal() else text


def _allowed(place: Place) -> tuple[str, ...]:
    sub = place.kind.sub(place.sub) if place.sub else None
    return place.kind.verbs if sub is None else sub.verbs


def _elsewhere(query: Query) -> Answer:
    """What is no object: health, discovery, OpenAPI."""
    if query.path in HEALTH:
        return answers.text_answer(200, "ok")
    found = openapi.answer(query.path, query.headers.get("accept", "")) if "/openapi/" in query.path else None
    if found is not None:
        return found
    document = discovery.document(query.path)
    if document is not None:
        return answers.json_answer(200, document)
    if query.path.startswith("/api") and routes.is_group(query.path):
        raise refusal.nowhere()
    return answers.text_answer(404, "404 page not found\n")
