"""Where an environment's alerts are read: its Alertmanager, which knows of silences, else its Prometheus. Network."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from chaos_runner import alerts
from chaos_runner.alerts import Heard
from chaos_runner.api import Env, Refused
from chaos_runner.clients import alertmanager, prometheus

CALL_S = 3.5


class Source(msgspec.Struct, frozen=True):
    """Reads what is there of some alerts, and of the one that always is."""

    wanted: tuple[str, ...]
    always_on: str

    async def heard(self, env: Env) -> Heard:
        """One reading. Raises Refused or Doubt."""
        wanted = (*self.wanted, self.always_on)
        if env.environment.alertmanager is not None:
            heard = await (await alertmanager.open_client(env)).alerts(wanted, limit_s=CALL_S)
        else:
            heard = await (await prometheus.open_client(env)).alerts(limit_s=CALL_S)
        return Heard(tuple(one for one in heard.alerts if any(alerts.meant(ref, one) for ref in wanted)), heard.at)


def source(env: Env, wanted: Sequence[str]) -> Source:
    """The source of these alerts. Raises Refused where the environment has none, or names no always-on alert."""
    if why := env.environment.deaf():
        raise Refused(f"environment '{env.name}' {why}")
    always_on = env.environment.always_on
    return Source(tuple(wanted), always_on.alert if always_on is not None else "")
