"""The margin guard's rows: policies, what usage costs, and where each customer stands."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import Customer, TenantRow
from aforo.tenancy.models.fields import CodeField, CurrencyField

from .. import margin


class PercentField(models.DecimalField):
    def __init__(self, **options: object) -> None:
        super().__init__(**{"max_digits": 7, "decimal_places": 2, **options})


class MarginPolicy(TenantRow):
    """Floors under a customer's margin. Of several that hold for a customer, its own comes before its plan's, and that before the global one."""

    class Scope(models.TextChoices):
        GLOBAL = "GLOBAL", "All customers"
        PLAN = "PLAN", "Customers of a rate plan"
        CUSTOMER = "CUSTOMER", "One customer"

    class Window(models.TextChoices):
        BILLING = "BILLING", "Billing period"
        DAYS = "DAYS", "Last days"

    class Mode(models.TextChoices):
        ALERT = "ALERT", "Alert: warn, and let everything through"
        ENFORCE = "ENFORCE", "Enforce: throttle or downgrade at L2, block at L3"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = CodeField()
    name = models.CharField(max_length=200)
    scope = models.CharField(max_length=8, choices=Scope.choices, default=Scope.GLOBAL)
    owner = models.CharField(
        max_length=255, blank=True, help_text="Code of the rate plan, or the customer's external_id."
    )
    window = models.CharField(max_length=7, choices=Window.choices, default=Window.BILLING)
    window_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(90)],
        help_text="So many local days, the present one included; of Last days only.",
    )
    floor_1 = PercentField(default=20, help_text="L1, percent: a margin below it is told.")
    floor_2 = PercentField(default=10, help_text="L2, percent: below it calls are throttled or downgraded.")
    floor_3 = PercentField(default=0, help_text="L3, percent: below it calls are refused.")
    hysteresis = PercentField(
        default=5,
        validators=[MinValueValidator(0)],
        help_text="Points above its floor that a margin reaches before a level is released.",
    )
    minimum_revenue = models.DecimalField(
        max_digits=28,
        decimal_places=4,
        default=0,
        validators=[MinValueValidator(0)],
        help_text="A window with less revenue is not judged.",
    )
    currency = CurrencyField(default="USD", help_text="Revenue and cost are compared in it.")
    mode = models.CharField(max_length=7, choices=Mode.choices, default=Mode.ALERT)
    throttle_percent = models.PositiveSmallIntegerField(
        default=50,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Of the calls that L2 refuses, evenly.",
    )
    downgrades = models.JSONField(
        default=dict,
        blank=True,
        help_text='What L2 serves instead of refusing, such as {"gpt-4o": "gpt-4o-mini"}; empty: it throttles.',
    )
    retry_after_2_s = models.PositiveIntegerField(default=60, help_text="Seconds, of a call that L2 refuses.")
    retry_after_3_s = models.PositiveIntegerField(
        default=1800, help_text="Seconds, of a call that L3 refuses."
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        verbose_name = "margin policy"
        verbose_name_plural = "margin policies"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "code"], name="margin_policy_code"),
            models.UniqueConstraint(
                fields=["tenant", "scope", "owner"],
                condition=models.Q(is_active=True),
                name="margin_policy_one_active",
                violation_error_message="There is an active policy for the same customers; switch it off first.",
            ),
            models.CheckConstraint(
                name="margin_policy_owner",
                condition=models.Q(scope="GLOBAL", owner="")
                | (~models.Q(scope="GLOBAL") & ~models.Q(owner="")),
                violation_error_message="A policy for a plan or a customer names it, and a global one names nothing.",
            ),
            models.CheckConstraint(
                name="margin_policy_floors",
                condition=models.Q(floor_1__gt=models.F("floor_2"), floor_2__gt=models.F("floor_3")),
                violation_error_message="Each floor lies below the one before: L1 > L2 > L3.",
            ),
            models.CheckConstraint(
                name="margin_policy_window",
                condition=models.Q(window="DAYS", window_days__isnull=False)
                | (~models.Q(window="DAYS") & models.Q(window_days__isnull=True)),
                violation_error_message="A window of last days says how many, and a billing period does not.",
            ),
        ]
        ordering = ["code"]

    def __str__(self) -> str:
        return self.code

    def clean(self) -> None:
        super().clean()
        downgrades = self.downgrades
        if not isinstance(downgrades, dict) or not all(
            isinstance(text, str) and text for pair in downgrades.items() for text in pair
        ):
            raise ValidationError({"downgrades": 'Write names to names, such as {"gpt-4o": "gpt-4o-mini"}.'})

    def policy(self) -> margin.Policy:
        """The row's value."""
        return margin.Policy(
            floors=(self.floor_1, self.floor_2, self.floor_3),
            hysteresis=self.hysteresis,
            minimum_revenue=self.minimum_revenue,
            is_enforced=self.mode == self.Mode.ENFORCE,
            throttle_percent=self.throttle_percent,
            downgrades=self.downgrades,
            retry_after_s=(self.retry_after_2_s, self.retry_after_3_s),
        )


class CostRate(TenantRow):
    """What one counted unit of a meter costs the tenant, on [starts_at, ends_at)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    meter = models.ForeignKey("metering.MeterRow", on_delete=models.PROTECT, related_name="+")
    dimensions = models.JSONField(
        default=dict,
        blank=True,
        help_text='Usage with these, such as {"model": "gpt-4o"}; of several rates the one that names most. Empty: all.',
    )
    unit_cost = models.DecimalField(
        max_digits=30,
        decimal_places=12,
        validators=[MinValueValidator(0)],
        help_text="Of one unit as it is counted, before any conversion.",
    )
    currency = CurrencyField(default="USD")
    starts_at = models.DateTimeField(help_text="Usage from this hour on …")
    ends_at = models.DateTimeField(null=True, blank=True, help_text="… until this one; empty: without end.")
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "meter", "dimensions", "starts_at"],
                name="cost_rate_start",
                violation_error_message="There is a rate of the meter and dimensions from that hour already.",
            ),
            models.CheckConstraint(
                name="cost_rate_term",
                condition=models.Q(ends_at__isnull=True) | models.Q(ends_at__gt=models.F("starts_at")),
                violation_error_message="The end lies after the start.",
            ),
        ]
        ordering = ["meter", "starts_at", "id"]

    def __str__(self) -> str:
        named = ", ".join(f"{name} {value}" for name, value in sorted(self.dimensions.items()))
        return f"{self.meter}: {named}" if named else str(self.meter)


class ImportedCost(TenantRow):
    """What a customer cost on a day by somebody else's bill: a cloud's, a model provider's."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    on = models.DateField(help_text="A day in the customer's zone.")
    amount = models.DecimalField(max_digits=28, decimal_places=6)
    currency = CurrencyField(default="USD")
    source = models.CharField(max_length=100, help_text="Where the figure is from, such as openai.")
    external_key = models.CharField(
        max_length=255,
        help_text="The source's own name of the figure; imported again under it, it counts once.",
    )
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "source", "external_key"], name="imported_cost_key")
        ]
        indexes = [models.Index(fields=["tenant", "customer", "on"], name="imported_cost_of_customer")]
        ordering = ["-on", "id"]

    def __str__(self) -> str:
        return f"{self.source} {self.external_key}"


class Action(models.TextChoices):
    NONE = "none", "None"
    WARN = "warn", "Warn"
    THROTTLE = "throttle", "Throttle"
    DOWNGRADE = "downgrade", "Downgrade"
    BLOCK = "block", "Block"


class MarginState(TenantRow):
    """Where a customer stands, as last evaluated; its policy's window and figures in its policy's currency."""

    customer = models.OneToOneField(Customer, on_delete=models.CASCADE, primary_key=True, related_name="+")
    policy = models.ForeignKey(MarginPolicy, null=True, on_delete=models.SET_NULL, related_name="+")
    level = models.PositiveSmallIntegerField(default=0)
    action = models.CharField(max_length=9, choices=Action.choices, default=Action.NONE)
    throttle_percent = models.PositiveSmallIntegerField(default=0)
    retry_after_s = models.PositiveIntegerField(default=0)
    downgrades = models.JSONField(default=dict)
    window_start = models.DateTimeField(null=True)
    window_end = models.DateTimeField(null=True)
    revenue = models.DecimalField(max_digits=40, decimal_places=12, default=0)
    cost = models.DecimalField(max_digits=40, decimal_places=12, default=0)
    currency = CurrencyField(default="USD")
    percent = models.DecimalField(
        "margin", max_digits=40, decimal_places=4, null=True, help_text="Of revenue; empty: no revenue."
    )
    issue = models.CharField(max_length=300, blank=True, help_text="Why it could not be judged.")
    recent_events = models.BigIntegerField(
        default=0, help_text="In the last two hours, when it was evaluated."
    )
    since_at = models.DateTimeField(default=now, help_text="When the level was reached.")
    evaluated_at = models.DateTimeField(default=now)

    class Meta:
        verbose_name = "margin"
        indexes = [models.Index(fields=["tenant", "-level", "percent"], name="margin_state_worst")]

    def __str__(self) -> str:
        return str(self.customer)

    def standing(self) -> margin.MarginStanding:
        """The row's value."""
        return margin.MarginStanding(
            level=self.level,
            action=self.action,  # type: ignore[arg-type]
            throttle_percent=self.throttle_percent,
            retry_after_s=self.retry_after_s,
            downgrades=self.downgrades,
        )


class MarginEvent(TenantRow):
    """A level reached, an action begun, a level left; with the figures of that moment."""

    class Kind(models.TextChoices):
        TRIPPED = "TRIPPED", "Tripped"
        ENFORCED = "ENFORCED", "Enforced"
        RELEASED = "RELEASED", "Released"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="+")
    policy_code = models.CharField(max_length=64, blank=True)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    level_before = models.PositiveSmallIntegerField()
    level = models.PositiveSmallIntegerField()
    action = models.CharField(max_length=9, choices=Action.choices)
    revenue = models.DecimalField(max_digits=40, decimal_places=12)
    cost = models.DecimalField(max_digits=40, decimal_places=12)
    currency = CurrencyField()
    percent = models.DecimalField("margin", max_digits=40, decimal_places=4, null=True)
    at = models.DateTimeField(default=now)

    class Meta:
        indexes = [models.Index(fields=["tenant", "-at"], name="margin_event_latest")]
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.customer}: {self.kind.lower()}"
