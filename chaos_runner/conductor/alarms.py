"""The alerts that the day names, as they come and go while it goes on. Decides nothing, and delays nothing.

What is known is read from the day's own facts first, so that another conductor tells nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio
import msgspec

from chaos_runner import alerts
from chaos_runner.alerts import Alert, Heard
from chaos_runner.api import Doubt, Env, Refused
from chaos_runner.clients import sources
from chaos_runner.environment import AlwaysOn
from chaos_runner.gameday.facts import AlertEnded, AlertFired, AlertsUnread, AnyFact, Entry

LOOK_S = 2.0
READ_S = 4.0
KEPT_MAX = 500  # beyond that an alert's labels are too many to keep

Key = tuple[tuple[str, str], ...]


class Alarms(msgspec.Struct):
    """What was told of the alerts so far."""

    wanted: tuple[str, ...]
    always_on: AlwaysOn
    there: dict[Key, AlertFired] = msgspec.field(default_factory=dict)
    told: int = 0
    unread: bool = False

    def recall(self, entries: Iterable[Entry]) -> None:
        """Takes up what the day's facts tell already."""
        for entry in entries:
            match entry.fact:
                case AlertFired() as fired:
                    self.there[_key(fired.labels)] = fired
                    self.told, self.unread = self.told + 1, False
                case AlertEnded(_name, labels):
                    self.there.pop(_key(labels), None)
                    self.unread = False
                case AlertsUnread(_why, readable):
                    self.unread = not readable
                case _:
                    pass

    def observe(self, heard: Heard | str, step: int) -> list[AnyFact]:
        """What is new in one reading; a sentence instead of one says why there is none."""
        why = heard if isinstance(heard, str) else self._deaf(heard)
        news: list[AnyFact] = []
        if why and not self.unread:
            news.append(AlertsUnread(why))
        elif self.unread and not why:
            news.append(AlertsUnread(readable=True))
        self.unread = bool(why)
        return news if isinstance(heard, str) else news + self._seen(heard, step, believed=not why)

    def _deaf(self, heard: Heard) -> str:
        return alerts.unheard(self.always_on.alert, self.always_on.heard_within, heard)

    def _seen(self, heard: Heard, step: int, *, believed: bool) -> list[AnyFact]:
        here = {_key(one.labels): one for one in heard.alerts if self._meant(one)}
        news: list[AnyFact] = [self._told(one, heard.at, step) for key, one in here.items() if self._new(key, one)]
        gone = [fired for key, fired in self.there.items() if key not in here] if believed else []
        for fired in gone:
            del self.there[_key(fired.labels)]
        return news + [AlertEnded(fired.name, fired.labels) for fired in gone]

    def _meant(self, alert: Alert) -> bool:
        return any(alerts.meant(ref, alert) for ref in self.wanted)

    def _new(self, key: Key, alert: Alert) -> bool:
        known = self.there.get(key)
        if known is None or known.state != alert.state:
            return self.told < KEPT_MAX
        return alert.fired_at is not None and abs(known.starts_at - alert.fired_at) >= 1 and self.told < KEPT_MAX

    def _told(self, alert: Alert, at: float, step: int) -> AlertFired:
        fired = AlertFired(alert.name, alert.labels, _since(alert, at), alert.state, step)
        self.there[_key(alert.labels)] = fired
        self.told += 1
        return fired


def _key(labels: dict[str, str]) -> Key:
    return tuple(sorted(labels.items()))


def _since(alert: Alert, at: float) -> float:
    """When it began to fire; where its source tells only since when its condition has held, this reading."""
    if alert.fired_at is not None:
        return alert.fired_at
    return alert.starts_at if alert.state == "pending" else at


def begin(wanted: tuple[str, ...], env: Env, entries: Iterable[Entry]) -> Alarms:
    """What is known of these alerts by the day's facts. Raises Refused where nobody could tell of any."""
    always_on, deaf = env.environment.always_on, env.environment.deaf()
    if always_on is None or deaf:
        raise Refused(f"environment '{env.name}' {deaf}")
    alarms = Alarms(wanted, always_on)
    alarms.recall(entries)
    return alarms


async def watch(alarms: Alarms, env: Env, step: Callable[[], int], tell: Callable[[AnyFact], bool]) -> None:
    """Reads for as long as it is let; what `tell` cannot keep yet is told again, in its order."""
    untold: list[AnyFact] = []
    while True:
        untold += alarms.observe(await _read(alarms, env), step())
        while untold and tell(untold[0]):
            del untold[0]
        await anyio.sleep(LOOK_S)


async def _read(alarms: Alarms, env: Env) -> Heard | str:
    try:
        with anyio.fail_after(READ_S):
            return await sources.source(env, alarms.wanted).heard(env)
    except (Refused, Doubt) as why:
        return str(why)
    except TimeoutError:
        return f"no answer within {READ_S:g} s"
