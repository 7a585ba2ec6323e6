"""Contract: negotiated terms over a subscription."""

from __future__ import annotations

from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import models

from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow
from aforo.tenancy.models.fields import CurrencyField

from .fields import AmountField, CodeField, DateSpan, RateField, check_term
from .subscription import Subscription


class Contract(TenantRow):
    """Least and most spend of each billing period inside the term, and a discount.

    The term is [starts_on, ends_on) in the customer's zone; a period that it cuts counts in proportion.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = CodeField()
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="contracts")
    currency = CurrencyField(default="USD")
    starts_on = models.DateField()
    ends_on = models.DateField(
        null=True, blank=True, help_text="First day no longer in the term; empty: open."
    )
    minimum_amount = AmountField(null=True, blank=True, help_text="Committed minimum of each billing period.")
    maximum_amount = AmountField(null=True, blank=True, help_text="Committed maximum of each billing period.")
    discount_percent = RateField(null=True, blank=True)
    payment_terms_days = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Net days; empty: the offering's."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "code"], name="contract_code"),
            models.CheckConstraint(
                name="contract_term",
                condition=models.Q(ends_on__isnull=True) | models.Q(ends_on__gt=models.F("starts_on")),
                violation_error_message="The term ends after it starts.",
            ),
            ExclusionConstraint(
                name="contract_one_at_a_time",
                expressions=[("subscription", "="), (DateSpan("starts_on", "ends_on"), "&&")],
                violation_error_message="The subscription has another contract in this term.",
            ),
            models.CheckConstraint(
                name="contract_figures",
                condition=models.Q(
                    models.Q(minimum_amount__isnull=True) | models.Q(minimum_amount__gte=0),
                    models.Q(maximum_amount__isnull=True) | models.Q(maximum_amount__gte=0),
                    models.Q(discount_percent__isnull=True) | models.Q(discount_percent__range=(0, 100)),
                ),
                violation_error_message="Amounts are zero or more, and a discount is up to 100 percent.",
            ),
            models.CheckConstraint(
                name="contract_minimum_below_maximum",
                condition=models.Q(minimum_amount__isnull=True)
                | models.Q(maximum_amount__isnull=True)
                | models.Q(minimum_amount__lte=models.F("maximum_amount")),
                violation_error_message="The minimum is at most the maximum.",
            ),
        ]
        ordering = ["code"]

    def clean(self) -> None:
        super().clean()
        check_term(self.starts_on, self.ends_on)

    def __str__(self) -> str:
        return self.code
