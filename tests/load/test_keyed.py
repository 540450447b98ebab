"""A notifier is named by a key, and its kinds come from whoever registers them: no list of them exists."""

from __future__ import annotations

from typing import Any

import jsonschema
import msgspec
import pytest

from chaos_runner import configure, load
from chaos_runner.config import Config, Notification
from chaos_runner.load.explain import explain
from chaos_runner.load.schema import schema

HEAD = "kind: config/v1\nenvironments: {here: {}}\nnotify:\n"


class Post(msgspec.Struct, frozen=True):
    """Posts it."""

    url: str


class Chat(msgspec.Struct, frozen=True):
    """Says it in a room."""

    room: str


class Unimported(dict[str, Any]):
    """Kinds that nobody may look into."""

    def __getitem__(self, kind: str) -> Any:
        raise AssertionError(f"{kind} was imported")


BOTH: dict[str, Any] = {"webhook": Post, "chat": Chat}


def walked(line: str, kinds: Any = BOTH) -> tuple[Any, list[str]]:
    tree = load.guard(HEAD + line + "\n", "x")
    assert tree.root is not None
    value, problems = load.walk(tree.root, Config, kinds={"notifier": kinds}, parsers=configure.parsers())
    return value, [str(problem).removeprefix("x:") for problem in (*tree.problems, *problems)]


def complaints(line: str, kinds: dict[str, Any]) -> list[str]:
    drawn = schema(Config, kinds={"notifier": kinds}, parsed=configure.parsers())
    root = load.guard(HEAD + line, "x").root
    assert root is not None
    return [error.message for error in jsonschema.Draft7Validator(drawn).iter_errors(load.plain(root))]


def test_the_key_says_which_notifier_and_its_value_where_to() -> None:
    value, problems = walked("- {chat: env:ROOM, on: [held]}\n- {webhook: file:~/url}")

    assert problems == []
    assert value.notify == (
        Notification(notifier="chat", reference="env:ROOM", on=("held",)),
        Notification(notifier="webhook", reference="file:~/url"),
    )


def test_reading_a_file_imports_no_notifier() -> None:
    value, _problems = walked("- {chat: env:ROOM}", Unimported(chat=Chat))

    assert value.notify[0].notifier == "chat"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("- {webhok: env:URL}", "4:4: notify[0].webhok: unknown key 'webhok'; did you mean 'webhook'?"),
        ("- {chat: env:ROOM, onn: [held]}", "4:20: notify[0].onn: unknown key 'onn'; did you mean 'on'?"),
        ("- {pigeon: env:X}", "4:4: notify[0].pigeon: unknown key 'pigeon'; known: webhook, chat and on"),
        ("- {notifier: chat}", "4:4: notify[0].notifier: unknown key 'notifier'; known: webhook, chat and on"),
        ("- {on: [held]}", "4:3: notify[0]: one of the keys webhook or chat is needed here"),
        (
            "- {chat: env:ROOM, webhook: env:URL}",
            "4:20: notify[0].webhook: 'webhook' does not go with 'chat'; write two entries, or remove one",
        ),
        ("- {chat: 5}", "4:10: notify[0].chat: expected text, found the number 5; put it in quotes"),
        ("- {chat: http://secret}", "4:10: notify[0].chat: 'http://secret' is not allowed here: a reference to where"),
        ("- {chat: env:ROOM, on: [hold]}", "4:25: notify[0].on[0]: unknown word 'hold'; did you mean 'held'?"),
    ],
)
def test_one_mistake_is_one_problem_at_its_place(line: str, problem: str) -> None:
    _value, (told,) = walked(line)

    assert told.startswith(problem)


@pytest.mark.parametrize("kinds", [BOTH, {"chat": Chat}])
def test_the_schema_accepts_what_the_loader_accepts(kinds: dict[str, Any]) -> None:
    for line in (
        "- {chat: env:ROOM, on: [held]}",
        "- {on: [held]}",
        "- {pigeon: env:X}",
        "- {chat: env:X, webhook: env:Y}",
    ):
        assert bool(complaints(line, kinds)) == bool(walked(line, kinds)[1]), line


def test_each_kind_is_explained_by_its_name_and_as_a_key() -> None:
    told = {
        name: explain(name, types={"config": Config}, kinds={"notifier": BOTH}) for name in ("chat", "config.notify")
    }

    assert told["chat"].startswith("notifier chat: Says it in a room.")
    assert [line.split()[0] for line in told["config.notify"].splitlines()[1:]] == ["webhook", "chat", "on"]
    assert told["config.notify"] == explain("config.notify.chat", types={"config": Config}, kinds={"notifier": BOTH})
