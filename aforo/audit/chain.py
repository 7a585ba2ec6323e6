"""The chain of a tenant's audit entries: each hash covers the one before, so that none can be changed, moved or left out."""

from __future__ import annotations

from aforo.kernel.canonical import canonical_json, sha256_hex

from .models import AuditEntry

# Before the first entry.
START = "0" * 64


def entry_hash(entry: AuditEntry) -> str:
    """SHA-256 over the entry's fields, each with its length before it: "ab" and "c" are not "a" and "bc"."""
    fields = (
        str(entry.tenant_id),
        str(entry.sequence),
        canonical_json(entry.at).decode(),
        entry.actor,
        entry.action,
        entry.subject,
        canonical_json(entry.before).decode(),
        canonical_json(entry.after).decode(),
        entry.previous_hash,
    )
    parts = [field.encode() for field in fields]
    return sha256_hex(b"".join(len(part).to_bytes(4, "big") + part for part in parts))
