"""Writes files for people to go on with: never over one that is there. And the line that editors find a schema by."""

from __future__ import annotations

import os
from pathlib import Path

SCHEMAS = ".chaos-runner-schema"
KINDS = ("experiment", "scenario", "config", "checks")


def placed(path: Path, text: str) -> bool:
    """Writes the file with its folders; False where something is there already. Raises Usage."""
    from chaos_runner.cli.trouble import Usage

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        if path.parent.is_dir():
            return False
        msg = f"{path.parent} is not a folder"
        raise Usage(msg) from None
    except OSError as why:
        msg = f"{path} cannot be written: {(why.strerror or str(why)).lower()}"
        raise Usage(msg) from None
    return True


def modeline(file: Path, root: Path, kind: str) -> str:
    """What yaml-language-server reads: where the schema of this file is, seen from the file."""
    schema = os.path.relpath(root / SCHEMAS / f"{kind}.json", file.parent)
    return f"# yaml-language-server: $schema={schema}"


def schema_text(kind: str) -> str:
    """The JSON Schema of a file kind, as it is written to disk."""
    import msgspec

    from chaos_runner.cli import schema

    return msgspec.json.format(msgspec.json.encode(schema.of(kind)), indent=2).decode() + "\n"
