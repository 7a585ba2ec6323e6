"""Request bodies, read as they come and never beyond a limit, whatever their length is said to be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.handlers.wsgi import LimitedStream
from rest_framework.parsers import BaseParser

from aforo.kernel.errors import Problem
from aforo.kernel.texts import is_storable

_CHUNK_BYTES = 256 * 1024
# A body beyond its limit is read on, for its length and hash, up to this many times the limit.
_READ_ON = 4
DOCUMENT_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Body:
    """A body as received. content: all of it, or its first bytes where it is longer than its limit.

    length: bytes read. sha256: hexadecimal, over what was read.
    """

    content: bytes
    length: int
    sha256: str

    @property
    def is_whole(self) -> bool:
        return len(self.content) == self.length


def body_read(meta: Mapping[str, Any], *, bytes_max: int) -> Body:
    """The body, holding no more than *bytes_max* bytes and one chunk of it.

    meta: the request as WSGI describes it (Django's request.META).
    Raises Problem body_unreadable where the connection ended before the body did.
    """
    stream, declared = body_stream(meta)
    digest = hashlib.sha256()
    kept = bytearray()
    length = 0
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
        length += len(chunk)
        if len(kept) < bytes_max:
            kept += chunk[: bytes_max - len(kept)]
        if length > bytes_max * _READ_ON:
            break
    else:
        if declared is not None and length < declared:
            raise _ended(length, declared)
    return Body(bytes(kept), length, digest.hexdigest())


def body_chunks(meta: Mapping[str, Any]) -> Iterator[bytes]:
    """The body as it comes, for a reader that stops by itself where it is too much.

    Raises Problem body_unreadable where the connection ended before the body did.
    """
    stream, declared = body_stream(meta)
    length = 0
    while chunk := stream.read(_CHUNK_BYTES):
        length += len(chunk)
        yield chunk
    if declared is not None and length < declared:
        raise _ended(length, declared)


def _ended(length: int, declared: int) -> Problem:
    return Problem("body_unreadable", f"The body ended after {length:,} of {declared:,} bytes.")


def body_stream(meta: Mapping[str, Any]) -> tuple[Any, int | None]:
    """Where to read from, and how much there should be."""
    stream = meta["wsgi.input"]
    try:
        declared = max(0, int(meta.get("CONTENT_LENGTH") or ""))
    except ValueError:
        declared = None
    # A server that does not end the stream itself would wait for more; ours does, so that a chunked body, which Django
    # takes for empty, is read too.
    if meta.get("wsgi.input_terminated"):
        return stream, declared
    return LimitedStream(stream, declared or 0), declared


class ExactJSONParser(BaseParser):
    """One JSON document of up to 1 MiB; its fractions are Decimals of exactly the value written."""

    media_type = "application/json"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        request = (parser_context or {})["request"]
        body = body_read(request.META, bytes_max=DOCUMENT_BYTES_MAX)
        if not body.is_whole:
            raise Problem(
                "body_too_large",
                f"The body has more than {DOCUMENT_BYTES_MAX:,} bytes.",
                bytes_max=DOCUMENT_BYTES_MAX,
            )
        try:
            document = json.loads(body.content, parse_float=_number, parse_constant=_refuse)
            if not is_storable(document):
                raise ValueError("it has a text with NUL or half of a surrogate pair")
        except (ValueError, RecursionError) as error:
            raise Problem("body_unreadable", f"The body is not valid JSON: {error}.") from None
        return document


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text[:64]} is beyond every exponent") from None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
