"""Secrets that we must be able to use again, sealed before they are stored: a copy of the database does not hold them.

The key is made of SECRET_KEY; what was sealed under one of SECRET_KEY_FALLBACKS is still read.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

_PURPOSE = b"aforo: sealed secrets"


class Unsealable(ValueError):
    """Bytes that were sealed under another SECRET_KEY, or never."""


def seal(secret: str) -> bytes:
    """The secret, encrypted and authenticated (Fernet)."""
    return _fernet().encrypt(secret.encode())


def unseal(sealed: bytes) -> str:
    """The secret that was sealed. Raises Unsealable."""
    try:
        return _fernet().decrypt(bytes(sealed)).decode()
    except InvalidToken:
        raise Unsealable("The secret was sealed under another SECRET_KEY.") from None


def _fernet() -> MultiFernet:
    texts = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet(
        [Fernet(urlsafe_b64encode(hmac.digest(text.encode(), _PURPOSE, "sha256"))) for text in texts]
    )
