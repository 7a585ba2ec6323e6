"""Wallet: prepaid money of one customer, in grants that are burned in a fixed order."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import Customer, TenantRow
from aforo.tenancy.models.fields import CurrencyField

from .fields import AmountField


class Wallet(TenantRow):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="wallets")
    currency = CurrencyField(default="USD")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "currency"], name="wallet_one_a_currency")]

    def __str__(self) -> str:
        return f"{self.customer.external_id} {self.currency}"


class WalletGrant(TenantRow):
    """Money put in. Burn order: PROMO, BONUS, CASH; then soonest expiry; then oldest."""

    class Kind(models.TextChoices):
        PROMO = "PROMO", "Promotional"
        BONUS = "BONUS", "Bonus"
        CASH = "CASH", "Paid in"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="grants")
    kind = models.CharField(max_length=5, choices=Kind.choices, default=Kind.CASH)
    amount = AmountField()
    starts_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="wallet_grant_positive",
                condition=models.Q(amount__gt=0),
                violation_error_message="A grant is above zero.",
            ),
            models.CheckConstraint(
                name="wallet_grant_term",
                condition=models.Q(expires_at__isnull=True) | models.Q(expires_at__gt=models.F("starts_at")),
                violation_error_message="A grant expires after it starts.",
            ),
        ]
        ordering = ["created_at", "id"]


class WalletBurn(TenantRow):
    """Money taken out of one grant for one invoice; insert-only, so a balance is grants minus burns."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    grant = models.ForeignKey(WalletGrant, on_delete=models.PROTECT, related_name="burns")
    invoice = models.ForeignKey("billing.Invoice", on_delete=models.PROTECT, related_name="wallet_burns")
    amount = AmountField()
    burned_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["grant", "invoice"], name="wallet_burn_once"),
            models.CheckConstraint(name="wallet_burn_positive", condition=models.Q(amount__gt=0)),
        ]
