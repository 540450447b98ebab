"""What all faults share that change one field of an object: marked by the same request, put back while it is ours.

Every request carries the uid and the resourceVersion of what was read: a late one finds an object that has changed
since, and does nothing. An undo that had nothing to change makes the object newer by a fence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from chaos_runner.api import Absent, Doubt, Drifted, Env, Observation, Present, Refused, Rights, Undo, Unreadable
from chaos_runner.faults import _cluster
from chaos_runner.faults._cluster import Ask
from chaos_runner.records import Target

if TYPE_CHECKING:
    from chaos_runner.clients.kubernetes.objects import Reference
    from chaos_runner.faults._owned import Owned, Setting

TRIES = 3
CALL_S = 2.0
_Patch = dict[str, Any]


class FieldChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fault whose harm is one field of one object; a kind says which in `place`, and what it becomes in `now`."""

    kind: ClassVar[str] = ""
    version: ClassVar[int] = 1
    reversible: ClassVar[bool] = True
    selector: ClassVar[Any] = None
    place: ClassVar[str] = ""

    @classmethod
    def type_of(cls, target: Target) -> type[Owned]:
        """What the target is read as."""
        raise NotImplementedError

    def now(self) -> Setting:
        """What the field becomes."""
        raise NotImplementedError

    def told(self, undo: Undo) -> str:
        """What the event says was done."""
        raise NotImplementedError

    async def unfit(self, env: Env, one: Owned) -> str:
        """Why this object must not be harmed, as a sentence; empty where it may."""
        return ""

    def aspect(self) -> str:
        """The field."""
        return self.place

    async def rights(self, env: Env, target: Target) -> Rights:
        """Whether we may change it, put it back, see it, and tell of it; harm and undo are the same request.

        The list is of all namespaces: it is how a janitor finds the mark once the ledger is lost.
        """
        from chaos_runner.clients.kubernetes import lists, notes

        at, (namespace, name) = lists.place(self.type_of(target)), names(target)
        verbs = [Ask(verb, at, namespace, name) for verb in ("get", "patch")]
        told = [Ask("list", at), Ask("create", notes.Event.at, namespace or "default")]
        return await _cluster.rights(env, [*verbs, *told])

    async def prepare(self, env: Env, target: Target, mark: str) -> Undo:
        """The field as it is. Raises Refused where it is so already, or another run holds the object."""
        one = await self._free(env, target, mark)
        from chaos_runner.faults import _owned

        return Undo(
            kind=self.kind,
            version=self.version,
            mark=mark,
            target=target,
            params=msgspec.to_builtins(self),
            before={"was": _owned.setting(one), "now": self.now()},
        )

    async def inject(self, env: Env, undo: Undo) -> None:
        """Sets the field and the note in one request; of an object that just changed it is asked again."""
        from chaos_runner.clients.kubernetes import refusals
        from chaos_runner.faults import _owned

        said = msgspec.json.encode(_owned.Note(undo.mark, undo.before["was"], undo.before["now"])).decode()
        for left in reversed(range(TRIES)):
            one = await self._free(env, undo.target, undo.mark)
            if _owned.setting(one) != undo.before["was"]:
                raise Refused(f"{undo.target.key}: {self.place} was changed since it was looked at")
            try:
                await _patch(env, one, {self.place: undo.before["now"]}, {_owned.key(self.place): said})
                break
            except refusals.Conflict:
                if not left:
                    raise
        await _cluster.tell(env, undo, reference(undo.target), _reason(self.kind), self.told(undo))

    async def observe(self, env: Env, undo: Undo) -> Observation:
        """Whether the field is as we set it, and our note is there."""
        from chaos_runner.faults import _owned

        try:
            one = await found(env, self.type_of(undo.target), undo.target)
        except (Refused, Doubt) as why:
            return Unreadable(str(why))
        if one is None:
            return Absent(drift=f"{undo.target.key} is gone, or was made anew")
        value, note = _owned.setting(one), _owned.note(one, self.place)
        if note is None or note.mark != undo.mark:
            changed = value != undo.before["was"]
            return Absent(drift=f"{self.place} is {_said(value)}, and no longer ours" if changed else "")
        if value != undo.before["now"]:
            return Drifted(f"somebody else set {self.place} to {_said(value)}")
        other = _owned.other_writer(one, self.place)
        return Drifted(f"{other} has written {self.place} too") if other else Present()

    async def revert(self, env: Env, undo: Undo) -> None:
        """Puts the field back where it is still ours, and takes the note away."""
        from chaos_runner.faults import _owned

        def back(one: Owned) -> tuple[_Patch, _Patch] | None:
            note = _owned.note(one, self.place)
            if note is None or note.mark != undo.mark:
                return None
            value = _owned.setting(one)
            ours = value == undo.before["now"] and not _owned.other_writer(one, self.place)
            # What was never set is removed again: `unschedulable: false` is not what was there.
            was = undo.before["was"] or None if isinstance(one, _owned.OwnedNode) else undo.before["was"]
            return ({self.place: was} if ours else {}), {_owned.key(self.place): None}

        await self._settle(env, undo, back)

    async def fence(self, env: Env, undo: Undo) -> None:
        """Makes the object newer than any request that may still be under way."""
        from chaos_runner.faults import _owned

        def newer(one: Owned) -> tuple[_Patch, _Patch] | None:
            note = _owned.note(one, self.place)
            if note is not None and note.mark == undo.mark:
                raise Doubt(f"{undo.target.key}: the change has landed late")
            fenced = _owned.fence(one, self.place) == undo.mark
            return None if fenced else ({}, {_owned.fence_key(self.place): undo.mark})

        await self._settle(env, undo, newer)

    async def unfence(self, env: Env, undo: Undo) -> None:
        """Takes the fence away; the object stays newer."""
        from chaos_runner.faults import _owned

        def plain(one: Owned) -> tuple[_Patch, _Patch] | None:
            fenced = _owned.fence(one, self.place) == undo.mark
            return ({}, {_owned.fence_key(self.place): None}) if fenced else None

        await self._settle(env, undo, plain)

    async def _settle(self, env: Env, undo: Undo, decide: Callable[[Owned], tuple[_Patch, _Patch] | None]) -> None:
        """Changes what `decide` says of the object as it is; read anew where somebody else was faster."""
        from chaos_runner.clients.kubernetes import refusals

        for _ in range(TRIES):
            one = await found(env, self.type_of(undo.target), undo.target)
            change = None if one is None else decide(one)
            if one is None or change is None:
                return
            try:
                await _patch(env, one, *change)
                return
            except refusals.Conflict:
                continue
        raise Doubt(f"{undo.target.key} changes faster than it can be put back")

    async def _free(self, env: Env, target: Target, mark: str) -> Owned:
        """The object as it is now. Raises Refused where it is not the planned one, is held, or is so already."""
        from chaos_runner.faults import _owned

        one = await found(env, self.type_of(target), target)
        if one is None:
            raise Refused(f"{target.key} is gone, or is not the one that was planned")
        note, fence = _owned.note(one, self.place), _owned.fence(one, self.place)
        if held := note.mark if note is not None else fence:
            raise Refused(
                f"{target.key} carries {held} at {self.place}: chaos-runner recover in that run's folder, or"
                f" chaos-runner janitor -e {env.name}"
            )
        if _owned.setting(one) == self.now():
            raise Refused(f"{target.key}: {self.place} is {_said(self.now())} already")
        if why := await self.unfit(env, one):
            raise Refused(f"{target.key}: {why}")
        return one

    def params_of(self, now: Setting) -> dict[str, Any]:
        """The fault's own fields, as a note tells them."""
        params: dict[str, Any] = msgspec.to_builtins(self)
        return params

    async def leftovers(self, env: Env) -> tuple[Undo, ...]:
        """Every note and fence of ours on objects of these types.

        A user who may not list them has never been allowed this fault: nothing of this environment's is there.
        """
        from chaos_runner.clients.kubernetes import lists, refusals
        from chaos_runner.faults import _owned

        def marked(one: Owned) -> bool:
            return _owned.note(one, self.place) is not None or bool(_owned.fence(one, self.place))

        if not _cluster.endpoint(env):
            return ()
        found: list[Undo] = []
        for word, kind in self.types().items():
            try:
                every = await lists.every(await _cluster.server(env), kind, None, keep=marked)
            except refusals.Forbidden:
                continue
            found += [self._left(word, one) for one in every.items]
        return tuple(found)

    @classmethod
    def types(cls) -> dict[str, type[Owned]]:
        """What may carry this fault, by the first word of a target's key."""
        raise NotImplementedError

    def _left(self, word: str, one: Owned) -> Undo:
        from chaos_runner.faults import _owned

        value = _owned.setting(one)
        note = _owned.note(one, self.place) or _owned.Note(_owned.fence(one, self.place), value, value)
        meta = one.metadata
        name = "/".join(part for part in (word, meta.namespace, meta.name) if part)
        return Undo(
            kind=self.kind,
            version=self.version,
            mark=note.mark,
            target=Target(key=name, uid=meta.uid),
            params=self.params_of(note.now),
            before={"was": note.was, "now": note.now},
        )

    @classmethod
    def endpoint(cls, env: Env) -> str:
        """The environment's cluster."""
        return _cluster.endpoint(env)

    @classmethod
    async def reach(cls, env: Env) -> None:
        """One read as this user."""
        await _cluster.reach(env)


def names(target: Target) -> tuple[str | None, str]:
    """Namespace, for what has one, and name."""
    parts = target.key.split("/")
    return (parts[1] if len(parts) == 3 else None), parts[-1]


def reference(target: Target) -> Reference:
    """The object as an event names it."""
    from chaos_runner.clients.kubernetes.objects import Reference

    kinds = {"node": "Node", "deployment": "Deployment", "statefulset": "StatefulSet"}
    word = target.key.partition("/")[0]
    namespace, name = names(target)
    # kubectl finds the events of a node by its name in the place of the uid.
    uid, api = (name, "v1") if word == "node" else (target.uid, "apps/v1")
    return Reference(kind=kinds[word], name=name, namespace=namespace or "", uid=uid, api_version=api)


async def found(env: Env, kind: type[Owned], target: Target) -> Owned | None:
    """The very object as it is now; None where it is gone, also where another one has its name."""
    from chaos_runner.clients.kubernetes import lists, refusals

    try:
        one = await lists.get(await _cluster.server(env), kind, *names(target), limit_s=CALL_S)
    except refusals.NotFound:
        return None
    return one if one.metadata.uid == target.uid else None


async def _patch(env: Env, one: Owned, spec: _Patch, annotations: _Patch) -> None:
    from chaos_runner.clients.kubernetes import writes

    meta = one.metadata
    patch: _Patch = {"metadata": {"annotations": annotations}} | ({"spec": spec} if spec else {})
    await writes.merge(
        await _cluster.server(env),
        type(one),
        meta.namespace or None,
        meta.name,
        patch,
        uid=meta.uid,
        resource_version=meta.resource_version,
        limit_s=CALL_S,
    )


def _said(value: Setting) -> str:
    return str(value).lower()


def _reason(kind: str) -> str:
    return "Chaos" + "".join(word.capitalize() for word in kind.split("_"))
