"""API keys as a site recognises them: by records in its own Redis, so that no decision asks the origin."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.tenancy.models.tenant import path_parts
from aforo.tenancy.services.api_keys import PUBLIC_ID_LENGTH, SECRET_LENGTH, secret_hash

from .store import EdgeStore

# Revocation takes effect inside a second: who was recognised is trusted for less, and the record comes within half of one.
TRUST_S = 0.3
HOLDERS_KEPT_MAX = 10_000


@dataclass(frozen=True, slots=True)
class EdgeHolder:
    """Who a call acts for. tenant: as "acme_corp/live"."""

    key_id: str
    tenant: str
    scopes: frozenset[str]
    rate_limit_per_s: int | None


class EdgeKeys:
    """Recognises keys at one site; safe between threads."""

    def __init__(self, store: EdgeStore) -> None:
        self._store = store
        # By digests, so that no key is kept.
        self._holders: dict[tuple[bytes, str | None], tuple[float, EdgeHolder]] = {}

    def holder(self, authorization: str | None, tenant_header: str | None) -> EdgeHolder | None:
        """Whose key this is; None where the site does not know the key.

        Raises Problem key_missing, key_unknown for a wrong secret, key_revoked, tenant_mismatch; redis.RedisError where the
        site cannot be asked.
        """
        if not authorization:
            raise Problem("key_missing", "The header Authorization is missing.")
        name = (hashlib.sha256(authorization.encode()).digest(), tenant_header)
        known_at_s, known = self._holders.get(name, (0.0, None))
        at_s = time.monotonic()
        if known is not None and at_s - known_at_s < TRUST_S:
            return known
        holder = self._recognised(authorization, tenant_header)
        if holder is not None:
            if len(self._holders) >= HOLDERS_KEPT_MAX:
                self._holders.clear()
            self._holders[name] = (at_s, holder)
        return holder

    def _recognised(self, authorization: str, tenant_header: str | None) -> EdgeHolder | None:
        scheme, _, text = authorization.partition(" ")
        text = text.strip()
        if scheme.lower() != "bearer" or not text:
            raise Problem("key_missing", "The header Authorization is not of the form `Bearer sk_live_…`.")
        head, _, rest = text.rpartition("_")
        public_id, secret = rest[:PUBLIC_ID_LENGTH], rest[PUBLIC_ID_LENGTH:]
        if head not in {"sk_live", "sk_test"} or len(secret) != SECRET_LENGTH or not rest.isascii():
            raise Problem("key_unknown", "The API key is not known here.")
        record = self._store.api_key(public_id)
        if record is None:
            return None
        slug, environment = path_parts(record.tenant)
        is_match = hmac.compare_digest(secret_hash(secret), record.secret_hash)
        if not is_match or head != f"sk_{environment}":
            raise Problem("key_unknown", "The API key is not known here.")
        has_expired = record.expires_at_ms is not None and record.expires_at_ms <= now().timestamp() * 1000
        if record.is_revoked or has_expired:
            raise Problem("key_revoked", "The API key was revoked or has expired.")
        if tenant_header is not None and tenant_header.strip() != slug:
            raise Problem(
                "tenant_mismatch", f"X-Tenant-Id says {tenant_header!r}, which is not the key's tenant."
            )
        return EdgeHolder(record.key_id, record.tenant, frozenset(record.scopes), record.rate_limit_per_s)
