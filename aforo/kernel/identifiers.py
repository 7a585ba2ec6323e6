"""Identifiers: time-ordered UUIDs for rows, random text for secrets and generated keys."""

from __future__ import annotations

import secrets
import uuid

from .clock import now

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz"


def uuid7() -> uuid.UUID:
    """A version 7 UUID (RFC 9562): 48 bits of milliseconds, then 74 random bits; rows sort by creation."""
    milliseconds = int(now().timestamp() * 1000)
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | secrets.randbits(12) << 64
    return uuid.UUID(int=value | 0b10 << 62 | secrets.randbits(62))


def random_text(length: int) -> str:
    """Random letters and digits without look-alikes; 32 of them carry 183 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def random_bits_63() -> int:
    """A random non-negative number that fits a signed 8-byte column."""
    return secrets.randbits(63)
