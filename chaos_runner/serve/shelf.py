"""The folder of reports as it is: pages, JSON and JUnit files, and nothing else of the disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from chaos_runner.serve import paper
from chaos_runner.serve.door import Visitor
from chaos_runner.serve.refusing import Refused, not_found
from chaos_runner.serve.site import Site

KINDS = {".html": "text/html", ".json": "application/json", ".xml": "application/xml"}
BYTES_MAX = 64 << 20
PARTS_MAX = 8


async def file(site: Site, request: Request, _form: dict[str, str], _visitor: Visitor | None) -> Response:
    """One file of the folder; a folder stands for its index.html."""
    told = str(request.path_params["path"])
    return await anyio.to_thread.run_sync(_answer, site.setting.reports, told, limiter=site.press)


def _answer(reports: Path, told: str) -> Response:
    name = f"{told}index.html" if not told or told.endswith("/") else told
    ending = Path(name).suffix
    parts = name.split("/")
    if ending not in KINDS or len(parts) > PARTS_MAX or any(not one or one[0] == "." or "\0" in one for one in parts):
        raise not_found()
    content = _content(reports, parts)
    return paper.report(content) if ending == ".html" else Response(content, media_type=KINDS[ending])


def _content(reports: Path, parts: list[str]) -> bytes:
    """What is in the file; no link on the way to it is followed."""
    try:
        folder = os.open(reports, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in parts[:-1]:
            folder = _inside(folder, part, os.O_DIRECTORY)
        fd = _inside(folder, parts[-1], os.O_NONBLOCK)
    except (OSError, ValueError):  # also names that no file can have
        raise not_found() from None
    with os.fdopen(fd, "rb") as file:
        seen = os.fstat(fd)
        if not stat.S_ISREG(seen.st_mode):
            raise not_found()
        if seen.st_size > BYTES_MAX:
            raise Refused(413, f"This file is larger than {BYTES_MAX >> 20} MiB.")
        return file.read(BYTES_MAX)


def _inside(folder: int, name: str, flags: int) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=folder)
    finally:
        os.close(folder)
