"""Exchange rate: what one of a currency was in another on a day, as the tenant recorded it."""

from __future__ import annotations

from django.db import models

from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow
from aforo.tenancy.models.fields import CurrencyField

from .fields import RateField


class ExchangeRate(TenantRow):
    """Recorded again, it counts for what is issued from then on; an issued invoice has its rates in its sealed input."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    base = CurrencyField(help_text="One of this …")
    quote = CurrencyField(help_text="… is so many of this.")
    on = models.DateField(help_text="From this day until the next recorded one, a week at most.")
    rate = RateField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "base", "quote", "on"], name="exchange_rate_one_a_day"),
            models.CheckConstraint(
                name="exchange_rate_positive",
                condition=models.Q(rate__gt=0),
                violation_error_message="A rate is above zero.",
            ),
            models.CheckConstraint(
                name="exchange_rate_two_currencies",
                condition=~models.Q(base=models.F("quote")),
                violation_error_message="A rate is between two currencies.",
            ),
        ]
        ordering = ["base", "quote", "-on"]

    def __str__(self) -> str:
        return f"{self.base} to {self.quote} on {self.on}"
