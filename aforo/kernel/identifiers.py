"""Identifiers: time-ordered UUIDs for rows, random text for secrets and generated keys."""

from __future__ import annotations

import secrets
import uuid

from .clock import now

_ALPHABET = b"0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz"
# A random byte to a letter, each letter as likely as any other: the bytes left over beyond four times 54 are refused.
_LETTERS = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))
_REFUSED = bytes(range(256 // len(_ALPHABET) * len(_ALPHABET), 256))


def uuid7() -> uuid.UUID:
    """A version 7 UUID (RFC 9562): 48 bits of milliseconds, then 74 random bits; rows sort by creation."""
    milliseconds = int(now().timestamp() * 1000)
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | secrets.randbits(12) << 64
    return uuid.UUID(int=value | 0b10 << 62 | secrets.randbits(62))


def random_text(length: int) -> str:
    """Random letters and digits without look-alikes; 32 of them carry 183 bits."""
    text = b""
    while len(text) < length:
        text += secrets.token_bytes(2 * length).translate(_LETTERS, _REFUSED)
    return text[:length].decode()


def random_bits_63() -> int:
    """A random non-negative number that fits a signed 8-byte column."""
    return secrets.randbits(63)
