"""Coupons, and the subscriptions they are attached to."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow
from aforo.tenancy.models.fields import CurrencyField

from .fields import AmountField, CodeField, RateField
from .subscription import Subscription


class Coupon(TenantRow):
    class Kind(models.TextChoices):
        PERCENTAGE = "PERCENTAGE", "Percentage"
        FIXED_AMOUNT = "FIXED_AMOUNT", "Fixed amount"

    class Duration(models.TextChoices):
        ONCE = "ONCE", "Once"
        REPEATING = "REPEATING", "Repeating for some periods"
        FOREVER = "FOREVER", "For ever"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = CodeField()
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    percent = RateField(null=True, blank=True, help_text="5 means 5 %.")
    amount = AmountField(null=True, blank=True)
    currency = CurrencyField(default="USD", help_text="Of the fixed amount.")
    duration = models.CharField(max_length=9, choices=Duration.choices, default=Duration.FOREVER)
    duration_periods = models.PositiveSmallIntegerField(null=True, blank=True, help_text="For repeating.")
    redemptions_max = models.PositiveIntegerField(
        null=True, blank=True, help_text="Over all customers; empty: no limit."
    )
    redemptions_max_per_customer = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of one customer's subscriptions; empty: no limit."
    )
    redemption_count = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "code"], name="coupon_code"),
            models.CheckConstraint(
                name="coupon_value_by_kind",
                # Not null is said, too: a comparison with null is neither true nor false, and CHECK lets that pass.
                condition=models.Q(
                    kind="PERCENTAGE",
                    percent__isnull=False,
                    percent__gt=0,
                    percent__lte=100,
                    amount__isnull=True,
                )
                | models.Q(kind="FIXED_AMOUNT", amount__isnull=False, amount__gt=0, percent__isnull=True),
                violation_error_message="A percentage coupon has a percent up to 100, a fixed one an amount.",
            ),
            models.CheckConstraint(
                name="coupon_periods_by_duration",
                condition=models.Q(
                    duration="REPEATING", duration_periods__isnull=False, duration_periods__gt=0
                )
                | (~models.Q(duration="REPEATING") & models.Q(duration_periods__isnull=True)),
                violation_error_message="A repeating coupon, and no other, says for how many periods.",
            ),
            models.CheckConstraint(
                name="coupon_redemptions",
                condition=models.Q(redemptions_max__isnull=True)
                | models.Q(redemption_count__lte=models.F("redemptions_max")),
                violation_error_message="The coupon is used up.",
            ),
        ]
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class CouponRedemption(TenantRow):
    """A coupon attached to a subscription; coupons apply in the order they were attached."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    coupon = models.ForeignKey(Coupon, on_delete=models.PROTECT, related_name="redemptions")
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="coupons")
    redeemed_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["coupon", "subscription"], name="coupon_once_a_subscription")
        ]
        ordering = ["redeemed_at", "id"]
