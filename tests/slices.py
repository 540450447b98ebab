"""What is tried at every change, and the rest of a campaign: `make test-campaign`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


def thin(every: Iterable[T], always: Callable[[T], bool]) -> list[Any]:
    """All of them as parameters; those that are not tried at every change are marked."""
    return [one if always(one) else pytest.param(one, marks=pytest.mark.campaign) for one in every]


def asked(request: pytest.FixtureRequest, name: str) -> list[Any]:
    """The values of a parameter that the chosen tests of this module have, each once, in their order."""
    chosen = (item for item in request.session.items if item.path == request.path)
    params = [
        item.callspec.params for item in chosen if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    return list(dict.fromkeys(one[name] for one in params if name in one))
