"""From template to response: escaping always on, style and script known by their hashes, nothing from elsewhere."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from importlib import resources
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup
from starlette.responses import Response

from chaos_runner.render import text
from chaos_runner.serve import picture

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {
    "content-security-policy": f"{NOTHING}; sandbox",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",  # with no-referrer, browsers would not say where a form came from
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""What every answer says unless it says otherwise itself."""
_OWN_POLICY = re.compile(rb'<meta http-equiv="Content-Security-Policy" content="([^"<>]{1,4000})">')
_HEAD_BYTES = 4096


def page(template: str, script: str = "", *, status: int = 200, **view: Any) -> Response:
    """A page of ours, with these scripts."""
    own = "".join(_asset(one) for one in script.split())
    body = _templates().get_template(template).render(style=Markup(_style()), script=Markup(own), **view)  # noqa: S704
    return Response(
        body.encode(),
        status,
        {"content-security-policy": _policy(own)},
        media_type="text/html; charset=utf-8",
    )


def fragment(template: str, **view: Any) -> str:
    """A part of a page, as the page itself has it."""
    return _templates().get_template(template).render(**view)


def answer(value: object, status: int = 200) -> Response:
    """JSON for a program."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def report(content: bytes) -> Response:
    """A report as it was rendered: under the policy that it brought along; one without is shown without scripts."""
    found = _OWN_POLICY.search(content, 0, _HEAD_BYTES)
    told = found[1].decode("ascii", "replace").replace("&#39;", "'") if found else ""
    strict = told.startswith("default-src 'none';") and "unsafe" not in told and "frame-ancestors" not in told
    policy = f"{told}; frame-ancestors 'self'" if strict else f"{NOTHING}; style-src 'unsafe-inline'; sandbox"
    headers = {"content-security-policy": policy, "x-frame-options": "SAMEORIGIN"}
    return Response(content, 200, headers, media_type="text/html; charset=utf-8")


def _policy(script: str) -> str:
    allowed = f"script-src '{_hash(script)}'; connect-src 'self'; frame-src 'self'; " if script else ""
    return (
        f"default-src 'none'; style-src '{_hash(_style())}'; {allowed}img-src data:; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


@functools.cache
def _style() -> str:
    """That of the reports, and what only pages of ours have."""
    reports = resources.files("chaos_runner.render.html").joinpath("style.css").read_text("utf-8")
    return reports + _asset("serve.css")


@functools.cache
def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


@functools.cache
def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_cleaned,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals["path"] = picture.path
    return made


def _cleaned(value: Any) -> Any:
    return value if isinstance(value, Markup) else text.clean(value)
