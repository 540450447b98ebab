"""The processes of one Chaos Toolkit run; what they carry out is an entry of the journal, whatever happens.

One process runs what is not in the background, so that modules keep their state between activities as they would in
Chaos Toolkit; each activity in the background has one of its own; one more is warm and waits for the rollbacks.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import anyio
import msgspec

from chaos_runner.chaostoolkit import tolerance
from chaos_runner.chaostoolkit.substitution import substituted
from chaos_runner.chaostoolkit.workers import Lost, Setting, Worker
from chaos_runner.clock import nursery

DEADLINE_S = 60.0
GRACE_S = 1.0  # for an activity that keeps to its own limit and has to say so
HIDDEN = "***"
SECRET_MIN = 4  # shorter values would blot out half of every output
JUDGED_THERE = ("probe", "jsonpath")

Activity = Mapping[str, Any]
Item = dict[str, Any]


class Known(msgspec.Struct, frozen=True):
    """What activities are given: configuration and secrets with their values, and a limit for those without one."""

    configuration: dict[str, Any]
    secrets: dict[str, dict[str, Any]]
    deadline_s: float = DEADLINE_S

    def hide(self, value: Any) -> Any:
        """The value with every secret blotted out of its texts."""
        if isinstance(value, str):
            for secret in self._values():
                value = value.replace(secret, HIDDEN)
            return value
        if isinstance(value, dict):
            return {self.hide(key): self.hide(one) for key, one in value.items()}
        return [self.hide(one) for one in value] if isinstance(value, list) else value

    def _values(self) -> list[str]:
        values = {one for group in self.secrets.values() for one in group.values() if isinstance(one, str)}
        return sorted((one for one in values if len(one) >= SECRET_MIN), key=len, reverse=True)


class Crew:
    """The processes, started when first needed. `now` gives Unix time, for the journal's stamps only."""

    def __init__(self, setting: Setting, now: Callable[[], float]) -> None:
        self._setting = setting
        self._now = now
        self._main: Worker | None = None
        self._standby: Worker | None = None
        self._beside: set[Worker] = set()

    async def prepare(self) -> dict[str, str]:
        """Starts the one that acts and the one that undoes; which modules cannot be imported, and why. Raises Lost."""
        async with nursery() as group:
            for start in (self._start_main, self._start_standby):
                group.start_soon(start)
        return self._main.missing if self._main else {}

    async def settle(self, configuration: Activity, secrets: Activity, variables: Activity, deadline_s: float) -> Known:
        """Configuration and secrets with their values. Raises Lost, also where they cannot be had."""
        message = {
            "do": "settle",
            "configuration": configuration,
            "secrets": secrets,
            "variables": variables,
        }
        told = await (await self._acting()).ask(message, deadline_s)
        if not told["ok"]:
            raise Lost(told["why"])
        return Known(told["configuration"], told["secrets"], deadline_s)

    async def run(self, activity: Activity, known: Known, *, undoing: bool = False) -> Item:
        """Carries an activity out; its entry in the journal. Raises nothing but cancellation."""
        pauses = substituted(activity.get("pauses") or {}, known.configuration, known.secrets)
        await anyio.sleep(_seconds(pauses.get("before")))
        began = self._now()
        item: Item = {"activity": copy.deepcopy(dict(activity)), "output": None, "start": _stamp(began)}
        item |= await self._carried_out(activity, known, undoing)
        ended = self._now()
        item |= {"end": _stamp(ended), "duration": round(ended - began, 6)}
        await anyio.sleep(_seconds(pauses.get("after")))
        return item

    async def judge(self, item: Item, allowed: Any, known: Known) -> Item:
        """A probe's entry with `tolerance_met`; what cannot be judged is not met, and `unjudged` says why."""
        if item["status"] != "succeeded":
            return {**item, "tolerance_met": False}
        if isinstance(allowed, str):
            allowed = substituted(allowed, known.configuration, known.secrets)
        try:
            met = await self._met(allowed, item, known)
        except (tolerance.Unjudged, Lost) as why:
            return {**item, "tolerance_met": False, "unjudged": str(why)}
        return {**item, "tolerance_met": met}

    def close(self) -> None:
        """Ends every process and all that they started."""
        for worker in (self._main, self._standby, *self._beside):
            if worker is not None:
                worker.kill()
        self._main = self._standby = None
        self._beside.clear()

    def stop_acting(self) -> None:
        """Ends what acts, at once, and leaves the one that undoes."""
        for worker in (self._main, *self._beside):
            if worker is not None:
                worker.kill()
        self._main = None
        self._beside.clear()

    async def _met(self, allowed: Any, item: Item, known: Known) -> bool:
        if not (isinstance(allowed, dict) and allowed.get("type") in JUDGED_THERE):
            return tolerance.met(allowed, item["output"])
        message = {
            "do": "tolerance",
            "tolerance": allowed,
            "value": item["output"],
            "configuration": known.configuration,
            "secrets": known.secrets,
        }
        told = await (await self._acting()).ask(message, deadline(allowed, known))
        if not told["ok"]:
            raise tolerance.Unjudged(told["why"])
        return bool(told["met"])

    async def _carried_out(self, activity: Activity, known: Known, undoing: bool) -> Item:
        message = {
            "do": "activity",
            "activity": activity,
            "configuration": known.configuration,
            "secrets": known.secrets,
        }
        try:
            worker = await self._undoing() if undoing else await self._for(activity)
            told = await worker.ask(message, deadline(activity, known))
        except Lost as why:
            return {"status": "failed", "exception": [f"{why}\n"], "lost": True}
        finally:
            self._forget_dead()
        if not told["ok"]:
            return {"status": "failed", "exception": known.hide(told["exception"])}
        if "output" in told and ("unlike_json" in told or "too_long" in told):
            return {"status": "succeeded", "output": known.hide(told.get("unlike_json", "(too long)"))}
        return {"status": "succeeded", "output": known.hide(told["output"])}

    async def _for(self, activity: Activity) -> Worker:
        if not activity.get("background"):
            return await self._acting()
        worker = Worker(self._setting)
        self._beside.add(worker)
        await worker.start()
        return worker

    async def _acting(self) -> Worker:
        if self._main is None or not self._main.alive:
            await self._start_main()
        assert self._main is not None
        return self._main

    async def _undoing(self) -> Worker:
        if self._standby is None or not self._standby.alive:
            await self._start_standby()
        assert self._standby is not None
        return self._standby

    async def _start_main(self) -> None:
        self._main = Worker(self._setting)
        await self._main.start()

    async def _start_standby(self) -> None:
        self._standby = Worker(self._setting)
        await self._standby.start()

    def _forget_dead(self) -> None:
        self._beside = {one for one in self._beside if one.alive}


def deadline(activity: Activity, known: Known) -> float:
    """How long an activity may take: its own limit, its provider's, or the default; its end comes a second later."""
    provider = substituted(activity.get("provider") or {}, known.configuration, known.secrets)
    for told in (activity.get("timeout"), provider.get("timeout")):
        limits = told if isinstance(told, list) else [told]
        if limits and all(isinstance(one, int | float) and not isinstance(one, bool) for one in limits):
            return float(sum(limits)) + GRACE_S
    return known.deadline_s


def _seconds(told: Any) -> float:
    return float(told) if isinstance(told, int | float) and not isinstance(told, bool) else 0.0


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
