"""A POST that is sent again: header Idempotency-Key makes it one request, whose answer is given again.

The key, what was done and the answer are one transaction, so that a crash leaves all of them or none. Two at once wait
for each other. A refusal changed nothing and is not kept: the request may be corrected and sent under the same key.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import orjson
from django.db import transaction
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from aforo.kernel.canonical import content_hash
from aforo.kernel.errors import Problem
from aforo.kernel.texts import is_storable

from .models import GivenAnswer
from .rendering import json_bytes

KEY_LENGTH_MAX = 255
REPLAYED = "Idempotent-Replayed"

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Any text of yours for this request. Sent again with the same body, it gives the same answer and the "
    f"header `{REPLAYED}: true`, and changes nothing; with another body it is refused.",
)

Post = Callable[..., Response]


def idempotent(post: Post | None = None, *, shown_once: tuple[str, ...] = ()) -> Any:
    """Make a view's `post` one request per key of a tenant; without the header it is called as ever.

    shown_once: members of the answer that are not kept and are null when it is given again, such as a secret.
    Raises Problem input_invalid for a key that is none, idempotency_reused for another request under a used key.
    """

    def decorated(post: Post) -> Post:
        @wraps(post)
        def once(view: Any, request: Request, **named: Any) -> Response:
            key = idempotency_key(request)
            if key is None:
                return post(view, request, **named)
            with transaction.atomic():
                return _answered(post, view, request, named, key, shown_once)

        return once

    return decorated if post is None else decorated(post)


def idempotency_key(request: Request) -> str | None:
    """The header's value; None without it. Raises Problem input_invalid unless it is 1 to 255 printable characters."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= KEY_LENGTH_MAX and is_storable(key) and key.isprintable()):
        sentence = f"Idempotency-Key has 1 to {KEY_LENGTH_MAX} printable characters."
        raise Problem("input_invalid", sentence, errors={"Idempotency-Key": [sentence]})
    return key


def _answered(
    post: Post, view: Any, request: Request, named: dict[str, Any], key: str, shown_once: tuple[str, ...]
) -> Response:
    request_hash = _request_hash(request)
    # A second request under the key waits here until the first one has committed, or has failed and left nothing.
    given, is_new = GivenAnswer.objects.get_or_create(
        tenant=request.user.tenant, key=key, defaults={"request_hash": request_hash}
    )
    if is_new:
        response = post(view, request, **named)
        given.status = response.status_code
        given.body = json_bytes({**response.data, **dict.fromkeys(shown_once)})
        given.save(update_fields=["status", "body"])
        return response
    if given.request_hash != request_hash:
        raise Problem("idempotency_reused", f"The key {key!r} belongs to another request.")
    return Response(orjson.loads(given.body), status=given.status, headers={REPLAYED: "true"})


def _request_hash(request: Request) -> str:
    try:
        return content_hash({"method": request.method, "address": request.path, "body": request.data})
    except RecursionError:
        raise Problem("body_too_deep", "The body is nested too deeply.") from None
