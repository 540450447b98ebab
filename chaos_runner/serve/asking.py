"""What a request brought: the id in its address, the fields of its form. All limited."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

import anyio
from starlette.requests import ClientDisconnect, Request

from chaos_runner.serve.refusing import Refused, not_found

BODY_BYTES_MAX = 64 << 10
BODY_S = 10.0
FIELDS_MAX = 20
FORM = "application/x-www-form-urlencoded"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def given_id(request: Request) -> str:
    """The id in the address. Raises Refused for what can be none."""
    told = str(request.path_params["id"])
    if not _ID.fullmatch(told):
        raise not_found()
    return told


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, the last of each name. Raises Refused for what is none, too large, or too slow."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        raise Refused(415, f"A form is sent as {FORM}.")
    body = bytearray()
    try:
        with anyio.fail_after(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    raise Refused(413, f"That is more than {BODY_BYTES_MAX >> 10} KiB.")
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ClientDisconnect:
        raise Refused(400, "The request broke off.") from None
    except TimeoutError:
        raise Refused(408, "The request did not come to its end in time.") from None
    except ValueError:
        raise Refused(400, "That is no form.") from None
    return dict(pairs)
