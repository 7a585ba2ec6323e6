"""Audit entries, chained, and the head of each tenant's chain."""

from __future__ import annotations

from django.db import models

from aforo.tenancy.models import TenantRow

SUBJECT_MAX = 320


class AuditEntry(TenantRow):
    """Who did what to what, when, and what it was before and after. Triggers refuse to change or remove one.

    hash: SHA-256 over the entry and previous_hash, as `aforo.audit.chain` writes them.
    """

    id = models.BigAutoField(primary_key=True)
    sequence = models.BigIntegerField(help_text="Of the tenant: 1, 2, 3 …")
    at = models.DateTimeField()
    actor = models.CharField(max_length=255, help_text="A person, a key's id, or the task that did it.")
    action = models.CharField(max_length=64, help_text="Such as margin_policy.edited.")
    subject = models.CharField(
        max_length=SUBJECT_MAX, help_text="What it was done to, such as margin policy standard."
    )
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    previous_hash = models.CharField(max_length=64, help_text="Of the entry before; of the first one: zeros.")
    hash = models.CharField(max_length=64)

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"
        constraints = [models.UniqueConstraint(fields=["tenant", "sequence"], name="audit_entry_sequence")]
        ordering = ["-sequence"]

    def __str__(self) -> str:
        return f"{self.sequence} · {self.action}"


class AuditHead(TenantRow):
    """The last entry of a tenant's chain. Whoever writes the next one locks it, so that no two follow the same."""

    tenant = models.OneToOneField(
        "tenancy.Tenant", on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    sequence = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64)
