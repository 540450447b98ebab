"""The one way from template to bytes: escaping always on, the page's own style and script known by their hashes."""

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

from chaos_runner.render import text

TEXT_MAX = 4000  # of one text; a page of a hundred long ones is still a page

LINK = re.compile(r"[A-Za-z0-9%._~/#-]*\.html")  # cut, it would lead nowhere


class Whole(str):
    """A text with a limit of its own, shown as it is."""

    __slots__ = ()


def printed(template: str, script: str = "", more_style: str = "", **view: Any) -> bytes:
    """The page as UTF-8. Files of another folder of `render` are named with it: `gameday/day.html.j2`."""
    style = _asset("style.css") + (_asset(more_style) if more_style else "")
    own = Markup(_asset(script)) if script else Markup("")  # noqa: S704 -- a file of this package
    page = (
        _templates()
        .get_template(template)
        .render(
            style=Markup(style),  # noqa: S704 -- a file of this package
            script=own,
            policy=_policy(style, str(own)),
            **view,
        )
    )
    return page.encode()


def trusted(markup: str) -> Markup:
    """Markup that `svg.el` built, with every foreign text escaped by it."""
    return Markup(markup)  # noqa: S704


def json_block(value: object) -> Markup:
    """JSON for a script element that nothing in it can end."""
    encoded = msgspec.json.encode(value).decode()
    for letter in "<>&\u2028\u2029":
        encoded = encoded.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(encoded)  # noqa: S704


def fingerprint(*names: str) -> str:
    """A hash over these templates, styles and scripts."""
    return hashlib.sha256("\0".join(map(_asset, names)).encode()).hexdigest()


def _policy(style: str, script: str) -> str:
    allowed = f"script-src '{_hash(script)}'; " if script else ""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; {allowed}img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


@functools.cache
def _asset(name: str) -> str:
    return resources.files("chaos_runner.render").joinpath(name if "/" in name else f"html/{name}").read_text("utf-8")


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_cleaned,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _cleaned(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    if isinstance(value, Whole) or (isinstance(value, str) and LINK.fullmatch(value)):
        return text.clean(value)
    return text.bounded(value, TEXT_MAX)
