"""API keys: created, rotated, revoked, and recognised on every request."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.identifiers import random_text

from ..models import SCOPES, ApiKey, Tenant

PUBLIC_ID_LENGTH = 8
SECRET_LENGTH = 32
# Revocation takes effect inside one second everywhere, so a process trusts what it read for less than that.
TRUST_S = 0.8
OUTAGE_TRUST_S = 3_600
LAST_USED_RESOLUTION = timedelta(seconds=10)
KEYS_KEPT_MAX = 10_000


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Who a request acts for: the key, its tenant and what the key may do."""

    key_id: UUID
    tenant: Tenant
    scopes: frozenset[str]
    rate_limit_per_s: int | None = None

    # Django and DRF ask a request's user for these.
    is_authenticated = True
    is_anonymous = False
    is_active = True

    def __str__(self) -> str:
        return f"key {self.key_id} of {self.tenant}"


def secret_hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def api_key_create(
    *,
    tenant: Tenant,
    name: str,
    scopes: Sequence[str] = tuple(SCOPES),
    rate_limit_per_s: int | None = None,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its full text, which is shown this once and never stored.

    Raises Problem input_invalid for an unknown scope.
    """
    unknown = sorted(set(scopes) - SCOPES.keys())
    if unknown:
        raise Problem(
            "input_invalid", f"Unknown scopes: {', '.join(unknown)}.", errors={"scopes": list(SCOPES)}
        )
    public_id, secret = random_text(PUBLIC_ID_LENGTH), random_text(SECRET_LENGTH)
    key = ApiKey.objects.create(
        tenant=tenant,
        name=name,
        public_id=public_id,
        secret_hash=secret_hash(secret),
        scopes=sorted(set(scopes)),
        rate_limit_per_s=rate_limit_per_s,
    )
    return key, f"sk_{tenant.environment}_{public_id}{secret}"


@transaction.atomic
def api_key_revoke(*, tenant: Tenant, key_id: UUID) -> ApiKey:
    """Revoke for good; revoking twice keeps the first time. Locks the key. Raises Problem not_found."""
    key = _locked(tenant, key_id)
    if key.revoked_at is None:
        key.revoked_at = now()
        key.save(update_fields=["revoked_at"])
    _trusted.forget(key.public_id)
    return key


@transaction.atomic
def api_key_rotate(*, tenant: Tenant, key_id: UUID, overlap: timedelta) -> tuple[ApiKey, str]:
    """Make the key's successor and let the old one expire after *overlap*, so that clients can move over.

    Locks the old key. Raises Problem not_found, or state_conflict where the key is revoked or expiring.
    """
    old = _locked(tenant, key_id)
    if old.revoked_at is not None or old.expires_at is not None:
        raise Problem("state_conflict", f"The key {old.masked} is {old.state.lower()} and cannot be rotated.")
    old.expires_at = now() + overlap
    old.save(update_fields=["expires_at"])
    return api_key_create(
        tenant=tenant, name=old.name, scopes=old.scopes, rate_limit_per_s=old.rate_limit_per_s
    )


def _locked(tenant: Tenant, key_id: UUID) -> ApiKey:
    key = (
        ApiKey.objects.of(tenant)
        .select_related("tenant")
        .select_for_update(of=("self",))
        .filter(pk=key_id)
        .first()
    )
    if key is None:
        raise Problem("not_found", f"No API key {key_id}.")
    return key


@dataclass(frozen=True, slots=True)
class _Entry:
    holder: KeyHolder
    secret_hash: str
    expires_at: datetime | None
    is_revoked: bool
    read_at_s: float


class _TrustedKeys:
    """What this process read of keys within the last TRUST_S seconds."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def entry(self, public_id: str) -> _Entry | None:
        entry = self._entries.get(public_id)
        if entry is not None and time.monotonic() - entry.read_at_s < TRUST_S:
            return entry
        try:
            return self._read(public_id)
        except (OperationalError, InterfaceError):
            # Nobody can revoke a key while the database is away, and the event log goes on without it.
            if entry is None or time.monotonic() - entry.read_at_s > OUTAGE_TRUST_S:
                raise
            return entry

    def forget(self, public_id: str) -> None:
        self._entries.pop(public_id, None)

    def _read(self, public_id: str) -> _Entry | None:
        # Read before the query: a revocation that commits meanwhile is then noticed no later than TRUST_S after.
        read_at_s = time.monotonic()
        key = ApiKey.objects.select_related("tenant").filter(public_id=public_id).first()
        if key is None:
            return None
        entry = _Entry(
            holder=KeyHolder(
                key_id=key.pk,
                tenant=key.tenant,
                scopes=frozenset(key.scopes),
                rate_limit_per_s=key.rate_limit_per_s,
            ),
            secret_hash=key.secret_hash,
            expires_at=key.expires_at,
            is_revoked=key.revoked_at is not None,
            read_at_s=read_at_s,
        )
        if key.last_used_at is None or now() - key.last_used_at > LAST_USED_RESOLUTION:
            ApiKey.objects.filter(pk=key.pk).update(last_used_at=now())
        with self._lock:
            if len(self._entries) >= KEYS_KEPT_MAX:
                self._entries.clear()
            self._entries[public_id] = entry
        return entry


_trusted = _TrustedKeys()


def api_key_recognise(text: str) -> KeyHolder:
    """Whose key this is.

    text: the full key, as in `Authorization: Bearer <text>`.
    Raises Problem key_unknown or key_revoked; an unknown id and a wrong secret are told apart by nothing.
    """
    head, _, rest = text.strip().rpartition("_")
    public_id, secret = rest[:PUBLIC_ID_LENGTH], rest[PUBLIC_ID_LENGTH:]
    is_well_formed = head in {"sk_live", "sk_test"} and len(secret) == SECRET_LENGTH and rest.isascii()
    entry = _trusted.entry(public_id) if is_well_formed else None
    expected = entry.secret_hash if entry else "0" * 64
    is_match = hmac.compare_digest(secret_hash(secret), expected)
    if entry is None or not is_match or head != f"sk_{entry.holder.tenant.environment}":
        raise Problem("key_unknown", "The API key is not known here.")
    if entry.is_revoked or (entry.expires_at is not None and entry.expires_at <= now()):
        raise Problem("key_revoked", "The API key was revoked or has expired.")
    return entry.holder
