"""What fills a wallet by itself: top-ups that a payment confirms, and grants that recur."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow

from .fields import AmountField
from .wallet import Wallet, WalletGrant


class WalletTopUpRule(TenantRow):
    """Ask for an amount when less than the threshold is available; so often and so much at most."""

    wallet = models.OneToOneField(
        Wallet, on_delete=models.PROTECT, primary_key=True, related_name="top_up_rule"
    )
    threshold = AmountField(help_text="Asked for while less than this is available.")
    amount = AmountField(help_text="Of each top-up.")
    cool_off_minutes = models.PositiveIntegerField(
        default=60, help_text="From one top-up to the next, however the first one ended."
    )
    monthly_max = AmountField(
        null=True,
        blank=True,
        help_text="Asked for at most in a calendar month of the customer's; empty: no limit.",
    )
    is_active = models.BooleanField(default=True)
    retry_at = models.DateTimeField(
        null=True, editable=False, help_text="Too little is available, and this is when it may be asked for."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="wallet_top_up_rule_positive",
                condition=models.Q(threshold__gt=0, amount__gt=0),
                violation_error_message="Threshold and amount are above zero.",
            ),
            models.CheckConstraint(
                name="wallet_top_up_rule_max",
                condition=models.Q(monthly_max__isnull=True) | models.Q(monthly_max__gte=models.F("amount")),
                violation_error_message="The monthly maximum leaves room for one top-up.",
            ),
        ]

    def __str__(self) -> str:
        return f"Top-up of {self.wallet}"


class WalletTopUp(TenantRow):
    """Money asked for: PENDING, then PAID, which puts a grant in once, or FAILED."""

    class Status(models.TextChoices):
        PENDING = "PENDING", "Pending"
        PAID = "PAID", "Paid"
        FAILED = "FAILED", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="top_ups")
    amount = AmountField()
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.PENDING)
    is_automatic = models.BooleanField(default=False, help_text="Asked for by the wallet's rule.")
    requested_at = models.DateTimeField(default=now, editable=False)
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)
    payment_reference = models.CharField(
        max_length=255, null=True, blank=True, help_text="Of the payment that confirmed it; pays one top-up."
    )
    failure = models.CharField(max_length=200, blank=True)
    grant = models.OneToOneField(
        WalletGrant, null=True, blank=True, on_delete=models.PROTECT, related_name="top_up"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["wallet"], condition=models.Q(status="PENDING"), name="wallet_top_up_one_in_flight"
            ),
            models.UniqueConstraint(fields=["tenant", "payment_reference"], name="wallet_top_up_payment"),
            models.CheckConstraint(
                name="wallet_top_up_positive",
                condition=models.Q(amount__gt=0),
                violation_error_message="A top-up is above zero.",
            ),
            models.CheckConstraint(
                name="wallet_top_up_paid",
                condition=models.Q(
                    status="PAID",
                    closed_at__isnull=False,
                    grant__isnull=False,
                    payment_reference__isnull=False,
                )
                | models.Q(status="PENDING", closed_at__isnull=True, grant__isnull=True)
                | models.Q(status="FAILED", closed_at__isnull=False, grant__isnull=True),
            ),
        ]
        ordering = ["requested_at", "id"]

    def __str__(self) -> str:
        return f"Top-up of {self.wallet}, {self.requested_at:%Y-%m-%d}"
