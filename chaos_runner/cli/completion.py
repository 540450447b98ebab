"""Prints a completion script for bash, zsh or fish. It is static: completing starts no Python.

bash:  chaos-runner completion bash > ~/.local/share/bash-completion/completions/chaos-runner
zsh:   chaos-runner completion zsh > "${fpath[1]}/_chaos-runner"
fish:  chaos-runner completion fish > ~/.config/fish/completions/chaos-runner.fish
"""

from __future__ import annotations

import argparse
import importlib
import sys
from types import ModuleType
from typing import NamedTuple


class Flag(NamedTuple):
    """One option, or one positional argument (then without names)."""

    names: tuple[str, ...]
    value: str
    choices: tuple[str, ...]
    help: str


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `completion`."""
    parser.add_argument("shell", choices=sorted(SCRIPTS), help="the shell")


def run(args: argparse.Namespace) -> int:
    """Prints the script; 0."""
    sys.stdout.write(SCRIPTS[args.shell]())
    return 0


def flags(command: str) -> list[Flag]:
    """What a command takes, in the order of its help; nothing where its flags are another program's."""
    module = importlib.import_module(f"chaos_runner.cli.{command}")
    if hasattr(module, "VERBS") and hasattr(module, "run_words"):
        return _of_verbs(command, tuple(module.VERBS))
    return _of(module, command) if hasattr(module, "options") else []


def _of(module: ModuleType, command: str) -> list[Flag]:
    parser = argparse.ArgumentParser(prog=f"chaos-runner {command}")
    module.options(parser)
    return [_flag(action) for action in parser._actions]  # noqa: SLF001 -- the only way to read a parser


def _of_verbs(command: str, verbs: tuple[str, ...]) -> list[Flag]:
    """The verbs, then all that any of them takes, each once, as the first of them that takes it says it."""
    found: dict[str, Flag] = {}
    for verb in verbs:
        for flag in _of(importlib.import_module(f"chaos_runner.cli.{command}_{verb}"), f"{command} {verb}"):
            found.setdefault(" ".join(flag.names) or flag.value, flag)
    return [Flag((), "VERB", verbs, ", ".join(verbs)), *found.values()]


def _flag(action: argparse.Action) -> Flag:
    names = tuple(action.option_strings)
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    return Flag(
        names, "" if action.nargs == 0 else metavar, tuple(map(str, action.choices or ())), str(action.help or "")
    )


def _words(command: str) -> list[str]:
    """Every word that may follow a command, beside files."""
    known = flags(command)
    positional = [choice for flag in known if not flag.names for choice in flag.choices]
    return positional + [name for flag in known for name in flag.names]


def _commands() -> dict[str, str]:
    from chaos_runner.cli.main import COMMANDS

    return COMMANDS


def _bash() -> str:
    cases = "\n".join(f"        {name}) words='{' '.join(_words(name))}' ;;" for name in _commands())
    choices = "\n".join(
        f"        {name}:{option}) words='{' '.join(flag.choices)}' ;;"
        for name in _commands()
        for flag in flags(name)
        for option in flag.names
        if flag.choices
    )
    return f"""\
# bash completion for chaos-runner
_chaos_runner() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}" words=''
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W '{" ".join(_commands())} --help --version' -- "$cur"))
        return
    fi
    case "${{COMP_WORDS[1]}}:$prev" in
{choices}
    esac
    if [ -n "$words" ]; then
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
        return
    fi
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur") $(compgen -f -- "$cur"))
}}
complete -o filenames -F _chaos_runner chaos-runner
"""


def _zsh() -> str:
    listed = "\n".join(f"        {_single(f'{name}:{said}')}" for name, said in _commands().items())
    cases = "\n".join(f"        {name}) known=({' '.join(_words(name))}) ;;" for name in _commands())
    return f"""\
#compdef chaos-runner
# zsh completion for chaos-runner
_chaos_runner() {{
    local -a commands known
    commands=(
{listed}
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    case "${{words[2]}}" in
{cases}
    esac
    compadd -a known
    _files
}}
_chaos_runner "$@"
"""


def _fish() -> str:
    lines = ["# fish completion for chaos-runner"]
    lines += [
        f"complete -c chaos-runner -n __fish_use_subcommand -f -a {name} -d {_single(said)}"
        for name, said in _commands().items()
    ]
    for name in _commands():
        seen = f"-n '__fish_seen_subcommand_from {name}'"
        lines += [f"complete -c chaos-runner {seen} {_fish_flag(flag)}" for flag in flags(name)]
    return "\n".join(line for line in lines if not line.endswith(" ")) + "\n"


def _fish_flag(flag: Flag) -> str:
    short = " ".join(f"-s {name[1:]}" for name in flag.names if not name.startswith("--"))
    long = " ".join(f"-l {name[2:]}" for name in flag.names if name.startswith("--"))
    choices = f"-f -a {_single(' '.join(flag.choices))}" if flag.choices else ""
    value = "-r" if flag.names and flag.value else ""
    said = f"-d {_single(flag.help)}" if flag.names else ""
    return " ".join(part for part in (short, long, value, choices, said) if part)


def _single(text: str) -> str:
    """In single quotes, as all three shells read them."""
    return "'" + text.replace("'", "'\\''") + "'"


SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
