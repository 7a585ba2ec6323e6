"""Contract: negotiated terms over a subscription, and the rows that they are made of."""

from __future__ import annotations

from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow
from aforo.tenancy.models.fields import CurrencyField

from .catalog import Charge, Product
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
    renewal_months = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Renewed by so many months at its end; empty: it ends."
    )
    notice_days = models.PositiveSmallIntegerField(
        default=0, help_text="So many days before the end it is renewed, unless it was terminated before."
    )
    terminated_at = models.DateTimeField(null=True, editable=False)

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
            models.CheckConstraint(
                name="contract_renewal",
                condition=models.Q(renewal_months__isnull=True)
                | models.Q(renewal_months__gt=0, ends_on__isnull=False),
                violation_error_message="What is renewed has an end, and is renewed by a month or more.",
            ),
        ]
        ordering = ["code"]

    def clean(self) -> None:
        super().clean()
        check_term(self.starts_on, self.ends_on)

    def __str__(self) -> str:
        return self.code


class ContractTerm(TenantRow):
    """A row of a contract; set when the contract is made, and never changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)

    class Meta:
        abstract = True
        ordering = ["id"]


class ContractScope(ContractTerm):
    """What a term is about: one product, one meter, or with neither of them the whole contract."""

    product = models.ForeignKey(
        Product, null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text="Empty: all."
    )
    meter = models.ForeignKey(
        "metering.MeterRow",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Instead of a product.",
    )

    class Meta(ContractTerm.Meta):
        abstract = True
        constraints = [
            models.CheckConstraint(
                name="%(class)s_scope",
                condition=models.Q(product__isnull=True) | models.Q(meter__isnull=True),
                violation_error_message="It is about a product or about a meter, not both.",
            ),
        ]


class ContractCommitment(ContractScope):
    """The least or the most that is spent in a scope, each month, quarter or year from the contract's start."""

    class Kind(models.TextChoices):
        MINIMUM = "MINIMUM", "Minimum"
        MAXIMUM = "MAXIMUM", "Maximum"

    class Interval(models.TextChoices):
        MONTH = "month", "Month"
        QUARTER = "quarter", "Quarter"
        YEAR = "year", "Year"

    contract = models.ForeignKey(Contract, on_delete=models.CASCADE, related_name="commitments")
    kind = models.CharField(max_length=7, choices=Kind.choices, default=Kind.MINIMUM)
    amount = AmountField()
    period = models.CharField(
        max_length=7, choices=Interval.choices, default=Interval.YEAR, help_text="What the amount is for."
    )
    true_up = models.CharField(
        max_length=7,
        choices=Interval.choices,
        blank=True,
        help_text="How often a shortfall is billed; empty: once a period. A maximum holds on every invoice.",
    )

    class Meta(ContractScope.Meta):
        constraints = [
            *ContractScope.Meta.constraints,
            models.UniqueConstraint(
                fields=["contract", "kind", "product", "meter"],
                nulls_distinct=False,
                name="contract_commitment_one_a_scope",
                violation_error_message="There is one minimum and one maximum of a scope.",
            ),
            models.CheckConstraint(
                name="contract_commitment_amount",
                condition=models.Q(amount__gte=0),
                violation_error_message="The amount is zero or more.",
            ),
        ]


class ContractDiscount(ContractScope):
    """A percentage off a scope's lines, once so much is reached in a billing period; of several steps, the highest."""

    contract = models.ForeignKey(Contract, on_delete=models.CASCADE, related_name="discounts")
    percent = RateField(help_text="5 means 5 %.")
    threshold = RateField(default=0, help_text="From so many units, or so much spent, in a billing period.")
    threshold_meter = models.ForeignKey(
        "metering.MeterRow",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Whose units the threshold counts; empty: money spent in the scope.",
    )

    class Meta(ContractScope.Meta):
        constraints = [
            *ContractScope.Meta.constraints,
            models.UniqueConstraint(
                fields=["contract", "product", "meter", "threshold_meter", "threshold"],
                nulls_distinct=False,
                name="contract_discount_step",
                violation_error_message="There is a step at this threshold already.",
            ),
            models.CheckConstraint(
                name="contract_discount_figures",
                condition=models.Q(percent__gt=0, percent__lte=100, threshold__gte=0),
                violation_error_message="A discount is above 0 and up to 100 percent, from a threshold of zero or more.",
            ),
        ]


class ContractPrice(ContractTerm):
    """Other terms of a charge, inside the contract's term. terms: in the words of `manage.py price`."""

    contract = models.ForeignKey(Contract, on_delete=models.CASCADE, related_name="prices")
    charge = CodeField(help_text="The charge's code on the plan.")
    model = models.CharField(max_length=20, choices=Charge.Model.choices)
    terms = models.JSONField(
        default=dict, blank=True, help_text='In the words of `manage.py price`: {"unit_price": "0.004"}.'
    )

    class Meta(ContractTerm.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["contract", "charge"],
                name="contract_price_one_a_charge",
                violation_error_message="The charge has another price in this contract.",
            ),
        ]


class ContractTrial(ContractTerm):
    """Days from the contract's start in which a product is free."""

    contract = models.ForeignKey(Contract, on_delete=models.CASCADE, related_name="trials")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="+")
    days = models.PositiveSmallIntegerField()

    class Meta(ContractTerm.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["contract", "product"],
                name="contract_trial_one_a_product",
                violation_error_message="The product has another trial in this contract.",
            ),
            models.CheckConstraint(
                name="contract_trial_days",
                condition=models.Q(days__gt=0),
                violation_error_message="A trial has a day or more.",
            ),
        ]


class ContractRenewal(TenantRow):
    """One more term of a contract, [starts_on, ends_on); never edited."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    contract = models.ForeignKey(Contract, on_delete=models.PROTECT, related_name="renewals")
    starts_on = models.DateField()
    ends_on = models.DateField()
    renewed_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["contract", "starts_on"], name="contract_renewal_once"),
        ]
        ordering = ["starts_on"]
