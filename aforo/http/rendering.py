"""Answers as compact JSON; exact decimals and instants are text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
from rest_framework.renderers import BaseRenderer

from aforo.kernel.decimals import plain


def _fallback(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    return str(value)


def json_bytes(value: Any) -> bytes:
    return orjson.dumps(value, default=_fallback, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        return b"" if data is None else json_bytes(data)
