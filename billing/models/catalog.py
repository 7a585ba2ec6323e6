"""Catalog: products, rate plans and their versions, charges with tiers, and the offerings customers buy."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow
from aforo.tenancy.models.fields import CurrencyField

from .fields import AmountField, CodeField, RateField


class Product(TenantRow):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = CodeField()
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    tax_category = CodeField(
        blank=True,
        help_text="Finds rates of its own in the tax table, such as e-books; empty: the general ones.",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "code"], name="product_code")]
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class RatePlan(TenantRow):
    """A price list; what it says lives in its versions."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="rate_plans")
    code = CodeField()
    name = models.CharField(max_length=200)
    currency = CurrencyField(default="USD")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "code"], name="rate_plan_code")]
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class RatePlanVersion(TenantRow):
    """One edition of a rate plan. A published one never changes (a trigger holds it); a change is a new version."""

    class Status(models.TextChoices):
        DRAFT = "DRAFT", "Draft"
        PUBLISHED = "PUBLISHED", "Published"
        ARCHIVED = "ARCHIVED", "Archived"

    class Proration(models.TextChoices):
        DAY = "day", "By day"
        SECOND = "second", "By second"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    plan = models.ForeignKey(RatePlan, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField(default=1, editable=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT, editable=False)
    proration = models.CharField(max_length=6, choices=Proration.choices, default=Proration.DAY)
    published_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "number"], name="rate_plan_version_number"),
            models.UniqueConstraint(
                fields=["plan"], condition=models.Q(status="DRAFT"), name="rate_plan_version_one_draft"
            ),
        ]
        ordering = ["plan", "-number"]

    def __str__(self) -> str:
        return f"{self.plan} v{self.number} ({self.status.lower()})"


class Charge(TenantRow):
    """One priced meter or fee on a plan version.

    The columns are the union of what the models need; `billing.selectors.terms` turns a row into the pricing
    value and refuses columns that its model lacks.
    """

    class Kind(models.TextChoices):
        FEE = "FEE", "Recurring fee"
        USAGE = "USAGE", "Usage"

    class Timing(models.TextChoices):
        ARREARS = "ARREARS", "With the period's invoice"
        ADVANCE = "ADVANCE", "With the invoice before the period"

    class Model(models.TextChoices):
        PER_UNIT = "PER_UNIT", "Per unit"
        FLAT_RATE = "FLAT_RATE", "Flat rate"
        GRADUATED = "GRADUATED", "Graduated: each unit at its own tier's price"
        VOLUME_TIERED = "VOLUME_TIERED", "Volume: all units at the tier reached"
        PERCENTAGE = "PERCENTAGE", "Percentage of the amount metered"
        INCLUDED_QUOTA = "INCLUDED_QUOTA", "Included quota, then blocks"
        PACKAGE = "PACKAGE", "Package: whole packages of units"
        STAIRSTEP = "STAIRSTEP", "Stairstep: the flat price of the step reached"
        GRADUATED_PERCENTAGE = "GRADUATED_PERCENTAGE", "Graduated percentage of the amount metered"
        DYNAMIC = "DYNAMIC", "Dynamic: the prices that events carry"

    class RateBasis(models.TextChoices):
        PER_BLOCK = "per_block", "Per block started"
        PER_UNIT = "per_unit", "Per unit"

    class OverQuota(models.TextChoices):
        CHARGE = "CHARGE", "Charge the overage"
        BLOCK = "BLOCK", "Bill no more than the quota"
        IGNORE = "IGNORE", "Drop the overage"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(RatePlanVersion, on_delete=models.CASCADE, related_name="charges")
    position = models.PositiveSmallIntegerField(default=1, help_text="Order on the invoice.")
    code = CodeField()
    name = models.CharField(max_length=200, help_text="What the invoice line says.")
    kind = models.CharField(max_length=6, choices=Kind.choices, default=Kind.USAGE)
    timing = models.CharField(
        max_length=7, choices=Timing.choices, default=Timing.ARREARS, help_text="When a fee is billed."
    )
    model = models.CharField(max_length=20, choices=Model.choices)
    meter = models.ForeignKey(
        "metering.MeterRow", null=True, blank=True, on_delete=models.PROTECT, related_name="charges"
    )
    dimension_filters = models.JSONField(
        default=dict, blank=True, help_text='Only usage with these group-by values: {"model": "gpt-4o"}.'
    )

    unit_price = RateField(null=True, blank=True, help_text="Per unit; with blocks, per block.")
    amount = RateField(null=True, blank=True, help_text="Flat rate: the price of the period.")
    percent = RateField(null=True, blank=True, help_text="2.5 means 2.5 %.")
    fixed_fee = RateField(null=True, blank=True, help_text="Percentage: per transaction.")
    minimum_fee = RateField(null=True, blank=True, help_text="Percentage: at least this for the period.")
    minimum_without_transactions = models.BooleanField(
        default=True, help_text="Percentage: the minimum fee is due in a period without transactions, too."
    )
    included_units = RateField(default=0, help_text="Units free of charge each period.")
    block_size = RateField(null=True, blank=True, help_text="Included quota: units in a block.")
    rate_basis = models.CharField(max_length=9, choices=RateBasis.choices, blank=True)
    package_size = RateField(null=True, blank=True, help_text="Package: units in a package.")
    package_price = RateField(null=True, blank=True, help_text="Package: of each package begun.")
    multiplier = RateField(
        null=True, blank=True, help_text="Dynamic: of the prices that events carry; empty: 1."
    )
    minimum_amount = AmountField(null=True, blank=True, help_text="The line is at least this.")
    maximum_amount = AmountField(null=True, blank=True, help_text="The line is at most this.")

    quota_units = RateField(null=True, blank=True, help_text="The plan's quota for the period; empty: none.")
    over_quota = models.CharField(max_length=6, choices=OverQuota.choices, default=OverQuota.CHARGE)
    rollover_percent = RateField(
        null=True, blank=True, help_text="Unused included units carried over, at most."
    )
    rollover_units_max = RateField(null=True, blank=True)
    rollover_periods = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Periods until carried units expire; empty: no rollover."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "code"], name="charge_code"),
            models.CheckConstraint(
                name="charge_meter_by_kind",
                condition=models.Q(kind="FEE", meter__isnull=True)
                | models.Q(kind="USAGE", meter__isnull=False),
                violation_error_message="Usage needs a meter, and a recurring fee has none.",
            ),
        ]
        ordering = ["position", "code"]

    def __str__(self) -> str:
        return self.name


class Tier(TenantRow):
    """One step of a tiered charge: covers (previous up_to, up_to]; the last one is open."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    charge = models.ForeignKey(Charge, on_delete=models.CASCADE, related_name="tiers")
    up_to = RateField(null=True, blank=True, help_text="Last unit of the tier; empty: no end.")
    unit_price = RateField(default=0)
    percent = RateField(
        default=0, help_text="Graduated percentage: of the amounts in the tier; 2.5 means 2.5 %."
    )
    flat_fee = RateField(default=0, help_text="Due once, with the tier's first unit.")
    cap = RateField(
        null=True, blank=True, help_text="The tier costs at most this, its flat fee included; empty: no cap."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["charge", "up_to"], name="tier_up_to", nulls_distinct=False),
        ]
        ordering = [models.F("up_to").asc(nulls_last=True)]

    def __str__(self) -> str:
        return f"up to {self.up_to.normalize():f}" if self.up_to is not None else "without end"


# Ten years.
TRIAL_DAYS_MAX = 3650


class Interval(models.TextChoices):
    MONTH = "month", "Month"
    QUARTER = "quarter", "Quarter"
    YEAR = "year", "Year"


class Offering(TenantRow):
    """What a customer buys: rate plans with a billing mode, billed once an interval.

    interval, alignment, trial_days: what a new subscription begins with; a running one keeps its own.
    """

    class Kind(models.TextChoices):
        STANDALONE = "STANDALONE", "Standalone: one of its plans at a time"
        BUNDLE = "BUNDLE", "Bundle: all of its plans on one invoice"
        ADDON = "ADDON", "Add-on: its plans beside a running subscription"

    class Alignment(models.TextChoices):
        ANNIVERSARY = "anniversary", "From the day of the start"
        CALENDAR = "calendar", "From the first day of the calendar's own interval"

    class BillingMode(models.TextChoices):
        POSTPAID = "POSTPAID", "Postpaid: invoiced"
        PREPAID = "PREPAID", "Prepaid: from the wallet"
        HYBRID = "HYBRID", "Hybrid: wallet first, the rest invoiced"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = CodeField()
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.STANDALONE)
    billing_mode = models.CharField(max_length=8, choices=BillingMode.choices, default=BillingMode.POSTPAID)
    interval = models.CharField(max_length=7, choices=Interval.choices, default=Interval.MONTH)
    alignment = models.CharField(max_length=11, choices=Alignment.choices, default=Alignment.ANNIVERSARY)
    trial_days = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(TRIAL_DAYS_MAX)],
        help_text="Days from the start of which nothing is billed.",
    )
    setup_fee = AmountField(
        default=0, validators=[MinValueValidator(0)], help_text="Due once, when billing begins."
    )
    currency = CurrencyField(default="USD")
    payment_terms_days = models.PositiveSmallIntegerField(default=30)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "code"], name="offering_code")]
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class OfferingPlan(TenantRow):
    """A rate plan in an offering."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    offering = models.ForeignKey(Offering, on_delete=models.CASCADE, related_name="plans")
    plan = models.ForeignKey(RatePlan, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["offering", "plan"], name="offering_plan")]

    def __str__(self) -> str:
        return f"{self.offering}: {self.plan}"
