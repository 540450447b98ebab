"""What people say on a game day, word for word the same in every console: a line in, facts out. No IO, no clock.

A line is a verb, then text, with options anywhere: `mark detected --at -90s the shop's board turned red`. Nobody has
to quote anything: what is no option is text, apostrophes and all.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from chaos_runner import spelling
from chaos_runner.gameday import steering, telling, typed
from chaos_runner.gameday.day import Day
from chaos_runner.gameday.facts import AnyFact
from chaos_runner.gameday.typed import Line, Speaker

TEXT_MAX = 100_000

_OPTION = re.compile(r"(?:^|\s)--([a-z]+)(?:=|\s+)(\"[^\"]*\"|\S+)")


class Verb(msgspec.Struct, frozen=True):
    """One verb: how it is written, what it does, which options it takes, and whether it is heard after the end."""

    usage: str
    help: str
    read: Callable[[Line, Day, Speaker], AnyFact]
    options: tuple[str, ...] = ()
    later: bool = False


def parse(line: str, day: Day, speaker: Speaker) -> AnyFact:
    """The fact that a line stands for. Raises ValueError with a sentence that says what to write instead."""
    told = take_apart(line)
    verb = VERBS.get(told.verb)
    if verb is None:
        raise ValueError(spelling.unknown("word", told.verb, VERBS))
    strange = sorted(set(told.options) - set(verb.options) - {"by"})
    if strange:
        msg = f"'{told.verb}' takes no --{strange[0]}; say: {verb.usage}"
        raise ValueError(msg)
    if day.ended is not None and not verb.later:
        msg = f"the game day is over; '{told.verb}' comes too late"
        raise ValueError(msg)
    by = told.options.get("by", speaker.who)
    return verb.read(told, day, msgspec.structs.replace(speaker, who=typed.person(day, typed.name(by, "--by"))))


def take_apart(line: str) -> Line:
    """Verb, options and text of a line. Raises ValueError where there is no verb."""
    if len(line) > TEXT_MAX:
        msg = f"that is longer than {TEXT_MAX} characters"
        raise ValueError(msg)
    verb, _, rest = line.strip().partition(" ")
    if not verb:
        msg = f"say one of: {spelling.listed(list(VERBS), 'or')}"
        raise ValueError(msg)
    known = {option for one in VERBS.values() for option in one.options} | {"by"}
    options: dict[str, str] = {}

    def kept(found: re.Match[str]) -> str:
        if found[1] not in known:
            return found[0]
        options[found[1]] = found[2].strip('"')
        return " "

    name = verb.lower()
    usage = VERBS[name].usage if name in VERBS else ""
    return Line(verb=name, text=_OPTION.sub(kept, f" {rest}").strip(), options=options, usage=usage)


VERBS: dict[str, Verb] = {
    "here": Verb("here [NAME]", "answer the roll call", steering.here),
    "absent": Verb("absent NAME WHY", "say who is missing", steering.absent),
    "tick": Verb("tick N", "tick an item of the checklist", steering.tick),
    "approve": Verb("approve [NAME]", "give an approval that the file asks for", steering.approve),
    "go": Verb("go [REASON]", "go on", steering.go, ("as",)),
    "no-go": Verb("no-go REASON", "do not go on", steering.no_go, ("as",)),
    "predict": Verb(
        "predict holds|deviates|aborts 70% [WHY]", "say beforehand what will come out", steering.predict, ("step",)
    ),
    "note": Verb("note TEXT", "write something down", telling.saying("note"), later=True),
    "surprise": Verb("surprise TEXT", "something went otherwise than expected", telling.saying("surprise"), later=True),
    "well": Verb("well TEXT", "something went well", telling.saying("went_well"), later=True),
    "cause": Verb("cause TEXT", "a contributing factor", telling.saying("cause"), later=True),
    "logistics": Verb("logistics TEXT", "what to do better next time", telling.saying("logistics"), later=True),
    "mark": Verb(
        "mark detected|evidence|acknowledged|mitigated|restored [--at -90s] [TEXT]",
        "stamp a moment that the metrics are made of",
        telling.mark,
        ("at", "step"),
        later=True,
    ),
    "retract": Verb("retract N WHY", "take back what somebody said", telling.retract, later=True),
    "action": Verb(
        "action TEXT [--owner NAME] [--due 2026-12-24] [--priority P1] [--rerun FILE] [--ticket ID]",
        "something to do",
        telling.action,
        ("owner", "due", "priority", "rerun", "ticket"),
        later=True,
    ),
    "done": Verb("done ACTION WHY", "an action is done", telling.settling("done"), later=True),
    "accept": Verb(
        "accept ACTION WHY", "an action is not done: the risk is accepted", telling.settling("accepted"), later=True
    ),
    "drop": Verb("drop ACTION WHY", "an action was none", telling.settling("dropped"), later=True),
    "reopen": Verb("reopen ACTION WHY", "an action is open again", telling.settling("open"), later=True),
    "hand": Verb("hand ROLE NAME[, NAME]", "hand a role over", steering.hand),
    "skip": Verb("skip WHY [--step N]", "leave a step out", steering.skip, ("step",)),
    "repeat": Verb("repeat WHY [--step N]", "run a step once more", steering.repeat, ("step",)),
    "end": Verb("end WHY", "end the day: what runs is stopped and undone first", steering.end),
    "halt": Verb("halt [WHY]", "stop what runs, now: pulls the environment's lever", steering.halt),
    "incident": Verb("incident TEXT", "it is no exercise any more: halt all, end the day", steering.incident),
    "met": Verb("met OBJECTIVE [TEXT]", "an objective was met", telling.judging("met"), later=True),
    "partly": Verb("partly OBJECTIVE [TEXT]", "an objective was met in part", telling.judging("partly"), later=True),
    "unmet": Verb("unmet OBJECTIVE [TEXT]", "an objective was not met", telling.judging("not"), later=True),
    "trust": Verb("trust 70%", "how much you trust the system, before and after", telling.trust, later=True),
}
