"""Fields of billing: exact amounts, prices, quantities; and the short codes of tenancy."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib.postgres.fields import DateRangeField
from django.core.exceptions import ValidationError
from django.db import models

from aforo.tenancy.models.fields import CodeField, code_validator

__all__ = ["AmountField", "CodeField", "DateSpan", "RateField", "check_term", "code_validator"]


class AmountField(models.DecimalField):
    """Money in major units; 4 places hold every ISO 4217 minor unit."""

    def __init__(self, **options: Any) -> None:
        options["max_digits"], options["decimal_places"] = 28, 4
        super().__init__(**options)


class RateField(models.DecimalField):
    """A price of one unit, a percentage or a quantity, to 12 places: 0.0000025."""

    def __init__(self, **options: Any) -> None:
        options["max_digits"], options["decimal_places"] = 30, 12
        super().__init__(**options)


def check_term(starts_on: date | None, ends_on: date | None) -> None:
    """Refuse a term that ends before it starts, which PostgreSQL takes for no span at all. Raises ValidationError."""
    if starts_on is not None and ends_on is not None and ends_on <= starts_on:
        raise ValidationError({"ends_on": "The term ends after it starts."})


class DateSpan(models.Func):
    """The days from one column (inclusive) to another (exclusive, null: without end), for exclusion constraints."""

    function = "DATERANGE"
    output_field = DateRangeField()
