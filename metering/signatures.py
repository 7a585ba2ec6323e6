"""Signatures of webhooks: HMAC-SHA256 over what was sent, compared in constant time.

standard    headers webhook-id, webhook-timestamp and webhook-signature; signed is `id.timestamp.body`
            (Standard Webhooks; the key is what stands in base64 behind whsec_)
plain       header X-Signature: sha256=<hexadecimal>; signed is the body (the key is the text of the secret)
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

PREFIX = "whsec_"
KEY_BYTES_MIN, KEY_BYTES_MAX = 24, 64
TEXT_LENGTH_MIN, TEXT_LENGTH_MAX = 16, 255
# A sender may sign with some secrets while it changes them, not with any number.
SIGNATURES_MAX = 10


def standard_key(secret: str) -> bytes:
    """The key of a secret such as whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw. Raises ValueError with a sentence."""
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise ValueError(
            f"is not {PREFIX} followed by {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes in base64, as Standard Webhooks has it"
        )
    return key


def plain_key(secret: str) -> bytes:
    """The key of any other secret. Raises ValueError with a sentence."""
    is_text = secret.isascii() and secret.isprintable()
    if not is_text or not TEXT_LENGTH_MIN <= len(secret) <= TEXT_LENGTH_MAX:
        raise ValueError(f"is not {TEXT_LENGTH_MIN} to {TEXT_LENGTH_MAX} printable ASCII characters")
    return secret.encode()


def is_standard_signature(
    keys: Sequence[bytes], *, message_id: str, timestamp: str, body: bytes, header: str
) -> bool:
    """Whether the header webhook-signature has a signature by one of the keys: `v1,<base64> v1,<base64> …`."""
    given = [each for each in header.split(" ")[:SIGNATURES_MAX] if each.startswith("v1,")]
    return _is_any_equal(
        given,
        (standard_signature(key, message_id=message_id, timestamp=timestamp, body=body) for key in keys),
    )


def standard_signature(key: bytes, *, message_id: str, timestamp: str, body: bytes) -> str:
    """What the header webhook-signature says: `v1,<base64>`."""
    return "v1," + b64encode(_hmac(key, f"{message_id}.{timestamp}.".encode() + body)).decode()


def is_plain_signature(keys: Sequence[bytes], *, body: bytes, header: str) -> bool:
    """Whether the header X-Signature is `sha256=<hexadecimal>` by one of the keys."""
    scheme, _, given = header.partition("=")
    if scheme.lower() != "sha256":
        return False
    return _is_any_equal([given.lower()], (_hmac(key, body).hex() for key in keys))


def signed_at(timestamp: str) -> datetime | None:
    """The instant of the header webhook-timestamp, whole seconds since 1970; None where it is none."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 11):
        return None
    return datetime.fromtimestamp(int(timestamp), UTC)


def _hmac(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256")


def _is_any_equal(given: Iterable[str], expected: Iterable[str]) -> bool:
    given, is_equal = list(given), False
    for one in expected:
        for other in given:
            # Without a way out at the first match: its time would tell which it was.
            is_equal |= hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogatepass"))
    return is_equal
