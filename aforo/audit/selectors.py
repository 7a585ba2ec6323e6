"""The doors to the audit; each asks for the tenant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import given

from .chain import START, entry_hash
from .models import AuditEntry, AuditHead


def audit_entries_for(
    tenant: Tenant,
    *,
    action: str | None = None,
    actor: str | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[AuditEntry]:
    """The latest first, from *since* until before *until*."""
    filters = given(action=action, actor=actor, subject=subject, at__gte=since, at__lt=until)
    return AuditEntry.objects.of(tenant).filter(**filters)


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """entries: how many were walked. head: "sequence:hash" of the last one. first_wrong: a sentence; None where all is well."""

    entries: int
    head: str
    first_wrong: str | None


def audit_verify(tenant: Tenant, *, known_head: str | None = None) -> AuditVerdict:
    """Walk the tenant's chain from its first entry, and name the first that is wrong.

    known_head: "sequence:hash" as an earlier verdict said and somebody kept elsewhere. Without one, nobody can see that the
    last entries were cut off together with the head that names them.
    """
    # Under the lock of the head, so that what is appended meanwhile is not taken for wrong.
    with transaction.atomic():
        head = AuditHead.objects.of(tenant).select_for_update().first()
        return _walked(tenant, head, known_head)


def _walked(tenant: Tenant, head: AuditHead | None, known_head: str | None) -> AuditVerdict:
    number, before = 0, START
    known_sequence, _, known_hash = (known_head or "").partition(":")

    def verdict(wrong: str | None) -> AuditVerdict:
        return AuditVerdict(number, f"{number}:{before}", wrong)

    for entry in AuditEntry.objects.of(tenant).order_by("sequence").iterator(chunk_size=1_000):
        if entry.sequence != number + 1:
            return verdict(f"Entry {number + 1} is missing; {entry.sequence} follows {number}.")
        if entry.previous_hash != before:
            return verdict(f"Entry {entry.sequence} does not follow the one before it.")
        if entry.hash != entry_hash(entry):
            return verdict(f"Entry {entry.sequence} is not as it was written.")
        number, before = entry.sequence, entry.hash
        if str(number) == known_sequence and before != known_hash:
            return verdict(f"Entry {number} is another than the known head names.")
    if number < (head.sequence if head else 0):
        return verdict(f"Entry {number + 1} is missing; the chain reaches to {head.sequence}.")  # type: ignore[union-attr]
    if number and (head is None or head.hash != before):
        return verdict(f"Entry {number} is not the one that the head names.")
    if known_sequence.isdecimal() and int(known_sequence) > number:
        return verdict(f"Entry {number + 1} is missing; the known head is {known_sequence}.")
    return verdict(None)
