"""Entitlement: what a plan, an offering, a contract or a customer has of a feature."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Coalesce

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow

from ..resolution import Rule
from ..windows import BEGINNING, UNITS, Window
from .feature import Feature

# Sums of a few of them stay exact in a site's script, whose numbers are whole up to 2^53.
UNITS_MAX = 10**15


class Entitlement(TenantRow):
    """A rule of one layer. The owner is named by its code, since plans, offerings and contracts are billing's."""

    class Layer(models.TextChoices):
        PLAN = "PLAN", "Rate plan"
        OFFERING = "OFFERING", "Offering"
        CONTRACT = "CONTRACT", "Contract"
        CUSTOMER = "CUSTOMER", "Customer"

    class LimitType(models.TextChoices):
        HARD = "HARD", "Hard: refused beyond the limit"
        SOFT = "SOFT", "Soft: let through, and told"

    class WindowKind(models.TextChoices):
        BILLING = "BILLING", "Billing period"
        CALENDAR = "CALENDAR", "Calendar"
        FIXED = "FIXED", "Fixed length, from the start"
        SLIDING = "SLIDING", "Sliding"
        NONE = "NONE", "For ever"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    feature = models.ForeignKey(Feature, on_delete=models.PROTECT, related_name="entitlements")
    layer = models.CharField(max_length=8, choices=Layer.choices)
    owner = models.CharField(
        max_length=255, help_text="Code of the plan, offering or contract, or the customer's external_id."
    )
    is_granted = models.BooleanField(default=True, help_text="Off: this layer takes the feature away.")
    limit = models.DecimalField(
        max_digits=24,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Units of the window; empty: no limit.",
    )
    value = models.CharField(max_length=255, blank=True, help_text="Of a static feature.")
    limit_type = models.CharField(max_length=4, choices=LimitType.choices, default=LimitType.HARD)
    window = models.CharField(max_length=8, choices=WindowKind.choices, default=WindowKind.BILLING)
    window_unit = models.CharField(
        max_length=9,
        blank=True,
        choices=[(unit, unit.replace("_", " ")) for unit in UNITS],
        help_text="Calendar only.",
    )
    window_s = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="Seconds; fixed and sliding only."
    )
    starts_at = models.DateTimeField(null=True, blank=True, help_text="Empty: in force at once.")
    ends_at = models.DateTimeField(null=True, blank=True, help_text="Empty: without end.")
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            # One rule of an owner at a start; what is changed later begins later.
            models.UniqueConstraint(
                "feature",
                "layer",
                "owner",
                Coalesce("starts_at", BEGINNING),
                name="entitlement_of_owner",
                violation_error_message="The owner has an entitlement to the feature from that moment already.",
            ),
            models.CheckConstraint(
                name="entitlement_term",
                condition=models.Q(ends_at__isnull=True)
                | models.Q(starts_at__isnull=True)
                | models.Q(ends_at__gt=models.F("starts_at")),
                violation_error_message="The end lies after the start.",
            ),
        ]
        indexes = [models.Index(fields=["tenant", "layer", "owner"], name="entitlement_owner")]
        ordering = ["feature", "layer", "owner"]

    def __str__(self) -> str:
        return f"{self.feature}: {self.get_layer_display()} {self.owner}"

    def clean(self) -> None:
        super().clean()
        errors = {}
        kind = self.feature.kind if self.feature_id else Feature.Kind.METERED
        if kind != Feature.Kind.METERED and self.limit is not None:
            errors["limit"] = "Only a metered feature has a limit."
        if kind == Feature.Kind.STATIC and self.is_granted and not self.value:
            errors["value"] = "A static feature has a value."
        if kind != Feature.Kind.STATIC and self.value:
            errors["value"] = "Only a static feature has a value."
        if self.limit is not None and self.feature_id:
            places = self.feature.decimal_places
            if self.limit != round(self.limit, places):
                errors["limit"] = f"The feature's units have {places} decimal places."
            elif self.limit.scaleb(places) > UNITS_MAX:
                errors["limit"] = f"Up to {UNITS_MAX:,} of the smallest units can be counted."
        if (self.window == self.WindowKind.CALENDAR) != bool(self.window_unit):
            errors["window_unit"] = "A calendar window has a unit, and the others have none."
        if (self.window in {self.WindowKind.FIXED, self.WindowKind.SLIDING}) != (self.window_s is not None):
            errors["window_s"] = "Fixed and sliding windows have a length, and the others have none."
        if errors:
            raise ValidationError(errors)

    def rule(self) -> Rule:
        """The row's value. feature is read with it."""
        return Rule(
            feature=self.feature.code,
            layer=self.layer,  # type: ignore[arg-type]
            owner=self.owner,
            is_granted=self.is_granted,
            limit=self.limit,
            value=self.value,
            limit_type="hard" if self.limit_type == self.LimitType.HARD else "soft",
            window=Window(
                kind=self.window,  # type: ignore[arg-type]
                unit=self.window_unit,
                length_s=self.window_s or 0,
                anchor=self.starts_at or BEGINNING,
            ),
            starts_at=self.starts_at,
            ends_at=self.ends_at,
        )
