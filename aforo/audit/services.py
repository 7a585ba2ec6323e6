"""Writing the audit, in the transaction of what it tells of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connection

from aforo.kernel.canonical import canonical_value
from aforo.kernel.clock import now
from aforo.tenancy.models import Tenant

from .chain import START, entry_hash
from .models import SUBJECT_MAX, AuditEntry, AuditHead


def audit_write(
    *,
    tenant: Tenant,
    actor: str,
    action: str,
    subject: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Append an entry to the tenant's chain, if the caller's transaction commits.

    actor: a person's name, a key's id, or the task. subject: cut where it is longer than the column. before, after: what was and is; decimals and instants are written as text,
    secrets and personal data are not written at all.
    Locks the head of the chain until the transaction ends; so it is written last.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("an audit entry is written in the transaction of what it tells of")
    AuditHead.objects.bulk_create([AuditHead(tenant=tenant, hash=START)], ignore_conflicts=True)
    head = AuditHead.objects.select_for_update().get(tenant=tenant)
    entry = AuditEntry(
        tenant=tenant,
        sequence=head.sequence + 1,
        at=now(),
        actor=actor,
        action=action,
        subject=subject[:SUBJECT_MAX],
        before=None if before is None else canonical_value(before),
        after=None if after is None else canonical_value(after),
        previous_hash=head.hash,
    )
    entry.hash = entry_hash(entry)
    entry.save(force_insert=True)
    AuditHead.objects.filter(tenant=tenant).update(sequence=entry.sequence, hash=entry.hash)
    return entry
