"""What the faults of a cluster share: its connection, which rights they need, the events that they leave behind."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, NamedTuple

from chaos_runner.api import Doubt, Env, Refused, Rights, Undo

if TYPE_CHECKING:
    from chaos_runner.clients.kubernetes.connection import Cluster
    from chaos_runner.clients.kubernetes.objects import Place, Reference

KEY = "chaos-runner"  # the prefix of every annotation and label of ours
TELL_S = 1.5
CHANGE_S = 3.5  # with an event before it still within what an injection may take
_RIGHTS_S = 10.0


class Ask(NamedTuple):
    """One thing that this user must be allowed to do; without a name to every object."""

    verb: str
    place: Place
    namespace: str | None = None
    name: str = ""
    subresource: str = ""

    @property
    def said(self) -> str:
        """In words."""
        what = f"{self.place.plural}/{self.subresource}" if self.subresource else self.place.plural
        of = f".{self.place.group}" if self.place.group else ""
        where = f" in the namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {what}{of}{where}"


async def server(env: Env) -> Cluster:
    """The environment's cluster; imported only now, so that a fault's name costs no client."""
    from chaos_runner.clients.kubernetes import environments

    return await environments.open_client(env)


def endpoint(env: Env) -> str:
    """The environment's cluster, in words; empty where it has none."""
    settings = env.environment.cluster
    return f"cluster {settings.uid or settings.context or settings.kubeconfig}" if settings else ""


async def reach(env: Env) -> None:
    """One read, as the user that undoes."""
    from chaos_runner.clients.kubernetes import environments, lists
    from chaos_runner.clients.kubernetes.objects import Namespace

    await lists.get(await server(env), Namespace, None, environments.SYSTEM)


async def rights(env: Env, asks: Iterable[Ask]) -> Rights:
    """Whether this user may do all of it, as the server says; the first that it may not is named."""
    cluster, known = await server(env), await env.opened("kubernetes rights", _known)
    for ask in asks:
        why = await _denied(cluster, known, ask)
        if why is not None:
            return Rights(False, f"this user may not {ask.said}" + (f": {why}" if why else ""))
    return Rights()


async def _denied(cluster: Cluster, known: dict[str, float], ask: Ask) -> str | None:
    """None where it is allowed; what is allowed for every name is not asked again for the next."""
    import anyio

    from chaos_runner.clients.kubernetes import access

    now = anyio.current_time()
    if known.get(ask.said, -_RIGHTS_S) + _RIGHTS_S > now:
        return None
    for name in dict.fromkeys(("", ask.name)):
        answer = await access.may(
            cluster, ask.verb, ask.place, namespace=ask.namespace, name=name, subresource=ask.subresource
        )
        if answer.allowed:
            if not name:
                known[ask.said] = now
            return None
    return answer.why


async def _known(_env: Env) -> contextlib.AbstractAsyncContextManager[dict[str, float]]:
    return _remember()


@contextlib.asynccontextmanager
async def _remember() -> AsyncIterator[dict[str, float]]:
    yield {}


async def announce(env: Env, undo: Undo, about: Reference, reason: str, message: str) -> None:
    """An event that says what is about to be done, before it is. Raises Refused: nothing is done that is not told."""
    try:
        await _tell(env, undo, about, reason, message)
    except Doubt as why:
        raise Refused(f"the event that announces it could not be written: {why}") from None


async def tell(env: Env, undo: Undo, about: Reference, reason: str, message: str) -> None:
    """An event about what was done; best effort, the object itself carries the mark."""
    with contextlib.suppress(Refused, Doubt):
        await _tell(env, undo, about, reason, message)


async def _tell(env: Env, undo: Undo, about: Reference, reason: str, message: str) -> None:
    from chaos_runner.clients.kubernetes import notes, notices

    said = f"{message} (mark {undo.mark})"
    labels = {notes.RUN_LABEL: undo.run}
    await notices.tell(await server(env), about, reason, said, warning=True, labels=labels, limit_s=TELL_S)
