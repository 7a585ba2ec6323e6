"""Identifiers: time-ordered UUIDs for rows, random text for secrets and generated keys."""

from __future__ import annotations

import secrets
import threading
import uuid

from .clock import now

_ALPHABET = b"0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz"
# A random byte to a letter, each letter as likely as any other: the bytes left over beyond four times 54 are refused.
_LETTERS = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))
_REFUSED = bytes(range(256 // len(_ALPHABET) * len(_ALPHABET), 256))

_TAIL_BITS = 74
_lock = threading.Lock()
_last = (0, 0)


def uuid7() -> uuid.UUID:
    """A version 7 UUID (RFC 9562): 48 bits of milliseconds, then 74 random bits; rows sort by creation.

    Within one millisecond, and while the clock stands still, a process counts the random bits up by random steps
    (section 6.2, method 2), so that what it makes one after the other also sorts so.
    """
    global _last
    with _lock:
        # Asked under the lock, or a thread that waited would come with an earlier millisecond than the last.
        milliseconds = int(now().timestamp() * 1000)
        if _last[0] == milliseconds:
            tail = _last[1] + 1 + secrets.randbits(48)
        else:
            # The highest bit is left free for counting: 2^25 of the longest steps fit.
            tail = secrets.randbits(_TAIL_BITS - 1)
        _last = (milliseconds, tail)
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | tail >> 62 << 64
    return uuid.UUID(int=value | 0b10 << 62 | tail & (1 << 62) - 1)


def random_text(length: int) -> str:
    """Random letters and digits without look-alikes; 32 of them carry 183 bits."""
    text = b""
    while len(text) < length:
        text += secrets.token_bytes(2 * length).translate(_LETTERS, _REFUSED)
    return text[:length].decode()


def random_bits_63() -> int:
    """A random non-negative number that fits a signed 8-byte column."""
    return secrets.randbits(63)
