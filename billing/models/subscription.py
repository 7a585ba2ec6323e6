"""Subscription: a customer on an offering, and the items that say which plan version it holds when."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import Customer, TenantRow

from .catalog import Interval, Offering, RatePlanVersion
from .fields import AmountField, CodeField, RateField


class SubscriptionState(models.TextChoices):
    CREATED = "CREATED", "Created"
    TRIALING = "TRIALING", "Trialing"
    ACTIVE = "ACTIVE", "Active"
    PAST_DUE = "PAST_DUE", "Past due"
    PAUSED = "PAUSED", "Paused"
    EXPIRING_SOON = "EXPIRING_SOON", "Expiring soon"
    SUSPENDED = "SUSPENDED", "Suspended"
    EXPIRED = "EXPIRED", "Expired"
    CANCELLED = "CANCELLED", "Cancelled"


LEGAL_MOVES: dict[str, frozenset[str]] = {
    "CREATED": frozenset({"TRIALING", "ACTIVE", "CANCELLED"}),
    "TRIALING": frozenset({"ACTIVE", "CANCELLED", "PAUSED"}),
    "ACTIVE": frozenset({"PAST_DUE", "PAUSED", "EXPIRING_SOON", "EXPIRED", "CANCELLED", "SUSPENDED"}),
    "PAST_DUE": frozenset({"ACTIVE", "SUSPENDED", "CANCELLED", "EXPIRED"}),
    "PAUSED": frozenset({"ACTIVE", "CANCELLED", "EXPIRED"}),
    "EXPIRING_SOON": frozenset({"ACTIVE", "EXPIRED", "CANCELLED"}),
    "SUSPENDED": frozenset({"ACTIVE", "CANCELLED", "EXPIRED"}),
    "EXPIRED": frozenset(),
    "CANCELLED": frozenset(),
}


ENDED = frozenset(state for state, moves in LEGAL_MOVES.items() if not moves)


class Subscription(TenantRow):
    """Periods of one interval from the anchor's day, cut at midnight in the customer's zone.

    starts_at: its first instant. ends_at: the first instant no longer billed; null while open, and the same as
    starts_at where it was cancelled before it started.
    anchor_on: the local date that sets the boundaries; the interval's first for calendar periods.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = CodeField(help_text="The tenant's own name of it.")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="subscriptions")
    offering = models.ForeignKey(Offering, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(
        max_length=13, choices=SubscriptionState.choices, default=SubscriptionState.CREATED, editable=False
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    interval = models.CharField(
        max_length=7, choices=Interval.choices, default=Interval.MONTH, editable=False
    )
    anchor_on = models.DateField()
    created_at = models.DateTimeField(default=now, editable=False)
    # Set by a trigger to the database's own clock at every write: whoever keeps subscriptions in memory asks for it.
    touched_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "code"], name="subscription_code"),
            models.CheckConstraint(
                name="subscription_span",
                condition=models.Q(ends_at__isnull=True) | models.Q(ends_at__gte=models.F("starts_at")),
                violation_error_message="A subscription does not end before it starts.",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "customer"], name="subscription_customer"),
            models.Index(fields=["tenant", "touched_at"], name="subscription_touched"),
        ]
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.customer.external_id}: {self.code}"


class SubscriptionItem(TenantRow):
    """A stretch of time in which a subscription holds a plan version, in a quantity. The items of a plan never overlap.

    offering: what it is sold by: the subscription's own, or an add-on. quantity: how often its fees are due; usage does
    not ask for it. ends_at: null while it is open; it ends with its subscription anyway.
    trial_ends_at: its first billed instant where it has a trial, which may lie outside of the stretch.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="items")
    offering = models.ForeignKey(Offering, on_delete=models.PROTECT, related_name="+")
    plan_version = models.ForeignKey(RatePlanVersion, on_delete=models.PROTECT, related_name="items")
    quantity = RateField(default=1)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    trial_ends_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="subscription_item_span",
                condition=models.Q(ends_at__isnull=True) | models.Q(ends_at__gte=models.F("starts_at")),
                violation_error_message="An item does not end before it starts.",
            ),
            models.CheckConstraint(
                name="subscription_item_quantity",
                condition=models.Q(quantity__gte=0),
                violation_error_message="A quantity is zero or more.",
            ),
        ]
        ordering = ["starts_at", "id"]

    def __str__(self) -> str:
        return f"{self.quantity.normalize():f} × {self.plan_version}"


class SetupFee(TenantRow):
    """What an offering costs once: agreed when it is bought, and never due again, whatever is paused, changed or added.

    due_at: the first billed instant; the invoice of the period that holds it bills the fee.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="setup_fees")
    offering = models.ForeignKey(Offering, on_delete=models.PROTECT, related_name="+")
    amount = AmountField()
    due_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subscription", "offering"], name="setup_fee_once"),
        ]
        ordering = ["due_at", "id"]

    def __str__(self) -> str:
        return f"{self.offering}: {self.amount}"


class SubscriptionPhase(TenantRow):
    """One move of a subscription's state; never edited."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="phases")
    before = models.CharField(max_length=13, choices=SubscriptionState.choices, blank=True)
    after = models.CharField(max_length=13, choices=SubscriptionState.choices)
    reason = models.CharField(max_length=200, blank=True)
    moved_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["moved_at", "id"]
