"""What the faults of single HTTP requests share: which requests are meant, and that the proxy has to know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from chaos_runner.api import Env, Undo
from chaos_runner.clients import toxics
from chaos_runner.expect import Percent
from chaos_runner.faults import _marks, _proxies, _removal
from chaos_runner.faults._placed import MOST, at_most
from chaos_runner.faults._staged import Staged
from chaos_runner.model import Value
from chaos_runner.records import Target

if TYPE_CHECKING:
    from chaos_runner.clients.toxiproxy import Client

Path = Annotated[str, Meta(min_length=1, max_length=1000)]
Field = Annotated[str, Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$")]
Line = Annotated[str, Meta(pattern=r"^[\t -~]*$", max_length=1000)]


class Match(Value, frozen=True, omit_defaults=True):
    """Which requests are meant: all that is stated has to fit."""

    methods: Annotated[
        tuple[Annotated[str, Meta(pattern="^[A-Z]{1,20}$")], ...], Meta(description="such as [GET]", max_length=20)
    ] = ()
    path: Annotated[str, Meta(description="may hold *; the query does not count", max_length=1000)] = ""
    headers: Annotated[dict[Field, Line], Meta(description="fields and their whole values", max_length=20)] = (
        msgspec.field(default_factory=dict)
    )


class HttpFault(Staged, frozen=True, kw_only=True):
    """A fault of single requests; a kind adds its own attributes in `harm`."""

    share: Annotated[Percent, Meta(description="share of the requests that are meant, such as 10%", gt=0, le=1)] = 1.0
    match: Annotated[Match, Meta(description="which requests are meant; all without")] = Match()
    exclude: Annotated[
        tuple[Path, ...], Meta(description="paths that are never hit, such as [/healthz]; may hold *", max_length=50)
    ] = ()
    max_affected: Annotated[int, Meta(description="hits at most so many requests; 0 for no limit", ge=0, le=MOST)] = 0

    def harm(self) -> dict[str, Any]:
        """The attributes of this kind, as the proxy takes them."""
        return {}

    def toxic(self, mark: str) -> toxics.Toxic:
        """The fault as the embedded proxy takes it."""
        aim = {
            "share": self.share,
            "match": msgspec.json.decode(msgspec.json.encode(self.match)),  # lists, as they are read back
            "exclude": list(self.exclude),
            "max_affected": self.max_affected,
        }
        return toxics.Toxic(mark, self.kind, "downstream", 1.0, aim | self.harm())

    def aspect(self) -> str:
        """The place on a proxy: one fault of a kind at a time."""
        return f"toxic:{self.kind}"

    async def unfit(self, client: Client) -> str:
        """Only the embedded proxy knows requests."""
        if (await client.capabilities()).has("http"):
            return ""
        return (
            f"{self.kind} needs the embedded proxy (`chaos-runner proxy`), or leave for an HTTP stage (`http_stage:`"
            " beside this Toxiproxy's url): it knows connections, not requests; without either, a `toxic` can reset,"
            " hang or cut connections, or `proxy_down` refuse them"
        )

    def evidence(self, target: Target, seen: dict[str, float]) -> str:
        """How many requests were hit."""
        hit = f"{seen['hits']:g} of {seen['requests']:g} requests through {target.key} {self.told(seen)}"
        return hit + at_most(self.max_affected)

    def told(self, seen: dict[str, float]) -> str:
        """What became of them."""
        raise NotImplementedError

    @classmethod
    def read_back(cls, toxic: toxics.Toxic) -> dict[str, Any]:
        """The fault's own fields, from a toxic of this kind."""
        return {name: value for name, value in toxic.attributes.items() if name in cls.__struct_fields__}

    @classmethod
    async def leftovers(cls, env: Env) -> tuple[Undo, ...]:
        """Every toxic of this kind and ours on this server, and what its stages have left."""
        return await cls.behind(env) + tuple(
            Undo(
                kind=cls.kind,
                version=cls.version,
                mark=toxic.name,
                target=_proxies.target(proxy),
                params=cls.read_back(toxic),
                before=_proxies.snapshot(proxy),
            )
            for proxy, toxic in await _removal.marks(env)
            if _marks.marked(toxic.name) and toxic.type == cls.kind
        )


def milliseconds(seconds: float) -> int:
    """As the API takes a time."""
    return round(seconds * 1000)
