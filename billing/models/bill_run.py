"""Bill run: one per tenant and window; owns the progress of its invoices."""

from __future__ import annotations

from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow

from .fields import DateSpan
from .subscription import Subscription


class BillRun(TenantRow):
    """Bills every subscription period whose last local day lies in the window, once.

    The window is [starts_on, ends_on) in local dates, so one run of March holds March of every customer's zone.
    A second run of a window finds the invoices of the first; while one is under way, another of any of its days is refused.

    issues_at: drafts wait until then, and are made again with what has come since, before they are issued.
    """

    class Status(models.TextChoices):
        RUNNING = "RUNNING", "Running"
        COMPLETED = "COMPLETED", "Completed"
        FAILED = "FAILED", "Completed with failures"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    starts_on = models.DateField()
    ends_on = models.DateField()
    scope = models.JSONField(default=dict, help_text='{"customers": ["cust_abc"]}; empty: every customer.')
    auto_finalize = models.BooleanField(default=True)
    issues_at = models.DateTimeField(null=True, help_text="End of the grace period; empty: none.")
    refreshed_at = models.DateTimeField(null=True, help_text="When all drafts were last made anew.")
    events_waiting = models.PositiveBigIntegerField(
        null=True, help_text="Events in the log and not in rows when the run started; empty: not known."
    )
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.RUNNING)
    idempotency_key = models.CharField(max_length=255, null=True)
    request_hash = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField(default=now)
    queued_at = models.DateTimeField(default=now, help_text="When its tasks were last handed to the workers.")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            ExclusionConstraint(
                name="bill_run_one_at_a_time",
                expressions=[("tenant", "="), (DateSpan("starts_on", "ends_on"), "&&")],
                condition=models.Q(status="RUNNING"),
            ),
            models.UniqueConstraint(fields=["tenant", "idempotency_key"], name="bill_run_idempotency_key"),
        ]
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"{self.starts_on} to {self.ends_on}"


class BillRunItem(TenantRow):
    """One subscription's period in a run; a task claims the row, so that two of them never draft it at once.

    moved_at: when the status last changed; a run whose items stand still is taken up again.
    """

    class Status(models.TextChoices):
        PENDING = "PENDING", "Pending"
        DRAFTED = "DRAFTED", "Drafted"
        ISSUED = "ISSUED", "Issued"
        FAILED = "FAILED", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Neither has an index of its own, which the store would take for the narrower ones below where its counts are old.
    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)
    run = models.ForeignKey(BillRun, on_delete=models.CASCADE, related_name="items", db_index=False)
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="+")
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.PENDING)
    invoice = models.ForeignKey("billing.Invoice", null=True, on_delete=models.SET_NULL, related_name="+")
    error = models.TextField(blank=True)
    moved_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run", "subscription", "period_start"], name="bill_run_item_once"
            ),
        ]
        indexes = [models.Index(fields=["run", "status", "id"], name="bill_run_item_status")]
        ordering = ["id"]
